#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/service.h"

typedef struct fixture {
    lk_service service; /* that still loads: without store and jobs */
    lk_metrics *metrics;
    lk_buf text;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_metrics_new(&f->metrics, &f->err), LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_metrics_free(f->metrics);
    lk_buf_clear(&f->text);
    free(f);
    return 0;
}

static void metrics_print(fixture *f)
{
    lk_buf_reset(&f->text);
    assert_int_equal(
        lk_metrics_print(f->metrics, &f->service, &f->text, &f->err), LINKD_OK);
}

static void has_line(const fixture *f, const char *line)
{
    const char *at = strstr(f->text.data, line);

    if (at == NULL)
        print_message("no line %s in\n%s", line, f->text.data);
    assert_non_null(at);
    assert_true(at == f->text.data || at[-1] == '\n');
    assert_true(at[strlen(line)] == '\n');
}

/* /healthz is the first route. */
static void requests_are_counted_by_route_and_class(void **state)
{
    fixture *f = *state;

    lk_metrics_count_request(f->metrics, 0, 200, 0.001);
    lk_metrics_count_request(f->metrics, 0, 204, 0.001);
    lk_metrics_count_request(f->metrics, 0, 503, 0.001);
    lk_metrics_count_request(f->metrics, lk_n_routes, 404, 0.001);
    metrics_print(f);
    has_line(f, "linkd_http_requests_total{method=\"GET\",route=\"/healthz\","
                "status=\"2xx\"} 2");
    has_line(f, "linkd_http_requests_total{method=\"GET\",route=\"/healthz\","
                "status=\"5xx\"} 1");
    has_line(f, "linkd_http_requests_total{method=\"none\",route=\"none\","
                "status=\"4xx\"} 1");
}

/* Prometheus' buckets are cumulative, and a bound belongs to its bucket. */
static void durations_fall_into_cumulative_buckets(void **state)
{
#define BUCKET                                                                 \
 "linkd_http_request_duration_seconds_bucket{method=\"GET\","                  \
 "route=\"/healthz\",le="
#define LABELS "{method=\"GET\",route=\"/healthz\"}"
    fixture *f = *state;

    lk_metrics_count_request(f->metrics, 0, 200, 0.0005);
    lk_metrics_count_request(f->metrics, 0, 200, 0.5);
    lk_metrics_count_request(f->metrics, 0, 200, 11.0);
    metrics_print(f);
    has_line(f, BUCKET "\"0.001\"} 1");
    has_line(f, BUCKET "\"0.2\"} 1");
    has_line(f, BUCKET "\"0.5\"} 2");
    has_line(f, BUCKET "\"10\"} 2");
    has_line(f, BUCKET "\"+Inf\"} 3");
    has_line(f,
             "linkd_http_request_duration_seconds_sum" LABELS " 11.500500000");
    has_line(f, "linkd_http_request_duration_seconds_count" LABELS " 3");
}

static void the_other_counters_add_up(void **state)
{
    fixture *f = *state;

    lk_metrics_count_refused(f->metrics);
    lk_metrics_add_connections(f->metrics, 1);
    lk_metrics_add_connections(f->metrics, 1);
    lk_metrics_add_connections(f->metrics, -1);
    lk_metrics_count_encoded(f->metrics, 3, 40, 1);
    lk_metrics_count_encoded(f->metrics, 2, 10, 1);
    lk_metrics_count_cascade(f->metrics, 7, 0);
    lk_metrics_count_cascade(f->metrics, 0, 6);
    lk_metrics_count_degraded(f->metrics);
    metrics_print(f);
    has_line(f, "linkd_http_refused_total 1");
    has_line(f, "linkd_http_connections 1");
    has_line(f, "linkd_encoder_texts_total 5");
    has_line(f, "linkd_encoder_tokens_total 50");
    has_line(f, "linkd_encoder_batches_total 2");
    has_line(f, "linkd_cascade_encoded_total 7");
    has_line(f, "linkd_cascade_moved_total 6");
    has_line(f, "linkd_cascade_degraded_total 1");
}

/* A family that is announced twice, or not at all, stops a scrape. */
static void every_sample_follows_its_family_s_help_and_type(void **state)
{
    fixture *f = *state;
    char family[128] = "";
    size_t n_families = 0;

    lk_metrics_count_request(f->metrics, 0, 200, 0.001);
    metrics_print(f);
    assert_int_equal(f->text.data[f->text.len - 1], '\n');
    for (char *line = strtok(f->text.data, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        char name[128];

        if (sscanf(line, "# HELP %127s", name) == 1) {
            strcpy(family, name);
            n_families++;
        } else if (sscanf(line, "# TYPE %127s", name) == 1) {
            assert_string_equal(name, family);
        } else {
            assert_memory_equal(line, family, strlen(family));
        }
    }
    assert_int_equal(n_families, 13);
}

static void the_process_tells_its_memory_and_files(void **state)
{
    fixture *f = *state;
    const char *at;

    metrics_print(f);
    at = strstr(f->text.data,
                "linkd_process_resident_memory_bytes{kind=\"anonymous\"} ");
    assert_non_null(at);
    assert_true(strtoull(strchr(at, ' '), NULL, 10) > 4096);
    at = strstr(f->text.data, "\nlinkd_process_open_fds ");
    assert_non_null(at);
    assert_true(strtoull(strchr(at, ' '), NULL, 10) >= 3);
    assert_non_null(strstr(f->text.data, "version=\"" LINKD_VERSION "\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(requests_are_counted_by_route_and_class),
        TEST(durations_fall_into_cumulative_buckets),
        TEST(the_other_counters_add_up),
        TEST(every_sample_follows_its_family_s_help_and_type),
        TEST(the_process_tells_its_memory_and_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
