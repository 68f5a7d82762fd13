/* linkage/model_head.h — a model of which a head is part: its vectors are another
 * model's, mapped. Part of linkage.h. */
#ifndef LINKD_LINKAGE_MODEL_HEAD_H
#define LINKD_LINKAGE_MODEL_HEAD_H

#include "base/base.h"
#include "compat/compat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The hexadecimal digits of a model's fingerprint. */
#define LINKD_MODEL_DIGITS 32

/* What a head was learnt from; zero: unknown. */
typedef struct linkd_head_labels {
    uint64_t n_entities;
    uint64_t
        entities;     /* a hash of their names, in the order of their numbers */
    uint64_t records; /* a hash of the texts, and which entity each is of */
} linkd_head_labels;

typedef struct linkd_model_head {
    linkd_compat_map *map; /* NULL: the model has no head */
    char *base;            /* name of the model whose vectors it takes */
    linkd_head_labels labels;
    char fingerprint[LINKD_MODEL_DIGITS + 1]; /* of base and map together */
} linkd_model_head;

void linkd_model_head_clear(linkd_model_head *head);

/* Reads the head in a model's directory: the files "head.map" and "base". None
 * of them is no error. LINKD_E_DATA: one is damaged, or is there alone; the
 * message names it. LINKD_E_IO. */
LINKD_MUST_CHECK int linkd_model_head_read(const char *dir,
                                           linkd_model_head *ret_head,
                                           linkd_error *err);
/* Writes one into a directory that is there. The map's `from` is the base's
 * fingerprint. LINKD_E_IO. */
LINKD_MUST_CHECK int linkd_model_head_write(const char *dir, const char *base,
                                            const linkd_head_labels *labels,
                                            const linkd_compat_map *map,
                                            linkd_error *err);
/* That the head was learnt from this model. LINKD_E_CONFLICT: from another. */
LINKD_MUST_CHECK int linkd_model_head_check(const linkd_model_head *head,
                                            const char *base_fingerprint,
                                            size_t base_dim, linkd_error *err);
/* Maps rows one by one, so that none depends on the others to the last bit:
 * vectors [n, the base's dim], ret_vectors [n, the head's dim], apart. */
LINKD_MUST_CHECK int linkd_model_head_apply(const linkd_model_head *head,
                                            const float *vectors, size_t n,
                                            float *ret_vectors,
                                            linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
