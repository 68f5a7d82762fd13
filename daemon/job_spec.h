/* daemon/job_spec.h — private: what a job is asked to do. */
#ifndef LK_DAEMON_JOB_SPEC_H
#define LK_DAEMON_JOB_SPEC_H

#include "daemon/json.h"
#include "linkage/linkage.h"

typedef enum lk_job_kind {
    LK_JOB_LINK,
    LK_JOB_DEDUP,
    LK_JOB_BACKUP,
    LK_JOB_FSCK,
    LK_JOB_UPGRADE_PROBE,
    LK_JOB_UPGRADE_START,
    LK_JOB_UPGRADE_BACKFILL,
    LK_JOB_UPGRADE_GC,
} lk_job_kind;

/* One table: a collection or an uploaded file. */
typedef struct lk_job_side {
    linkd_str collection;
    linkd_str file;
    const linkd_str *on; /* NULL: the collection's text fields, else all */
    size_t n_on;
} lk_job_side;

/* A query, and the record that answers it. With fewer nothing can be told. */
#define LK_QUERIES_MIN ((size_t)10)
typedef struct lk_job_query {
    linkd_str text;
    linkd_str id;
} lk_job_query;

/* A record, and the entity that it is of. */
typedef struct lk_job_label {
    linkd_str id;
    linkd_str entity;
} lk_job_label;

typedef struct lk_job_spec {
    lk_job_kind kind;
    lk_job_side sides[2]; /* dedup has one */
    size_t n_sides;
    linkd_str block; /* a column of every side; empty: none */
    linkd_str model; /* of files; empty: the daemon's default */
    bool without_model;
    size_t k;         /* 0: what suits the tables */
    double threshold; /* probability, or LINKD_THRESHOLD_AUTO */
    double min_score; /* cosine; NaN: by probability */
    linkd_assign assign;
    linkd_cluster cluster; /* by scores alone */
    bool apply; /* the entities, or a link's left rows, to the collection */
    linkd_str directory; /* of a backup */
    /* Of upgrades */
    linkd_str collection;
    bool auto_head;
    linkd_compat_head head;
    size_t n_anchors;
    linkd_way way;               /* of the collection, from a start on */
    const lk_job_query *queries; /* [n_queries]; none: they are made up */
    size_t n_queries;
    const lk_job_label *labels; /* [n_labels] */
    size_t n_labels;
    size_t limit; /* records of a backfill; 0: all */
    size_t rate;  /* of those a second; 0: as many as go */
} lk_job_spec;

/* Reads the body of a submission. Strings borrow from it, arrays live in the
 * arena. LINKD_E_ARG: the message names the member. */
LINKD_MUST_CHECK int lk_job_spec_read(const json_t *request, lk_arena *arena,
                                      lk_job_spec *ret_spec, linkd_error *err);
const char *lk_job_kind_name(lk_job_kind kind);
const char *lk_job_assign_name(linkd_assign assign);
/* Of a head that an upgrade can have. */
const char *lk_job_head_name(linkd_compat_head head);

#endif
