/* encoder/packing.h — opens a model from what was packed of it before, or the long
 * way, and packs it for the next time. */
#ifndef LK_ENCODER_PACKING_H
#define LK_ENCODER_PACKING_H

#include "encoder/fingerprint.h"
#include "encoder/kernels.h"
#include "encoder/packed.h"

/* How it is done for one kind of model. */
typedef struct lk_packing {
    const char *kind; /* "" or "-vision": tells files in one directory apart */
    /* Hashes all that vectors depend on, which is all that what is packed
     * depends on, but for config.json and the kernels. Called by identities
     * before take() or make(), by contents after make(). */
    int (*hash)(lk_fingerprint *fingerprint, void *model, linkd_error *err);
    /* Takes the model's parts from `packed`. LINKD_E_DATA: it does not fit after
     * all. */
    int (*take)(void *model, const lk_packed *packed, linkd_error *err);
    void (*drop)(void *model); /* what take() did, even half of it */
    /* Makes the parts of the model's own files. */
    int (*make)(void *model, linkd_error *err);
    /* What of them is kept: `ret_packed`'s block, and its tokenizer, which lies in
     * `image`. */
    int (*keep)(const void *model, lk_buf *image, lk_packed *ret_packed,
                linkd_error *err);
    void *model;
} lk_packing;

/* Opens the model in `dir`. `packed` gets the fingerprint, and the mapped file if
 * the model stands on one; the caller closes it after the model. Fails as make()
 * or hash() does, or with LINKD_E_NOMEM or LINKD_E_IO. */
LINKD_MUST_CHECK int lk_packing_open(const lk_packing *packing, const char *dir,
                                     const lk_kernels *kernels,
                                     lk_packed *packed, linkd_error *err);

#endif
