/* daemon/upgrade_quality.c — what a start has measured, kept for those who ask later
 * how good a collection is by now, and what is left to do.
 *
 *   {"queries": "provisional", "n_queries": 300,
 *    "mrr_10": {"old": .823, "align": .581, "fuse": .884, "cascade": .926, "new": .925},
 *    "curve": [{"share": 0, "mrr_10": .884}, … {"share": 1, "mrr_10": .925}],
 *    "seconds_per_text": .0102, "share_encoded": .5}
 *
 * The first four are of the verdict (docs/upgrade.md), and are shown as they are. */
#include "daemon/upgrade.h"

#include <math.h>
#include <string.h>

static const char *const figures[] = {"queries", "n_queries", "mrr_10",
                                      "curve"};
#define N_FIGURES (sizeof(figures) / sizeof(*figures))

/* ---- to bytes --------------------------------------------------------------- */

/* MRR@10 of each way of a verdict. */
static json_t *ways_pick(const json_t *verdict)
{
    json_t *ways = json_object_get(verdict, "ways");
    json_t *picked = json_object();
    const char *way;
    json_t *of_way;
    int rc = picked == NULL ? -1 : 0;

    json_object_foreach(ways, way, of_way) rc =
        rc != 0
            ? rc
            : json_object_set(picked, way, json_object_get(of_way, "mrr_10"));
    if (rc == 0)
        return picked;
    json_decref(picked);
    return NULL;
}

static json_t *object_make(const json_t *verdict, const lk_upgrade_sample *s)
{
    double share = (double)s->n_kept / (double)s->n_records;

    return json_pack(
        "{s:O, s:O, s:o, s:O, s:f, s:f}", figures[0],
        json_object_get(verdict, "queries"), figures[1],
        json_object_get(verdict, "n_queries"), figures[2], ways_pick(verdict),
        figures[3],
        json_object_get(json_object_get(verdict, "curve"), "points"),
        "seconds_per_text", s->seconds_per_text, "share_encoded",
        share < 1.0 ? share : 1.0);
}

int lk_upgrade_quality_encode(const json_t *verdict,
                              const lk_upgrade_sample *sample,
                              lk_buf *ret_bytes, linkd_error *err)
{
    json_t *object = object_make(verdict, sample);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    int rc = text == NULL ? lk_fail_nomem(err)
                          : lk_buf_append(ret_bytes, text, strlen(text), err);

    free(text);
    json_decref(object);
    return rc;
}

/* ---- from bytes --------------------------------------------------------------- */

static bool is_share(const json_t *value)
{
    double number = json_number_value(value);

    return json_is_number(value) && number >= 0.0 && number <= 1.0;
}

/* From share 0 to 1, and rising. */
static bool is_curve(const json_t *curve)
{
    size_t n = json_array_size(curve);
    double last = -1.0;

    for (size_t i = 0; i < n; i++) {
        const json_t *point = json_array_get(curve, i);
        const json_t *share = json_object_get(point, "share");

        if (!is_share(share) || !is_share(json_object_get(point, "mrr_10")) ||
            json_number_value(share) <= last ||
            (i == 0 && json_number_value(share) > 0.0))
            return false;
        last = json_number_value(share);
    }
    return n > 1 && last >= 1.0;
}

static bool is_quality(const json_t *object)
{
    static const char *const ways[] = {"old", "align", "fuse", "cascade",
                                       "new"};
    const json_t *mrr_10 = json_object_get(object, "mrr_10");
    const json_t *seconds = json_object_get(object, "seconds_per_text");
    bool is_whole = json_is_string(json_object_get(object, "queries")) &&
                    json_is_integer(json_object_get(object, "n_queries")) &&
                    json_is_number(seconds) &&
                    json_number_value(seconds) >= 0.0 &&
                    is_share(json_object_get(object, "share_encoded")) &&
                    is_curve(json_object_get(object, "curve"));

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        is_whole = is_whole && is_share(json_object_get(mrr_10, ways[i]));
    return is_whole;
}

int lk_upgrade_quality_decode(linkd_str bytes, lk_upgrade_quality *ret_quality,
                              linkd_error *err)
{
    json_error_t why;
    json_t *object =
        json_loadb(bytes.bytes, bytes.len, JSON_REJECT_DUPLICATES, &why);
    lk_upgrade_quality q = {.figures = json_object()};
    int rc = LINKD_OK;

    if (q.figures == NULL)
        rc = lk_fail_nomem(err);
    else if (!is_quality(object))
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: a generation's figures are none");
    for (size_t i = 0; i < N_FIGURES && rc == LINKD_OK; i++)
        if (json_object_set(q.figures, figures[i],
                            json_object_get(object, figures[i])) != 0)
            rc = lk_fail_nomem(err);
    if (rc == LINKD_OK) {
        q.seconds_per_text =
            json_number_value(json_object_get(object, "seconds_per_text"));
        q.share_encoded =
            json_number_value(json_object_get(object, "share_encoded"));
        *ret_quality = q;
    } else {
        json_decref(q.figures);
    }
    json_decref(object);
    return rc;
}

/* ---- what is expected ------------------------------------------------------------ */

static double way_mrr(const lk_upgrade_quality *q, const char *way)
{
    const json_t *ways = json_object_get(q->figures, "mrr_10");

    return json_number_value(json_object_get(ways, way));
}

static double curve_at(const json_t *curve, double share)
{
    size_t n = json_array_size(curve);
    double last_share = 0.0;
    double last = 0.0;

    for (size_t i = 0; i < n; i++) {
        const json_t *point = json_array_get(curve, i);
        double at = json_number_value(json_object_get(point, "share"));
        double value = json_number_value(json_object_get(point, "mrr_10"));

        if (share <= at)
            return at > last_share
                       ? last + (value - last) * (share - last_share) /
                                    (at - last_share)
                       : value;
        last_share = at;
        last = value;
    }
    return last;
}

double lk_upgrade_quality_expected(const lk_upgrade_quality *quality,
                                   linkd_way way, double share)
{
    double end = way_mrr(quality, "new");
    double begin;

    if (way == LINKD_WAY_FUSE)
        return curve_at(json_object_get(quality->figures, "curve"), share);
    begin = way_mrr(quality, linkd_way_words[way]);
    return begin + (end - begin) * share;
}
