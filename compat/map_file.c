/* compat/map_file.c — a map as bytes.
 *
 *   "linkdmap" | u32 version | u32 head | u64 dim_from dim_to dim_compat
 *   u64 n_hidden n_unit n_basis n_pairs seed | f32 cosine | u32 0
 *   from [32] to [32] | f32 arrays in the order of struct linkd_compat_map
 *   u64 XXH3 of all before
 *
 * Little-endian. Sizes are checked against the length before anything is
 * allocated, so that a hostile file cannot ask for more memory than it has. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "compat/map.h"

enum {
    VERSION = 1,
    HEADER_BYTES = 8 + 2 * 4 + 8 * 8 + 2 * 4 + 2 * LINKD_FINGERPRINT_BYTES,
    CHECKSUM_BYTES = 8,
    HIDDEN_MAX = 65536,
};

static const char magic[8] = {'l', 'i', 'n', 'k', 'd', 'm', 'a', 'p'};

/* ---- little-endian ------------------------------------------------------- */

static unsigned char *put(unsigned char *at, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
    return at + n_bytes;
}

static uint64_t get(const unsigned char **at, size_t n_bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)(*at)[i] << (8 * i);
    *at += n_bytes;
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;

    memcpy(&value, &low, sizeof(value));
    return value;
}

/* ---- writing ------------------------------------------------------------ */

static unsigned char *header_put(unsigned char *at, const linkd_compat_map *m)
{
    memcpy(at, magic, sizeof(magic));
    at = put(at + sizeof(magic), VERSION, 4);
    at = put(at, m->info.head, 4);
    at = put(at, m->info.dim_from, 8);
    at = put(at, m->info.dim_to, 8);
    at = put(at, m->info.dim_compat, 8);
    at = put(at, m->n_hidden, 8);
    at = put(at, m->n_unit, 8);
    at = put(at, m->n_basis, 8);
    at = put(at, m->info.n_pairs, 8);
    at = put(at, m->info.seed, 8);
    at = put(at, bits_of(m->info.cosine), 4);
    at = put(at, 0, 4);
    memcpy(at, m->info.from, LINKD_FINGERPRINT_BYTES);
    memcpy(at + LINKD_FINGERPRINT_BYTES, m->info.to, LINKD_FINGERPRINT_BYTES);
    return at + (size_t)2 * LINKD_FINGERPRINT_BYTES;
}

int linkd_compat_map_encode(const linkd_compat_map *map,
                            unsigned char **ret_bytes, size_t *ret_len,
                            linkd_error *err)
{
    lk_map_part parts[LK_MAP_PARTS];
    size_t len = HEADER_BYTES + CHECKSUM_BYTES;
    unsigned char *bytes, *at;

    lk_map_parts(map, parts);
    for (size_t i = 0; i < LK_MAP_PARTS; i++)
        len += 4 * parts[i].n;
    bytes = malloc(len);
    if (bytes == NULL)
        return lk_fail_nomem(err);
    at = header_put(bytes, map);
    for (size_t i = 0; i < LK_MAP_PARTS; i++)
        for (size_t j = 0; j < parts[i].n; j++)
            at = put(at, bits_of(parts[i].values[j]), 4);
    (void)put(at, XXH3_64bits(bytes, len - CHECKSUM_BYTES), CHECKSUM_BYTES);
    *ret_bytes = bytes;
    *ret_len = len;
    return LINKD_OK;
}

/* ---- reading ------------------------------------------------------------ */

static int bad(linkd_error *err, const char *what)
{
    return lk_fail(err, LINKD_E_DATA, "not a map: %s", what);
}

static int envelope_check(const unsigned char *bytes, size_t len,
                          linkd_error *err)
{
    const unsigned char *at = bytes + sizeof(magic);
    const unsigned char *sum;
    uint64_t version;

    if (len < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0)
        return bad(err, "it does not begin as one");
    if (len < (size_t)HEADER_BYTES + CHECKSUM_BYTES)
        return bad(err, "it was cut");
    version = get(&at, 4);
    if (version != VERSION)
        return lk_fail(err, LINKD_E_DATA,
                       "the map is version %u, newest known is %d",
                       (unsigned)version, VERSION);
    sum = bytes + len - CHECKSUM_BYTES;
    if (get(&sum, CHECKSUM_BYTES) != XXH3_64bits(bytes, len - CHECKSUM_BYTES))
        return bad(err, "its checksum is wrong");
    return LINKD_OK;
}

static int sizes_check(const linkd_compat_map *m, size_t len, linkd_error *err)
{
    const linkd_compat_info *i = &m->info;
    lk_map_part parts[LK_MAP_PARTS];
    size_t expected = HEADER_BYTES + CHECKSUM_BYTES;

    if (i->head >= LINKD_N_HEADS || i->dim_from == 0 || i->dim_to == 0 ||
        i->dim_from > LINKD_COMPAT_DIM_MAX ||
        i->dim_to > 2 * LINKD_COMPAT_DIM_MAX || i->dim_compat == 0 ||
        i->dim_compat > i->dim_to || m->n_hidden > HIDDEN_MAX ||
        m->n_unit > i->dim_to || m->n_basis > i->dim_to)
        return bad(err, "its sizes make no sense");
    lk_map_parts(m, parts);
    for (size_t j = 0; j < LK_MAP_PARTS; j++)
        expected += 4 * parts[j].n;
    return expected == len ? LINKD_OK : bad(err, "its length is wrong");
}

static const unsigned char *header_get(const unsigned char *at,
                                       linkd_compat_map *m)
{
    at += sizeof(magic) + 4;
    m->info.head = (linkd_compat_head)get(&at, 4);
    m->info.dim_from = (size_t)get(&at, 8);
    m->info.dim_to = (size_t)get(&at, 8);
    m->info.dim_compat = (size_t)get(&at, 8);
    m->n_hidden = (size_t)get(&at, 8);
    m->n_unit = (size_t)get(&at, 8);
    m->n_basis = (size_t)get(&at, 8);
    m->info.n_pairs = get(&at, 8);
    m->info.seed = get(&at, 8);
    m->info.cosine = float_of(get(&at, 4));
    at += 4;
    memcpy(m->info.from, at, LINKD_FINGERPRINT_BYTES);
    memcpy(m->info.to, at + LINKD_FINGERPRINT_BYTES, LINKD_FINGERPRINT_BYTES);
    return at + (size_t)2 * LINKD_FINGERPRINT_BYTES;
}

int linkd_compat_map_decode(const unsigned char *bytes, size_t len,
                            linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_map header = {0};
    linkd_compat_map *map;
    const unsigned char *at;
    lk_map_part parts[LK_MAP_PARTS];
    int rc = envelope_check(bytes, len, err);

    if (rc != LINKD_OK)
        return rc;
    at = header_get(bytes, &header);
    rc = sizes_check(&header, len, err);
    if (rc == LINKD_OK)
        rc = lk_map_new(&header.info, header.n_hidden, header.n_basis, &map,
                        err);
    if (rc != LINKD_OK)
        return rc;
    map->n_unit = header.n_unit;
    lk_map_parts(map, parts);
    for (size_t i = 0; i < LK_MAP_PARTS; i++)
        for (size_t j = 0; j < parts[i].n; j++)
            parts[i].values[j] = float_of(get(&at, 4));
    *ret_map = map;
    return LINKD_OK;
}
