/* cli/compat_file.c — see compat_file.h. */
#include "cli/compat_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "cli/file.h"
#include "cli/vector_read.h"
#include "linkage/linkage.h"

int lk_compat_map_load(const char *path, linkd_compat_map **ret_map,
                       linkd_error *err)
{
    lk_buf bytes = {0};
    linkd_error own;
    int rc = lk_file_read(path, SIZE_MAX, &bytes, err);

    if (rc == LINKD_OK) {
        rc = linkd_compat_map_decode((const unsigned char *)bytes.data,
                                     bytes.len, ret_map, &own);
        if (rc != LINKD_OK)
            (void)lk_fail(err, rc, "%s: %s", lk_label_of_path(path).text,
                          own.message);
    }
    lk_buf_clear(&bytes);
    return rc;
}

int lk_compat_rows_load(const char *path, linkd_rows *ret_rows,
                        float **ret_data, linkd_error *err)
{
    int rc = lk_vectors_load(path, ret_rows, ret_data, err);

    if (rc == LINKD_OK)
        rc = linkd_compat_normalise(ret_rows, lk_label_of_path(path).text,
                                    *ret_data, err);
    return rc;
}

/* ---- names -------------------------------------------------------------- */

void lk_compat_name_put(const char *name,
                        unsigned char ret[LINKD_FINGERPRINT_BYTES])
{
    char digits[LINKD_FINGERPRINT_BYTES + 1];
    size_t len = name == NULL ? 0 : strlen(name);
    XXH128_hash_t hash;

    memset(ret, 0, LINKD_FINGERPRINT_BYTES);
    if (len > LINKD_FINGERPRINT_BYTES) {
        hash = XXH3_128bits(name, len);
        (void)snprintf(digits, sizeof(digits), "%016" PRIx64 "%016" PRIx64,
                       hash.high64, hash.low64);
        name = digits;
        len = LINKD_FINGERPRINT_BYTES;
    }
    for (size_t i = 0; i < len; i++)
        ret[i] = (unsigned char)name[i];
}

static int name_check(const char *path, const unsigned char *known,
                      const char *side, const char *name, linkd_error *err)
{
    unsigned char wanted[LINKD_FINGERPRINT_BYTES];
    linkd_str found = {(const char *)known,
                       strnlen((const char *)known, LINKD_FINGERPRINT_BYTES)};

    lk_compat_name_put(name, wanted);
    if (name == NULL || memcmp(wanted, known, sizeof(wanted)) == 0)
        return LINKD_OK;
    if (found.len == 0)
        return lk_fail(err, LINKD_E_DATA,
                       "%s does not say %s which model it is: compat fit "
                       "--%s-model does",
                       lk_label_of_path(path).text, side, side);
    return lk_fail(err, LINKD_E_DATA, "%s is %s the model \"%s\", not \"%s\"",
                   lk_label_of_path(path).text, side, lk_label_of(found).text,
                   lk_label_of((linkd_str){name, strlen(name)}).text);
}

int lk_compat_names_check(const char *path, const linkd_compat_map *map,
                          const char *from, const char *to, linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(map);
    int rc = name_check(path, info.from, "from", from, err);

    return rc == LINKD_OK ? name_check(path, info.to, "to", to, err) : rc;
}

int lk_compat_rows_check(const char *path, const linkd_compat_map *map,
                         const char *rows_path, const linkd_rows *rows,
                         linkd_error *err)
{
    size_t dim = linkd_compat_map_info(map).dim_from;

    return rows->dim == dim
               ? LINKD_OK
               : lk_fail(err, LINKD_E_ARG,
                         "%s is for vectors of %zu dimensions, %s has %zu",
                         lk_label_of_path(path).text, dim,
                         lk_label_of_path(rows_path).text, rows->dim);
}
