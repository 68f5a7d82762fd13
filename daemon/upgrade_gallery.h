/* daemon/upgrade_gallery.h — private: the texts of an upgrade's sample, found by
 * what they say, and put together where they answer the same queries.
 *
 * Records of the same text are one to every model: the first one stands for
 * all. No answer may have been fitted on, or queries would flatter the map, so
 * anchors that answer are held out; but not more than a fifth of them. Nor may what
 * stands beside the answers, or queries would belie it: where fewer answer, others
 * are held out, too. */
#ifndef LK_DAEMON_UPGRADE_GALLERY_H
#define LK_DAEMON_UPGRADE_GALLERY_H

#include "daemon/upgrade.h"

typedef struct lk_gallery {
    lk_upgrade_sample *sample;
    uint32_t *places; /* [n_places], by hash: a text's number + 1, or 0 */
    size_t n_places;
    bool *has_twins; /* [n_kept]: the text is several anchors' */
    size_t n_held;   /* anchors */
    size_t n_most;   /* texts that there is room for */
} lk_gallery;

/* Over the anchors of a sample that has room for so many texts more. */
LINKD_MUST_CHECK int lk_gallery_open(lk_upgrade_sample *sample, size_t n_added,
                                     lk_gallery *ret_gallery, linkd_error *err);
void lk_gallery_close(lk_gallery *gallery);
/* SIZE_MAX: there is no such text. */
size_t lk_gallery_find(const lk_gallery *gallery, linkd_str text);
/* Adds the text if need be; SIZE_MAX: there is no more room. */
LINKD_MUST_CHECK int lk_gallery_add(lk_gallery *gallery, linkd_str text,
                                    size_t *ret_place, linkd_error *err);
/* The same, and holds it out of the fit; SIZE_MAX, too: it is an anchor that
 * cannot be held out any more. */
LINKD_MUST_CHECK int lk_gallery_hold(lk_gallery *gallery, linkd_str text,
                                     size_t *ret_place, linkd_error *err);
/* Holds out anchors that do not answer, one in five at most together with those that
 * do; but none whose label is below `n_taught`. */
void lk_gallery_hold_others(lk_gallery *gallery, uint64_t n_taught);
/* From now on what answers with one text answers with the other. */
void lk_gallery_join(lk_gallery *gallery, size_t a, size_t b);
/* Has the sample's groups name one text each, after the last join. */
void lk_gallery_settle(lk_gallery *gallery);
/* Adds a query; the text is copied. `asked`: its own place, which is no answer,
 * or SIZE_MAX. */
LINKD_MUST_CHECK int lk_gallery_ask(lk_gallery *gallery, linkd_str query,
                                    size_t answer, size_t asked,
                                    linkd_error *err);
/* The text of a record; `what` names it where it is not there. LINKD_E_ARG. */
LINKD_MUST_CHECK int lk_gallery_read(const lk_upgrade_sample *sample,
                                     linkd_view *view, linkd_str id,
                                     const char *what, lk_buf *ret_text,
                                     linkd_error *err);

/* Queries, answers, texts to learn from and entities, by the job's labels
 * (upgrade_labels.c). */
LINKD_MUST_CHECK int lk_upgrade_labels_make(lk_gallery *gallery,
                                            linkd_view *view,
                                            const lk_job_spec *spec,
                                            linkd_error *err);

#endif
