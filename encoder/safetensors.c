/* encoder/safetensors.c — named tensors in a .safetensors file.
 *
 *   u64 little-endian n │ n bytes of JSON │ tensors, one after the other
 *   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
 *    "__metadata__": {…}}
 *
 * The file comes from strangers, so nothing in it is believed: the header fits
 * the file, names are unique, each tensor's bytes are what its type and shape
 * make, and tensors tile the data with no overlap and no gap (the format asks
 * for that; bytes that no tensor owns could hide anything). After that, reading
 * a tensor needs no check.
 *
 * Pickled PyTorch files run code when they are loaded and are not read. */
#include "encoder/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The largest encoders have some thousand tensors of 150 header bytes each; 16
 * MiB is a guess at a hundred times that, and bounds the parser's memory. */
#define HEADER_BYTES_MAX ((uint64_t)16 << 20)
#define LENGTH_BYTES     ((size_t)8)
#define METADATA_KEY     "__metadata__"

struct lk_safetensors {
    json_t *header; /* owns the names */
    lk_tensor *tensors;
    size_t n_tensors;
};

typedef struct dtype_name {
    const char *name;
    size_t size;
    lk_dtype dtype;
} dtype_name;

static const dtype_name DTYPES[] = {
    {"F32", 4, LK_DTYPE_F32},    {"F16", 2, LK_DTYPE_F16},
    {"BF16", 2, LK_DTYPE_BF16},  {"F64", 8, LK_DTYPE_OTHER},
    {"I64", 8, LK_DTYPE_OTHER},  {"I32", 4, LK_DTYPE_OTHER},
    {"I16", 2, LK_DTYPE_OTHER},  {"I8", 1, LK_DTYPE_OTHER},
    {"U64", 8, LK_DTYPE_OTHER},  {"U32", 4, LK_DTYPE_OTHER},
    {"U16", 2, LK_DTYPE_OTHER},  {"U8", 1, LK_DTYPE_OTHER},
    {"BOOL", 1, LK_DTYPE_OTHER},
};

/* What one tensor's entry is read into, and from. */
typedef struct entry {
    const char *file;
    const char *name;
    const json_t *json;
    const uint8_t *data; /* where the file's tensors begin */
    size_t data_bytes;
} entry;

static int entry_fail(const entry *e, linkd_error *err, const char *reason)
{
    return lk_fail(err, LINKD_E_DATA, "%s: tensor \"%.80s\" %s", e->file,
                   e->name, reason);
}

static const dtype_name *dtype_find(const char *name)
{
    for (size_t i = 0; i < sizeof(DTYPES) / sizeof(DTYPES[0]); i++)
        if (strcmp(name, DTYPES[i].name) == 0)
            return &DTYPES[i];
    return NULL;
}

/* A JSON integer as a size, or an answer of 0. */
static int size_value(const json_t *json, size_t *ret_size)
{
    if (!json_is_integer(json) || json_integer_value(json) < 0)
        return 0;
    *ret_size = (size_t)json_integer_value(json);
    return 1;
}

static int shape_parse(const entry *e, lk_tensor *tensor, linkd_error *err)
{
    const json_t *shape = json_object_get(e->json, "shape");

    if (!json_is_array(shape))
        return entry_fail(e, err, "has no shape");
    tensor->n_dims = json_array_size(shape);
    if (tensor->n_dims > LK_TENSOR_DIMS_MAX)
        return entry_fail(e, err, "has more than 8 dimensions");
    tensor->n_elements = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (!size_value(json_array_get(shape, i), &tensor->shape[i]))
            return entry_fail(e, err, "has a size that is not a number");
        if (__builtin_mul_overflow(tensor->n_elements, tensor->shape[i],
                                   &tensor->n_elements))
            return entry_fail(e, err, "has a shape that is too large");
    }
    return LINKD_OK;
}

static int offsets_parse(const entry *e, lk_tensor *tensor, linkd_error *err)
{
    const json_t *offsets = json_object_get(e->json, "data_offsets");
    size_t begin = 0;
    size_t end = 0;

    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !size_value(json_array_get(offsets, 0), &begin) ||
        !size_value(json_array_get(offsets, 1), &end))
        return entry_fail(e, err, "has no pair of offsets");
    if (begin > end)
        return entry_fail(e, err, "ends before it begins");
    if (end > e->data_bytes)
        return entry_fail(e, err, "lies beyond the end of the file");
    tensor->data = e->data + begin;
    tensor->n_bytes = end - begin;
    return LINKD_OK;
}

static int tensor_parse(const entry *e, lk_tensor *tensor, linkd_error *err)
{
    const char *type = json_string_value(json_object_get(e->json, "dtype"));
    const dtype_name *dtype = type != NULL ? dtype_find(type) : NULL;
    size_t n_bytes;
    int rc;

    if (dtype == NULL)
        return entry_fail(e, err, "has an unknown type");
    rc = shape_parse(e, tensor, err);
    if (rc == LINKD_OK)
        rc = offsets_parse(e, tensor, err);
    if (rc != LINKD_OK)
        return rc;
    if (__builtin_mul_overflow(tensor->n_elements, dtype->size, &n_bytes) ||
        n_bytes != tensor->n_bytes)
        return entry_fail(e, err, "has other bytes than its shape needs");
    tensor->name = e->name;
    tensor->dtype = dtype->dtype;
    return LINKD_OK;
}

static int compare_by_name(const void *a, const void *b)
{
    return strcmp(((const lk_tensor *)a)->name, ((const lk_tensor *)b)->name);
}

static int compare_by_place(const void *a, const void *b)
{
    const lk_tensor *first = a;
    const lk_tensor *second = b;

    if (first->data != second->data)
        return first->data < second->data ? -1 : 1;
    /* an empty tensor comes before the one that begins where it lies */
    return (first->n_bytes > second->n_bytes) -
           (first->n_bytes < second->n_bytes);
}

static int check_tiling(lk_safetensors *file, const entry *e, linkd_error *err)
{
    const uint8_t *end = e->data;

    qsort(file->tensors, file->n_tensors, sizeof(*file->tensors),
          compare_by_place);
    for (size_t i = 0; i < file->n_tensors; i++) {
        const lk_tensor *tensor = &file->tensors[i];
        entry place = {.file = e->file, .name = tensor->name};

        if (tensor->data < end)
            return entry_fail(&place, err, "overlaps another");
        if (tensor->data > end)
            return entry_fail(&place, err, "leaves a gap before it");
        end = tensor->data + tensor->n_bytes;
    }
    if (end != e->data + e->data_bytes)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: %zu bytes at the end belong to no tensor", e->file,
                       (size_t)(e->data + e->data_bytes - end));
    return LINKD_OK;
}

static int tensors_parse(lk_safetensors *file, entry *e, linkd_error *err)
{
    size_t n = json_object_size(file->header);
    const char *name;
    json_t *value;
    int rc;

    file->tensors = calloc(n + 1, sizeof(*file->tensors));
    if (file->tensors == NULL)
        return lk_fail_nomem(err);
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, METADATA_KEY) == 0)
            continue;
        e->name = name;
        e->json = value;
        rc = tensor_parse(e, &file->tensors[file->n_tensors], err);
        if (rc != LINKD_OK)
            return rc;
        file->n_tensors++;
    }
    rc = check_tiling(file, e, err);
    if (rc != LINKD_OK)
        return rc;
    qsort(file->tensors, file->n_tensors, sizeof(*file->tensors),
          compare_by_name);
    return LINKD_OK;
}

static uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < LENGTH_BYTES; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* PyTorch writes a zip archive, or in old versions a bare pickle, whose first
 * byte announces the protocol. No header is so short that it looks like one. */
static int is_pickle(const uint8_t *bytes, size_t len)
{
    return len >= 4 && (memcmp(bytes, "PK\003\004", 4) == 0 ||
                        (bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5 &&
                         load_u64(bytes) > HEADER_BYTES_MAX));
}

static int header_parse(const char *bytes, size_t len, const char *name,
                        json_t **ret_header, linkd_error *err)
{
    json_error_t reason;
    json_t *header = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &reason);

    if (header == NULL && json_error_code(&reason) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    if (header == NULL)
        return lk_fail(err, LINKD_E_DATA, "%s: header is not JSON: %s", name,
                       reason.text);
    if (!json_is_object(header)) {
        json_decref(header);
        return lk_fail(err, LINKD_E_DATA, "%s: header is not a JSON object",
                       name);
    }
    *ret_header = header;
    return LINKD_OK;
}

/* Checks what stands before the JSON and answers the JSON's length. */
static int length_parse(const uint8_t *bytes, size_t len, const char *name,
                        size_t *ret_len, linkd_error *err)
{
    uint64_t header_len;

    if (len < LENGTH_BYTES)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: is cut off: %zu bytes are no safetensors file",
                       name, len);
    if (is_pickle(bytes, len))
        return lk_fail(err, LINKD_E_DATA,
                       "%s: is a pickle, which is not read since loading one "
                       "runs the code in it; safetensors is needed",
                       name);
    header_len = load_u64(bytes);
    if (header_len > HEADER_BYTES_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: header of %" PRIu64 " bytes is over the limit of "
                       "%" PRIu64,
                       name, header_len, HEADER_BYTES_MAX);
    if (header_len > len - LENGTH_BYTES)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: is cut off: header of %" PRIu64 " bytes in a file "
                       "of %zu",
                       name, header_len, len);
    *ret_len = (size_t)header_len;
    return LINKD_OK;
}

int lk_safetensors_parse(const uint8_t *bytes, size_t len, const char *name,
                         lk_safetensors **ret_file, linkd_error *err)
{
    lk_safetensors *file = NULL;
    entry e = {.file = name};
    size_t header_len = 0;
    int rc;

    rc = length_parse(bytes, len, name, &header_len, err);
    if (rc != LINKD_OK)
        return rc;
    file = calloc(1, sizeof(*file));
    if (file == NULL)
        return lk_fail_nomem(err);
    rc = header_parse((const char *)bytes + LENGTH_BYTES, header_len, name,
                      &file->header, err);
    if (rc != LINKD_OK)
        goto done;
    e.data = bytes + LENGTH_BYTES + header_len;
    e.data_bytes = len - LENGTH_BYTES - header_len;
    rc = tensors_parse(file, &e, err);
    if (rc != LINKD_OK)
        goto done;
    *ret_file = file;
    file = NULL;
done:
    lk_safetensors_free(file);
    return rc;
}

void lk_safetensors_free(lk_safetensors *file)
{
    if (file == NULL)
        return;
    json_decref(file->header);
    free(file->tensors);
    free(file);
}

size_t lk_safetensors_n_tensors(const lk_safetensors *file)
{
    return file->n_tensors;
}

const lk_tensor *lk_safetensors_get(const lk_safetensors *file, size_t i)
{
    LK_ASSERT(i < file->n_tensors);
    return &file->tensors[i];
}

const lk_tensor *lk_safetensors_find(const lk_safetensors *file,
                                     const char *name)
{
    lk_tensor key = {.name = name};

    return bsearch(&key, file->tensors, file->n_tensors, sizeof(key),
                   compare_by_name);
}

/* ---- numbers ------------------------------------------------------------ */

static float float_from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint16_t load_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* IEEE half precision: 1 sign, 5 exponent and 10 fraction bits. */
static float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f;
    uint32_t fraction = half & 0x3ff;

    if (exponent == 0x1f)
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) {
        float value = (float)fraction * 0x1p-24F;

        return sign != 0 ? -value : value;
    }
    return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void lk_tensor_read(const lk_tensor *tensor, size_t first, size_t n,
                    float *ret_values)
{
    LK_ASSERT(first <= tensor->n_elements && n <= tensor->n_elements - first);
    LK_ASSERT(tensor->dtype != LK_DTYPE_OTHER);
    if (tensor->dtype == LK_DTYPE_F32) {
        memcpy(ret_values, tensor->data + first * sizeof(float),
               n * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t bits = load_u16(tensor->data + (first + i) * 2);

        ret_values[i] = tensor->dtype == LK_DTYPE_F16
                            ? float_from_half(bits)
                            : float_from_bits((uint32_t)bits << 16);
    }
}
