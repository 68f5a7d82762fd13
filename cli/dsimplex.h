/* cli/dsimplex.h — --head dsimplex: a model with a head that is learnt from
 * labelled records, for a collection. */
#ifndef LINKD_CLI_DSIMPLEX_H
#define LINKD_CLI_DSIMPLEX_H

#include <jansson.h>

#include "cli/command.h"

/* Name of the column of entities in a file of labels. */
#define LK_DSIMPLEX_COLUMN "entity"

typedef struct lk_dsimplex {
    const char *base;       /* the model that gets the head */
    const char *collection; /* that it is for */
    const char *labels;     /* a table with the collection's fields, and with a
                               column "entity": equal values are one entity */
    const json_t *settings; /* an object whose "text" and "template" say how a
                               record becomes text, as a collection's do */
    size_t n_classes;       /* entities that there is room for; 0: 1024 */
    const char *earlier;    /* a model with a head of as many classes, to whose
                               vectors of the records the new ones shall be near;
                               NULL: none. Its base may be gone */
} lk_dsimplex;

/* Learns the head and puts it into the model store as a model "BASE+COLLECTION":
 * its name is appended to `ret_name`. Entities are numbered as they come first,
 * so that heads of several models that are learnt from one file make vectors
 * that compare. A model of that name that was learnt from the same is taken.
 * LINKD_E_ARG: it was learnt from other labels, or too few records or entities, or
 * too many of these. LINKD_E_DATA: the file; it numbers the entities of `earlier`
 * otherwise. */
LINKD_MUST_CHECK int lk_dsimplex_make(lk_cli *cli, const lk_dsimplex *options,
                                      lk_buf *ret_name, linkd_error *err);

/* The classes of a model of the store that has such a head; 0: it has none. */
LINKD_MUST_CHECK int lk_dsimplex_classes(const char *model, size_t *ret_n,
                                         linkd_error *err);

#endif
