/* daemon/routes.c — every path that linkd answers, and how one is found.
 *
 * The table is short, so a request walks through it; names in braces match one
 * part of the path. Schemas are JSON, kept to what a reader of /openapi.json
 * needs: docs/http-api.md says the rest. */
#include "daemon/routes.h"

#include <string.h>

#include "daemon/handlers.h"
#include "daemon/percent.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
/* A bulk request: research on peers' defaults (32 to 64 MB). 65,536 vectors of
 * 384 floats are 96 MiB. */
#define BULK_MAX   (128 * MIB)
#define UPLOAD_MAX ((size_t)16 << 30)
#define OBJECT     "{\"type\":\"object\"}"

#define COLLECTION "/v1/collections/{collection}"

/* A limit (linkd_limit_parse()). */
#define THRESHOLD                                                              \
 "\"threshold\":{\"oneOf\":["                                                  \
 "{\"type\":\"number\",\"minimum\":-1,\"maximum\":1},"                         \
 "{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,"               \
 "\"additionalProperties\":false,\"properties\":{"                             \
 "\"false_match_rate\":" SHARE ",\"probability\":" SHARE "}}]}"
#define SHARE                                                                  \
 "{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}"

/* `more` members of a start. */
#define UPGRADE(more)                                                          \
 "{\"type\":\"object\",\"required\":[\"model\"],\"properties\":{"              \
 "\"model\":{\"type\":\"string\"},"                                            \
 "\"head\":{\"enum\":[\"auto\",\"procrustes\",\"ridge\",\"mlp\",\"bt2\","      \
 "\"contrast\",\"dsimplex\"]}," more                                           \
 "\"anchors\":{\"type\":\"integer\",\"minimum\":100,\"maximum\":65536,"        \
 "\"default\":4000},"                                                          \
 "\"queries\":{\"type\":\"array\",\"items\":{\"type\":\"object\","             \
 "\"required\":[\"query\",\"id\"]}},"                                          \
 "\"labels\":{\"type\":\"array\",\"items\":{\"type\":\"object\","              \
 "\"required\":[\"id\",\"entity\"]}}}}"

const lk_route lk_routes[] = {
    {LK_GET, "/healthz", lk_handle_healthz, LK_ROLE_NONE, LK_LANE_LOOP, 0,
     false, "healthz", "Whether the process works", NULL, OBJECT},
    {LK_GET, "/readyz", lk_handle_readyz, LK_ROLE_NONE, LK_LANE_LOOP, 0, false,
     "readyz", "Whether requests are served", NULL, OBJECT},
    {LK_GET, "/metrics", lk_handle_metrics, LK_ROLE_READ, LK_LANE_READ, 0,
     false, "metrics", "Counters for Prometheus", NULL, NULL},
    {LK_GET, "/openapi.json", lk_handle_openapi, LK_ROLE_READ, LK_LANE_READ, 0,
     false, "openapi", "This interface, for machines", NULL, OBJECT},
    {LK_GET, "/v1/version", lk_handle_version, LK_ROLE_READ, LK_LANE_READ, 0,
     false, "version", "Versions of linkd and its libraries", NULL, OBJECT},

    {LK_GET, "/v1/collections", lk_handle_list_collections, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "listCollections", "All collections", NULL,
     OBJECT},
    {LK_PUT, COLLECTION, lk_handle_create_collection, LK_ROLE_ADMIN,
     LK_LANE_WRITE, 64 * KIB, false, "createCollection", "Create a collection",
     "{\"type\":\"object\",\"properties\":{"
     "\"model\":{\"type\":[\"string\",\"null\"]},"
     "\"dim\":{\"type\":\"integer\"},"
     "\"text\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
     "\"template\":{\"type\":\"string\"},\"image\":{\"type\":\"string\"},"
     "\"filter\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
     "\"index\":{\"enum\":[\"auto\",\"exact\",\"hnsw\",\"ivf\"]}," THRESHOLD
     "}}",
     OBJECT},
    {LK_GET, COLLECTION, lk_handle_get_collection, LK_ROLE_READ, LK_LANE_READ,
     0, false, "getCollection", "Describe a collection", NULL, OBJECT},
    {LK_DELETE, COLLECTION, lk_handle_drop_collection, LK_ROLE_ADMIN,
     LK_LANE_WRITE, 0, false, "dropCollection",
     "Drop a collection and everything in it", NULL, OBJECT},

    {LK_POST, COLLECTION "/records", lk_handle_put_records, LK_ROLE_WRITE,
     LK_LANE_WRITE, BULK_MAX, false, "putRecords",
     "Create or replace records; all or none",
     "{\"type\":\"object\",\"required\":[\"records\"],\"properties\":{"
     "\"records\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
     "\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"},"
     "\"fields\":{\"type\":\"object\"},\"vector\":{\"oneOf\":["
     "{\"type\":\"array\",\"items\":{\"type\":\"number\"}},"
     "{\"type\":\"string\",\"contentEncoding\":\"base64\"}]}}}}}}",
     OBJECT},
    {LK_GET, COLLECTION "/records", lk_handle_scroll_records, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "scrollRecords", "Records in order of creation",
     NULL, OBJECT},
    {LK_POST, COLLECTION "/records/delete", lk_handle_delete_records,
     LK_ROLE_WRITE, LK_LANE_WRITE, 16 * MIB, false, "deleteRecords",
     "Delete records by id",
     "{\"type\":\"object\",\"required\":[\"ids\"],\"properties\":{"
     "\"ids\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}",
     OBJECT},
    {LK_GET, COLLECTION "/records/{id}", lk_handle_get_record, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "getRecord", "One record", NULL, OBJECT},
    {LK_DELETE, COLLECTION "/records/{id}", lk_handle_delete_record,
     LK_ROLE_WRITE, LK_LANE_WRITE, 0, false, "deleteRecord",
     "Delete one record", NULL, OBJECT},

    {LK_POST, COLLECTION "/search", lk_handle_search, LK_ROLE_READ,
     LK_LANE_READ, 32 * MIB, false, "search",
     "The records nearest to a text, a picture, a vector or a record",
     "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"},"
     "\"image\":{\"type\":\"string\",\"format\":\"uri\"},"
     "\"vector\":{},\"record\":{\"type\":\"string\"},"
     "\"queries\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
     "\"k\":{\"type\":\"integer\",\"default\":10}," THRESHOLD
     ",\"all\":{\"type\":\"boolean\"},"
     "\"filter\":{\"type\":\"object\"},\"fields\":{},"
     "\"exact\":{\"type\":\"boolean\"},\"effort\":{\"type\":\"integer\"},"
     "\"false_match_rate\":" SHARE ",\"probability\":" SHARE ","
     "\"compat\":{\"enum\":[\"fuse\",\"align\",\"cascade\",\"native\"]},"
     "\"candidates\":{\"type\":\"integer\",\"default\":100}}}",
     OBJECT},
    {LK_POST, COLLECTION "/attach", lk_handle_attach, LK_ROLE_WRITE,
     LK_LANE_WRITE, 16 * MIB, false, "attach",
     "Decide which entity a record belongs to, and store it",
     "{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{"
     "\"id\":{\"type\":\"string\"},\"fields\":{\"type\":\"object\"},"
     "\"vector\":{}," THRESHOLD ","
     "\"filter\":{\"type\":\"object\"}}}",
     OBJECT},
    {LK_GET, COLLECTION "/entities/{entity}", lk_handle_get_entity,
     LK_ROLE_READ, LK_LANE_READ, 0, false, "getEntity",
     "The records of an entity", NULL, OBJECT},
    {LK_GET, COLLECTION "/events", lk_handle_list_events, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "listEvents",
     "Merges and splits of entities, oldest first", NULL, OBJECT},

    {LK_GET, COLLECTION "/upgrade", lk_handle_get_upgrade, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "getUpgrade",
     "Generations of a collection, and where its records are", NULL, OBJECT},
    {LK_POST, COLLECTION "/upgrade/estimate", lk_handle_upgrade_estimate,
     LK_ROLE_ADMIN, LK_LANE_WRITE, 16 * MIB, false, "estimateUpgrade",
     "What a probe, or encoding all records anew, would cost", UPGRADE(""),
     OBJECT},
    {LK_POST, COLLECTION "/upgrade/probe", lk_handle_upgrade_probe,
     LK_ROLE_ADMIN, LK_LANE_WRITE, 16 * MIB, false, "probeUpgrade",
     "What another model would bring, as a job", UPGRADE(""), OBJECT},
    {LK_POST, COLLECTION "/upgrade/start", lk_handle_upgrade_start,
     LK_ROLE_ADMIN, LK_LANE_WRITE, 16 * MIB, false, "startUpgrade",
     "Change the model without encoding the records anew, as a job",
     UPGRADE("\"way\":{\"enum\":[\"fuse\",\"align\",\"cascade\"]},"), OBJECT},
    {LK_POST, COLLECTION "/upgrade/backfill", lk_handle_upgrade_backfill,
     LK_ROLE_ADMIN, LK_LANE_WRITE, 64 * KIB, false, "backfillUpgrade",
     "Encode older records with the new model, as a job",
     "{\"type\":\"object\",\"properties\":{\"limit\":{\"type\":\"integer\"},"
     "\"rate\":{\"type\":\"integer\"}}}",
     OBJECT},
    {LK_POST, COLLECTION "/upgrade/rollback", lk_handle_upgrade_rollback,
     LK_ROLE_ADMIN, LK_LANE_WRITE, 64 * KIB, false, "rollbackUpgrade",
     "Let the model before serve again", NULL, OBJECT},
    {LK_POST, COLLECTION "/upgrade/gc", lk_handle_upgrade_gc, LK_ROLE_ADMIN,
     LK_LANE_WRITE, 64 * KIB, false, "collectUpgrade",
     "Free what older models have left behind, as a job", NULL, OBJECT},

    {LK_POST, "/v1/jobs", lk_handle_submit_job, LK_ROLE_WRITE, LK_LANE_WRITE,
     64 * KIB, false, "submitJob", "Submit a link or dedup job",
     "{\"type\":\"object\",\"required\":[\"kind\"],\"properties\":{"
     "\"kind\":{\"enum\":[\"link\",\"dedup\"]},"
     "\"left\":{\"type\":\"object\"},\"right\":{\"type\":\"object\"},"
     "\"input\":{\"type\":\"object\"},"
     "\"on\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
     "\"left_on\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
     "\"right_on\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
     "\"block\":{\"type\":\"string\"},\"model\":{\"type\":\"string\"},"
     "\"assign\":{\"enum\":[\"auto\",\"reciprocal\",\"one-to-one\","
     "\"one-to-many\",\"many-to-one\",\"many-to-many\"]},"
     "\"threshold\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
     "\"min_score\":{\"type\":\"number\",\"minimum\":-1,\"maximum\":1},"
     "\"cluster\":{\"enum\":[\"complete\",\"components\"]},"
     "\"k\":{\"type\":\"integer\"},\"apply\":{\"type\":\"boolean\"}}}",
     OBJECT},
    {LK_GET, "/v1/jobs", lk_handle_list_jobs, LK_ROLE_READ, LK_LANE_READ, 0,
     false, "listJobs", "All jobs, newest first", NULL, OBJECT},
    {LK_GET, "/v1/jobs/{job}", lk_handle_get_job, LK_ROLE_READ, LK_LANE_READ, 0,
     false, "getJob", "State and progress", NULL, OBJECT},
    {LK_DELETE, "/v1/jobs/{job}", lk_handle_delete_job, LK_ROLE_WRITE,
     LK_LANE_WRITE, 0, false, "deleteJob", "Forget an ended job", NULL, OBJECT},
    {LK_GET, "/v1/jobs/{job}/events", lk_handle_watch_job, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "watchJob", "Progress as NDJSON until the end",
     NULL, NULL},
    {LK_POST, "/v1/jobs/{job}/cancel", lk_handle_cancel_job, LK_ROLE_WRITE,
     LK_LANE_WRITE, 64 * KIB, false, "cancelJob", "Stop a job", NULL, OBJECT},
    {LK_GET, "/v1/jobs/{job}/results", lk_handle_get_results, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "getResults", "Rows of the result", NULL, NULL},
    {LK_POST, "/v1/files", lk_handle_upload_file, LK_ROLE_WRITE, LK_LANE_WRITE,
     UPLOAD_MAX, true, "uploadFile", "Upload a table for jobs", NULL, OBJECT},

    {LK_POST, "/v1/embeddings", lk_handle_embeddings, LK_ROLE_READ,
     LK_LANE_EMBED, 32 * MIB, false, "embeddings",
     "Vectors of texts, in OpenAI's shape",
     "{\"type\":\"object\",\"required\":[\"input\"],\"properties\":{"
     "\"input\":{},\"model\":{\"type\":\"string\"},"
     "\"encoding_format\":{\"enum\":[\"float\",\"base64\"]}}}",
     OBJECT},
    {LK_GET, "/v1/models", lk_handle_list_models, LK_ROLE_READ, LK_LANE_READ, 0,
     false, "listModels", "Models of the model store", NULL, OBJECT},
    {LK_GET, "/v1/models/{model}", lk_handle_get_model, LK_ROLE_READ,
     LK_LANE_READ, 0, false, "getModel", "Describe a model", NULL, OBJECT},

    {LK_POST, "/v1/admin/backup", lk_handle_backup, LK_ROLE_ADMIN,
     LK_LANE_WRITE, 64 * KIB, false, "backup", "Hot backup, as a job",
     "{\"type\":\"object\",\"required\":[\"directory\"],\"properties\":{"
     "\"directory\":{\"type\":\"string\"}}}",
     OBJECT},
    {LK_POST, "/v1/admin/fsck", lk_handle_fsck, LK_ROLE_ADMIN, LK_LANE_WRITE,
     64 * KIB, false, "fsck", "Verify everything, as a job", NULL, OBJECT},
};
const size_t lk_n_routes = sizeof(lk_routes) / sizeof(lk_routes[0]);

static const char *const method_names[LK_N_METHODS] = {
    [LK_GET] = "GET",
    [LK_PUT] = "PUT",
    [LK_POST] = "POST",
    [LK_DELETE] = "DELETE",
};

/* Cuts the part of `path` up to the next '/'; both begin with one. */
static linkd_str part_next(linkd_str *path)
{
    linkd_str part = {path->bytes + 1, 0};
    size_t left = path->len - 1;

    while (part.len < left && part.bytes[part.len] != '/')
        part.len++;
    path->bytes += part.len + 1;
    path->len -= part.len + 1;
    return part;
}

/* Whether the path has the pattern's form; the undecoded params. */
static bool path_matches(const char *pattern, linkd_str path,
                         linkd_str params[LK_PARAMS_MAX])
{
    linkd_str form = {pattern, strlen(pattern)};
    size_t n_params = 0;

    while (form.len > 0 && path.len > 0) {
        linkd_str wanted = part_next(&form);
        linkd_str given = part_next(&path);

        if (wanted.len > 0 && wanted.bytes[0] == '{') {
            if (given.len == 0)
                return false;
            params[n_params++] = given;
        } else if (wanted.len != given.len ||
                   memcmp(wanted.bytes, given.bytes, given.len) != 0) {
            return false;
        }
    }
    return form.len == 0 && path.len == 0;
}

static int params_decode(lk_request *request,
                         const linkd_str params[LK_PARAMS_MAX],
                         linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < LK_PARAMS_MAX && rc == LINKD_OK; i++)
        if (params[i].bytes != NULL)
            rc = lk_percent_decode(&request->arena, params[i], false,
                                   &request->params[i], err);
    return rc;
}

int lk_routes_find(lk_request *request, const lk_route **ret_route,
                   lk_buf *ret_allow, linkd_error *err)
{
    lk_buf_reset(ret_allow);
    for (size_t i = 0; i < lk_n_routes; i++) {
        const lk_route *route = &lk_routes[i];
        linkd_str params[LK_PARAMS_MAX] = {{0}};
        int rc;

        if (request->path.len == 0 || request->path.bytes[0] != '/' ||
            !path_matches(route->path, request->path, params))
            continue;
        if (route->method == request->method) {
            *ret_route = route;
            return params_decode(request, params, err);
        }
        rc = lk_buf_printf(ret_allow, err, "%s%s",
                           ret_allow->len > 0 ? ", " : "",
                           method_names[route->method]);
        if (rc != LINKD_OK)
            return rc;
    }
    if (ret_allow->len > 0)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "this path is answered to %s only", ret_allow->data);
    return lk_fail(err, LINKD_E_ABSENT, "there is no such path");
}
