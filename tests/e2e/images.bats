#!/usr/bin/env bats
# Columns of pictures: linkctl dedup --image.
load helpers

pictures_make() {
    cp -r "$BATS_TEST_DIRNAME/../golden/image" pictures
    printf 'not a picture' >pictures/broken.png
    head -c 300 pictures/jpeg-95-0.jpg >pictures/cut.jpg
    cat >t.csv <<'END'
id,file
a,pictures/turned-1.png
b,pictures/jpeg-95-0.jpg
c,pictures/broken.png
d,pictures/turned-1.png
e,
f,pictures/cut.jpg
g,pictures/gone.png
END
}

@test "rows with one picture are one entity, whatever else cannot be read" {
    pictures_make
    run --separate-stderr "$LINKCTL" dedup t.csv --image file -o out.csv --pairs pairs.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"row 3: pictures/broken.png: image is no JPEG, PNG or WebP file"* ]]
    [[ "$stderr" == *"row 6: pictures/cut.jpg: JPEG image is cut off"* ]]
    [[ "$stderr" == *"row 7: pictures/gone.png: No such file or directory"* ]]
    [[ "$stderr" == *"1 row without image, 3 images that cannot be used"* ]]
    [[ "$stderr" == *"7 rows: 6 entities, 1 pair"* ]]
    cat >expected.csv <<'END'
id,file,entity_id
a,pictures/turned-1.png,1
b,pictures/jpeg-95-0.jpg,2
c,pictures/broken.png,3
d,pictures/turned-1.png,1
e,,4
f,pictures/cut.jpg,5
g,pictures/gone.png,6
END
    cmp out.csv expected.csv
    [ "$(sed -n 2p pairs.csv | cut -d, -f1-3)" = a,d,1.000000 ] || {
        cat pairs.csv
        false
    }
    grep -q '"unreadable_images": 3' out.csv.manifest.json
    grep -q '"rows_without_image": 1' out.csv.manifest.json
}

# A few hundred bytes that would take 1.2 GB, and a line of 100,000 pixels.
@test "pictures of too many pixels are refused by their heads, and the run goes on" {
    pictures_make
    python3 - <<'END'
import struct
import zlib


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def png(path, width, height):
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
                   chunk(b"IDAT", rows) + chunk(b"IEND", b""))


png("pictures/bomb.png", 20000, 20000)
png("pictures/line.png", 1, 100000)
END
    printf 'h,pictures/bomb.png\ni,pictures/line.png\nj,pictures/turned-1.png\n' >>t.csv
    run --separate-stderr "$LINKCTL" dedup t.csv --image file -o out.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"row 8: pictures/bomb.png: "*"pixels"* ]]
    [[ "$stderr" == *"row 9: pictures/line.png: "*"pixels"* ]]
    [[ "$stderr" == *"5 images that cannot be used"* ]]
    [ "$(tail -n 1 out.csv)" = j,pictures/turned-1.png,1 ]
}

@test "paths are seen from the table, and threads change no byte" {
    pictures_make
    mkdir elsewhere
    (cd elsewhere && "$LINKCTL" dedup ../t.csv --image file -q -j 1 -o ../one.csv)
    "$LINKCTL" dedup t.csv --image file -q -j 2 -o two.csv
    cmp one.csv two.csv
    cut -d, -f3 one.csv | sort | uniq -d | grep -qx 1
}

@test "--upright and --max-distance belong to --image" {
    pictures_make
    printf 'id,file\n1,pictures/turned-6.png\n2,pictures/upright-6.png\n' >u.csv
    "$LINKCTL" dedup u.csv --image file -q -o lying.csv
    "$LINKCTL" dedup u.csv --image file --upright -q -o upright.csv
    [ "$(tail -n 1 lying.csv)" = 2,pictures/upright-6.png,2 ]
    [ "$(tail -n 1 upright.csv)" = 2,pictures/upright-6.png,1 ]
    run --separate-stderr "$LINKCTL" dedup t.csv --max-distance 3
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--max-distance needs --image"* ]]
    run --separate-stderr "$LINKCTL" dedup t.csv --image file --on id
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--image excludes --on"* ]]
    run --separate-stderr "$LINKCTL" dedup t.csv --image file --model tiny
    [ "$status" -eq 2 ]
    run --separate-stderr "$LINKCTL" dedup t.csv --image picture
    [ "$status" -eq 2 ]
    [[ "$stderr" == *'no column "picture"'* ]]
}

@test "embed --image: a vector of each picture, zeros for what cannot be read" {
    pictures_make
    vit=$BATS_TEST_DIRNAME/../golden/vision/bare
    run --separate-stderr "$LINKCTL" embed t.csv --image file -m "$vit" --precision f32 -j 1 \
        -o one.jsonl
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"7 rows: vectors of 20 numbers"* ]]
    [[ "$stderr" == *"row 6: pictures/cut.jpg: JPEG image is cut off"* ]]
    [[ "$stderr" == *"1 row without image, 3 images that cannot be used"* ]]
    "$LINKCTL" embed t.csv --image file -m "$vit" --precision f32 -j 2 -q -o two.jsonl
    cmp one.jsonl two.jsonl
    [ "$(sed -n 1p one.jsonl | cut -d: -f3)" = "$(sed -n 4p one.jsonl | cut -d: -f3)" ]
    [ "$(sed -n 1p one.jsonl | cut -d: -f3)" != "$(sed -n 2p one.jsonl | cut -d: -f3)" ]
    sed -n 7p one.jsonl | grep -q '\[0, 0, 0'
    grep -q '"architecture": "vit"' one.jsonl.manifest.json
    grep -q '"unreadable_images": 3' one.jsonl.manifest.json
    run --separate-stderr "$LINKCTL" embed t.csv --image file
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--image needs an image model"* ]]
    "$LINKCTL" embed t.csv --image file -m "$vit" --dim 7 -q -o short.jsonl
    [ "$(sed -n 1p short.jsonl | tr ',' '\n' | wc -l)" -eq 8 ]
    run --separate-stderr "$LINKCTL" embed t.csv --upright
    [ "$status" -eq 2 ]
}
