"""Pictures of every kind that linkd reads, drawn for tests, and what Pillow and
the image processors of transformers make of them. Needs Debian's python3-pil and
python3-numpy.
"""
import ctypes
import io
import struct
import sys
import zlib

import numpy
from PIL import Image

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PREPARATIONS = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": 224, "resample": 2},
    "clip": {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224},
             "crop_size": {"height": 224, "width": 224}, "resample": 3},
    "dinov2": {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256},
               "crop_size": {"height": 224, "width": 224}, "resample": 3,
               "do_center_crop": True},
    "lanczos": {"size": {"height": 97, "width": 131}, "resample": 1},
    "padded": {"image_processor_type": "CLIPImageProcessor", "size": 50, "crop_size": 75,
               "resample": 2},
}
for settings in PREPARATIONS.values():
    settings.update(image_mean=MEAN, image_std=STD)


# ---- pictures ---------------------------------------------------------------


def scene(rng, width, height, channels=3):
    """A smooth ground, some shapes and some noise: [height, width, channels]."""
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    planes = []
    for _ in range(channels):
        a, b, c = (rng.uniform(-0.09, 0.09) for _ in range(3))
        planes.append(127 + 90 * numpy.sin(a * x + b * y + c * x * y / (width + height)))
    picture = numpy.stack(planes, axis=2)
    for _ in range(6):
        cx, cy = rng.uniform(0, width), rng.uniform(0, height)
        r = rng.uniform(1, max(2, min(width, height) / 3))
        inside = (x - cx) ** 2 + (y - cy) ** 2 < r * r
        picture[inside] = [rng.uniform(0, 255) for _ in range(channels)]
    noise = numpy.random.default_rng(rng.randrange(1 << 30))
    picture += noise.normal(0, 6, picture.shape)
    return picture.clip(0, 255).astype(numpy.uint8)


def png(samples, bits, color, interlaced=False, palette=None, extra=b""):
    """A PNG of any depth and colour type: Pillow writes few of them."""
    height, width, channels = samples.shape

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    def rows(part):
        out = b""
        for row in part:
            flat = row.reshape(-1)
            if bits == 16:
                packed = flat.astype(">u2").tobytes()
            elif bits == 8:
                packed = flat.astype("u1").tobytes()
            else:
                spread = [(int(v) >> (bits - 1 - i)) & 1 for v in flat for i in range(bits)]
                packed = numpy.packbits(numpy.array(spread, "u1")).tobytes()
            out += b"\0" + packed
        return out

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
              (1, 0, 2, 2), (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]
    data = b""
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size:
            data += rows(part)
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, int(interlaced))
    plte = chunk(b"PLTE", palette) if palette is not None else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + plte + extra
            + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def pngs(rng, most):
    for color, channels, depths in ((0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)),
                                    (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)), (6, 4, (8, 16))):
        for bits in depths:
            for interlaced in (False, True):
                width, height = rng.randrange(1, most), rng.randrange(1, most)
                deep = scene(rng, width, height, channels).astype(int)
                deep = deep * 257 if bits == 16 else deep >> (8 - bits)
                if bits == 16:
                    deep = (deep + rng.randrange(256)) % 65536
                    deep[: height // 2] >>= 8
                entries = None
                if color == 3:
                    n = min(1 << bits, rng.randrange(2, 200))
                    entries = bytes(rng.randrange(256) for _ in range(3 * n))
                name = f"png-{color}-{bits}{'-interlaced' if interlaced else ''}.png"
                yield name, png(deep, bits, color, interlaced, entries)
    saved = Image.fromarray(scene(rng, most, most - 3)).quantize(50)
    saved.info["transparency"] = 3
    yield "png-saved-palette.png", saved_as(saved, "PNG", transparency=3)


def saved_as(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def ycck(picture):
    """Pillow writes no YCCK; libjpeg-turbo's other interface does."""
    jpeg = ctypes.CDLL("libturbojpeg.so.0")
    jpeg.tjInitCompress.restype = ctypes.c_void_p
    height, width, _ = picture.shape
    out, size = ctypes.c_void_p(), ctypes.c_ulong()
    handle = ctypes.c_void_p(jpeg.tjInitCompress())
    pixels = picture.tobytes()
    failed = jpeg.tjCompress2(handle, pixels, width, 0, height, 11, ctypes.byref(out),
                              ctypes.byref(size), 2, 90, 0)
    if failed:
        sys.exit("libturbojpeg wrote no YCCK")
    return ctypes.string_at(out, size.value)


def jpegs(rng, most):
    for progressive in (False, True):
        for subsampling in (0, 1, 2):
            for quality in (20, 75, 95):
                picture = Image.fromarray(scene(rng, rng.randrange(1, most), rng.randrange(1, most)))
                yield (f"jpeg-{quality}-{subsampling}{'-progressive' if progressive else ''}.jpg",
                       saved_as(picture, "JPEG", quality=quality, subsampling=subsampling,
                                progressive=progressive, optimize=quality == 75))
        for mode, channels in (("L", 1), ("CMYK", 4)):
            picture = scene(rng, most, most // 2, channels)
            image = Image.fromarray(picture[..., 0] if channels == 1 else picture, mode)
            yield (f"jpeg-{mode}{'-progressive' if progressive else ''}.jpg",
                   saved_as(image, "JPEG", quality=88, progressive=progressive))
    yield "jpeg-ycck.jpg", ycck(scene(rng, most, most - 1, 4))
    yield "jpeg-1x1.jpg", saved_as(Image.fromarray(scene(rng, 1, 1)), "JPEG")


def webps(rng, most):
    for lossless in (False, True):
        for channels, mode in ((3, "RGB"), (4, "RGBA")):
            for quality in (10, 80):
                picture = scene(rng, rng.randrange(1, most), rng.randrange(1, most), channels)
                yield (f"webp-{mode}-{quality}{'-lossless' if lossless else ''}.webp",
                       saved_as(Image.fromarray(picture, mode), "WEBP", lossless=lossless,
                                quality=quality))
    frames = [Image.fromarray(scene(rng, most, most // 2)) for _ in range(3)]
    yield "webp-animation.webp", saved_as(frames[0], "WEBP", save_all=True,
                                          append_images=frames[1:], duration=100)


def turned(rng, most):
    """The eight orientations in each format, and one picture as it should be."""
    for orientation in range(1, 9):
        image = Image.fromarray(scene(rng, most, most // 2 + 1))
        exif = Image.Exif()
        exif[0x0112] = orientation
        for form, ending in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
            yield (f"turned-{orientation}.{ending}",
                   saved_as(image, form, exif=exif.tobytes()))
        if orientation == 6:
            yield "upright-6.png", saved_as(image.transpose(Image.ROTATE_270), "PNG")


# ---- what is done to them ----------------------------------------------------


def resized(image, size, resample):
    if isinstance(size, dict) and "height" in size:
        return image.resize((size["width"], size["height"]), resample)
    edge = size["shortest_edge"] if isinstance(size, dict) else size
    width, height = image.size
    short, long = min(width, height), max(width, height)
    length = int(edge * long / short)
    return image.resize((edge, length) if width <= height else (length, edge), resample)


def prepared(image, settings):
    """The steps of transformers' image processors, without transformers."""
    size = settings["size"]
    if settings.get("image_processor_type") == "ViTImageProcessor" and isinstance(size, int):
        size = {"height": size, "width": size}
    image = resized(image, size, settings["resample"])
    if "crop_size" not in settings:
        return numpy.asarray(image)
    crop = settings["crop_size"]
    crop = crop["height"] if isinstance(crop, dict) else crop
    pixels = numpy.asarray(image)
    height, width, _ = pixels.shape
    canvas_height, canvas_width = max(crop, height), max(crop, width)
    canvas = numpy.zeros((canvas_height, canvas_width, 3), "u1")
    top_pad = -(-(canvas_height - height) // 2)
    left_pad = -(-(canvas_width - width) // 2)
    canvas[top_pad:top_pad + height, left_pad:left_pad + width] = pixels
    top = (height - crop) // 2 + top_pad
    left = (width - crop) // 2 + left_pad
    return canvas[max(0, top):top + crop, max(0, left):left + crop]
