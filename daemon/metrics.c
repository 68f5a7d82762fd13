/* daemon/metrics.c — what linkd counts, and Prometheus' text form of it.
 *
 * Counting happens on every request, so it is an atomic addition without a
 * lock; a reader may see a request in one counter and not yet in the next, as
 * Prometheus expects. Buckets are kept apart and summed up when printed.
 *
 * Routes are labelled by their pattern, never by what a client sent: the number
 * of series is bounded by the table of routes. */
#include "daemon/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/jobs.h"
#include "daemon/service.h"

/* From an exact search in a small collection to a link that waits. */
static const double bounds[] = {.001, .002, .005, .01, .02, .05, .1,
                                .2,   .5,   1,    2,   5,   10};
#define N_BUCKETS (sizeof(bounds) / sizeof(*bounds) + 1) /* the last: +Inf */
#define N_CLASSES 5                                      /* 1xx … 5xx */

typedef struct route_counts {
    atomic_uint_fast64_t by_class[N_CLASSES];
    atomic_uint_fast64_t by_duration[N_BUCKETS];
    atomic_uint_fast64_t nanoseconds;
} route_counts;

struct lk_metrics {
    route_counts *routes; /* [lk_n_routes + 1]: the last for no route */
    atomic_uint_fast64_t n_refused;
    atomic_int_fast64_t n_connections;
    atomic_uint_fast64_t n_texts;
    atomic_uint_fast64_t n_tokens;
    atomic_uint_fast64_t n_batches;
    atomic_uint_fast64_t n_cascade_encoded;
    atomic_uint_fast64_t n_cascade_moved;
    atomic_uint_fast64_t n_cascade_degraded;
};

static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

int lk_metrics_new(lk_metrics **ret_metrics, linkd_error *err)
{
    lk_metrics *metrics = calloc(1, sizeof(*metrics));

    if (metrics == NULL)
        return lk_fail_nomem(err);
    metrics->routes = calloc(lk_n_routes + 1, sizeof(*metrics->routes));
    if (metrics->routes == NULL) {
        free(metrics);
        return lk_fail_nomem(err);
    }
    *ret_metrics = metrics;
    return LINKD_OK;
}

void lk_metrics_free(lk_metrics *metrics)
{
    if (metrics == NULL)
        return;
    free(metrics->routes);
    free(metrics);
}

/* ---- counting ----------------------------------------------------------- */

void lk_metrics_count_request(lk_metrics *metrics, size_t route, int status,
                              double seconds)
{
    route_counts *counts;
    size_t bucket = 0;
    int class = status / 100 - 1;

    LK_ASSERT(route <= lk_n_routes);
    LK_ASSERT(class >= 0 && class < N_CLASSES);
    counts = &metrics->routes[route];
    while (bucket < N_BUCKETS - 1 && seconds > bounds[bucket])
        bucket++;
    add(&counts->by_class[class], 1);
    add(&counts->by_duration[bucket], 1);
    add(&counts->nanoseconds, seconds > 0 ? (uint64_t)(seconds * 1e9) : 0);
}

void lk_metrics_count_refused(lk_metrics *metrics)
{
    add(&metrics->n_refused, 1);
}

void lk_metrics_add_connections(lk_metrics *metrics, int n)
{
    atomic_fetch_add_explicit(&metrics->n_connections, n, memory_order_relaxed);
}

void lk_metrics_count_encoded(lk_metrics *metrics, uint64_t n_texts,
                              uint64_t n_tokens, uint64_t n_batches)
{
    add(&metrics->n_texts, n_texts);
    add(&metrics->n_tokens, n_tokens);
    add(&metrics->n_batches, n_batches);
}

void lk_metrics_count_cascade(lk_metrics *metrics, uint64_t n_encoded,
                              uint64_t n_moved)
{
    add(&metrics->n_cascade_encoded, n_encoded);
    add(&metrics->n_cascade_moved, n_moved);
}

void lk_metrics_count_degraded(lk_metrics *metrics)
{
    add(&metrics->n_cascade_degraded, 1);
}

/* ---- printing ----------------------------------------------------------- */

/* After a failure nothing more is printed; `rc` is the first one. */
typedef struct printer {
    lk_buf *out;
    linkd_error *err;
    int rc;
} printer;

static void print(printer *p, const char *format, ...) LK_PRINTF(2, 3);

static void print(printer *p, const char *format, ...)
{
    char line[512]; /* names, help and labels are ours: they fit */
    va_list args;
    int len;

    if (p->rc != LINKD_OK)
        return;
    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    LK_ASSERT(len >= 0 && (size_t)len < sizeof(line));
    p->rc = lk_buf_append(p->out, line, (size_t)len, p->err);
}

static void print_family(printer *p, const char *name, const char *type,
                         const char *help)
{
    print(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_value(printer *p, const char *name, const char *type,
                        const char *help, uint64_t value)
{
    print_family(p, name, type, help);
    print(p, "%s %" PRIu64 "\n", name, value);
}

static uint64_t n_requests(const route_counts *counts)
{
    uint64_t n = 0;

    for (size_t i = 0; i < N_BUCKETS; i++)
        n += get(&counts->by_duration[i]);
    return n;
}

static void labels_format(size_t route, char *ret_labels, size_t size)
{
    static const char *const methods[LK_N_METHODS] = {
        [LK_GET] = "GET",
        [LK_PUT] = "PUT",
        [LK_POST] = "POST",
        [LK_DELETE] = "DELETE",
    };
    bool is_known = route < lk_n_routes;

    (void)snprintf(ret_labels, size, "method=\"%s\",route=\"%s\"",
                   is_known ? methods[lk_routes[route].method] : "none",
                   is_known ? lk_routes[route].path : "none");
}

static void print_requests(printer *p, const lk_metrics *metrics)
{
    static const char name[] = "linkd_http_requests_total";

    print_family(p, name, "counter", "Requests that were answered.");
    for (size_t route = 0; route <= lk_n_routes; route++) {
        char labels[200];

        labels_format(route, labels, sizeof(labels));
        for (size_t class = 0; class < N_CLASSES; class ++) {
            uint64_t n = get(&metrics->routes[route].by_class[class]);

            if (n > 0)
                print(p, "%s{%s,status=\"%zuxx\"} %" PRIu64 "\n", name, labels,
                      class + 1, n);
        }
    }
}

static void print_histogram(printer *p, const char *name, const char *labels,
                            const route_counts *counts)
{
    uint64_t n = 0;

    for (size_t i = 0; i < N_BUCKETS; i++) {
        char bound[16] = "+Inf";

        if (i < N_BUCKETS - 1)
            (void)snprintf(bound, sizeof(bound), "%g", bounds[i]);
        n += get(&counts->by_duration[i]);
        print(p, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, labels, bound,
              n);
    }
    print(p, "%s_sum{%s} %.9f\n", name, labels,
          (double)get(&counts->nanoseconds) * 1e-9);
    print(p, "%s_count{%s} %" PRIu64 "\n", name, labels, n);
}

static void print_durations(printer *p, const lk_metrics *metrics)
{
    static const char name[] = "linkd_http_request_duration_seconds";

    print_family(p, name, "histogram",
                 "From the last byte read to the first byte written.");
    for (size_t route = 0; route <= lk_n_routes; route++) {
        char labels[200];

        if (n_requests(&metrics->routes[route]) == 0)
            continue;
        labels_format(route, labels, sizeof(labels));
        print_histogram(p, name, labels, &metrics->routes[route]);
    }
}

static void print_server(printer *p, const lk_metrics *metrics)
{
    int64_t n_connections = atomic_load(&metrics->n_connections);

    print_value(p, "linkd_http_refused_total", "counter",
                "Requests and connections refused because of a limit.",
                get(&metrics->n_refused));
    print_family(p, "linkd_http_connections", "gauge", "Open connections.");
    print(p, "linkd_http_connections %" PRId64 "\n", n_connections);
    print_value(p, "linkd_encoder_texts_total", "counter",
                "Texts that were encoded.", get(&metrics->n_texts));
    print_value(p, "linkd_encoder_tokens_total", "counter",
                "Tokens that were encoded.", get(&metrics->n_tokens));
    print_value(p, "linkd_encoder_batches_total", "counter",
                "Batches that texts were encoded in.",
                get(&metrics->n_batches));
}

static void print_cascades(printer *p, const lk_metrics *metrics)
{
    print_value(p, "linkd_cascade_encoded_total", "counter",
                "Records that searches have encoded anew.",
                get(&metrics->n_cascade_encoded));
    print_value(p, "linkd_cascade_moved_total", "counter",
                "Of these, moved to the model that serves.",
                get(&metrics->n_cascade_moved));
    print_value(p, "linkd_cascade_degraded_total", "counter",
                "Times that a search went on without encoding or moving them.",
                get(&metrics->n_cascade_degraded));
}

static void print_writes(printer *p, const linkd_store_stats *stats)
{
    print_value(p, "linkd_store_sequence", "gauge",
                "Number of the last change.", stats->seq);
    print_value(p, "linkd_store_commits_total", "counter",
                "Groups of writes brought to disk since start.",
                stats->n_commits);
    print_value(p, "linkd_store_writes_total", "counter",
                "Writes acknowledged since start.", stats->n_writes);
    print_value(p, "linkd_store_queued_writes", "gauge", "Writes that wait.",
                stats->n_queued);
    print_family(p, "linkd_store_commit_seconds_total", "counter",
                 "Time spent in commits since start.");
    print(p, "linkd_store_commit_seconds_total %.9f\n",
          (double)stats->commit_ns * 1e-9);
    print_value(p, "linkd_store_fenced", "gauge",
                "1 after a commit failed: nothing is written any more.",
                stats->fenced);
}

static void print_space(printer *p, const linkd_store_stats *stats)
{
    print_value(p, "linkd_store_database_limit_bytes", "gauge",
                "That the database may grow to.", stats->map_bytes);
    print_value(p, "linkd_store_database_used_bytes", "gauge",
                "Of the database in use.", stats->used_bytes);
    print_value(p, "linkd_store_segments", "gauge", "Segments loaded.",
                stats->n_segments);
    print_value(p, "linkd_store_segment_bytes", "gauge", "Of loaded segments.",
                stats->segment_bytes);
    print_value(p, "linkd_store_damaged_segments_total", "counter",
                "Segments found damaged since start.", stats->n_damaged);
    print_value(p, "linkd_store_built_segments_total", "counter",
                "Segments built since start.", stats->n_built);
    print_value(p, "linkd_store_building", "gauge",
                "1 while a segment is being built.", stats->building);
}

static void print_jobs(printer *p, lk_jobs *jobs)
{
    static const char format[] = "linkd_jobs{state=\"%s\"} %" PRIu64 "\n";
    lk_jobs_stats stats;

    lk_jobs_read_stats(jobs, &stats);
    print_family(p, "linkd_jobs", "gauge", "Jobs that are kept, by state.");
    print(p, format, "queued", stats.n_queued);
    print(p, format, "running", stats.n_running);
    print(p, format, "done", stats.n_done);
    print(p, format, "failed", stats.n_failed);
    print(p, format, "cancelled", stats.n_cancelled);
}

/* ---- the process -------------------------------------------------------- */

/* Bytes of a line "RssAnon:     1234 kB" of /proc/self/status, or 0. */
static uint64_t status_bytes(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) << 10;
}

/* Mapped pages are the system's to take back; anonymous ones are not. */
static void print_memory(printer *p)
{
    static const char name[] = "linkd_process_resident_memory_bytes";
    char status[8192] = "";
    FILE *file = fopen("/proc/self/status", "re");

    if (file != NULL) {
        size_t n = fread(status, 1, sizeof(status) - 1, file);

        status[n] = '\0';
        (void)fclose(file);
    }
    print_family(p, name, "gauge", "Memory in RAM: its own, and mapped files.");
    print(p, "%s{kind=\"anonymous\"} %" PRIu64 "\n", name,
          status_bytes(status, "\nRssAnon:"));
    print(p, "%s{kind=\"file\"} %" PRIu64 "\n", name,
          status_bytes(status, "\nRssFile:"));
}

/* The directory that is read for it is not counted. */
static uint64_t n_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint64_t n = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    (void)closedir(dir);
    return n - 1;
}

static void print_process(printer *p)
{
    print_memory(p);
    print_value(p, "linkd_process_open_fds", "gauge", "Open descriptors.",
                n_open_files());
    print_family(p, "linkd_build_info", "gauge", "Versions, as labels.");
    print(p, "linkd_build_info{version=\"%s\",index=\"%s\"} 1\n", LINKD_VERSION,
          linkd_index_library());
}

int lk_metrics_print(lk_metrics *metrics, lk_service *service, lk_buf *ret_text,
                     linkd_error *err)
{
    printer p = {.out = ret_text, .err = err, .rc = LINKD_OK};
    /* before READY the store and the jobs belong to the thread that loads */
    bool is_loaded = atomic_load(&service->phase) != LK_PHASE_LOADING;

    print_requests(&p, metrics);
    print_durations(&p, metrics);
    print_server(&p, metrics);
    print_cascades(&p, metrics);
    if (is_loaded && service->store != NULL) {
        linkd_store_stats stats;

        linkd_store_read_stats(service->store, &stats);
        print_writes(&p, &stats);
        print_space(&p, &stats);
    }
    if (is_loaded && service->jobs != NULL)
        print_jobs(&p, service->jobs);
    print_process(&p);
    return p.rc;
}
