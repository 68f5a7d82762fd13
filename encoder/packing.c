/* encoder/packing.c — opens a model from what was packed of it before.
 *
 *   files' identities, our own code ─► key ─► a file of that key (packed.c) ─► take
 *                                               none, or unfit ─► make ─► save */
#include "encoder/packing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Where what was packed of a model with these kernels is. */
typedef struct place {
    const char *dir;
    char layout[48];
    lk_packed_key key;
    int64_t changed_ns; /* as lk_fingerprint has it */
} place;

/* config.json, too, since its sizes shape the block. */
static int sources_hash(const lk_packing *packing, const place *p,
                        lk_fingerprint *f, linkd_error *err)
{
    bool exists;
    int rc;

    lk_fingerprint_text(f, LK_ENCODER_SOURCES);
    lk_fingerprint_text(f, p->layout);
    rc = packing->hash(f, packing->model, err);
    if (rc == LINKD_OK)
        rc = lk_fingerprint_file(f, p->dir, "config.json", &exists, err);
    return rc;
}

static int place_find(const lk_packing *packing, const char *dir,
                      const lk_kernels *kernels, place *ret_place,
                      linkd_error *err)
{
    lk_fingerprint f;
    int rc = lk_fingerprint_begin(&f, true, err);

    if (rc != LINKD_OK)
        return rc;
    ret_place->dir = dir;
    (void)snprintf(ret_place->layout, sizeof(ret_place->layout), "%s-%s%s",
                   kernels->isa, kernels->precision, packing->kind);
    rc = sources_hash(packing, ret_place, &f, err);
    ret_place->changed_ns = f.changed_ns;
    ret_place->key = lk_fingerprint_end_key(&f);
    return rc;
}

/* Writes down what was made, unless a file was changed so lately that it may
 * change again without the file system's clock having moved on. */
static int save(const lk_packing *packing, const place *p,
                const char *fingerprint, linkd_error *err)
{
    lk_packed made = {0};
    lk_buf image = {0};
    struct timespec now;
    int rc;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec - p->changed_ns / 1000000000 < lk_packed_settle_seconds)
        return LINKD_OK;
    memcpy(made.fingerprint, fingerprint, sizeof(made.fingerprint));
    rc = packing->keep(packing->model, &image, &made, err);
    if (rc == LINKD_OK)
        rc = lk_packed_save(p->dir, p->layout, p->key, &made, err);
    lk_buf_clear(&image);
    return rc;
}

static int fingerprint_compute(const lk_packing *packing,
                               char ret_fingerprint[], linkd_error *err)
{
    lk_fingerprint f;
    int rc = lk_fingerprint_begin(&f, false, err);

    if (rc != LINKD_OK)
        return rc;
    rc = packing->hash(&f, packing->model, err);
    lk_fingerprint_end(&f, ret_fingerprint);
    return rc;
}

static int make(const lk_packing *packing, lk_packed *packed, linkd_error *err)
{
    int rc = packing->make(packing->model, err);

    return rc == LINKD_OK
               ? fingerprint_compute(packing, packed->fingerprint, err)
               : rc;
}

int lk_packing_open(const lk_packing *packing, const char *dir,
                    const lk_kernels *kernels, lk_packed *packed,
                    linkd_error *err)
{
    place p = {0};
    int rc;

    if (!lk_packed_is_wanted())
        return make(packing, packed, err);
    rc = place_find(packing, dir, kernels, &p, err);
    if (rc == LINKD_OK)
        rc = lk_packed_open(dir, p.layout, p.key, packed, err);
    if (rc != LINKD_OK)
        return rc;
    if (packed->block != NULL) {
        rc = packing->take(packing->model, packed, err);
        if (rc != LINKD_E_DATA)
            return rc;
        packing->drop(packing->model);
        lk_packed_close(packed);
    }
    rc = make(packing, packed, err);
    return rc == LINKD_OK ? save(packing, &p, packed->fingerprint, err) : rc;
}
