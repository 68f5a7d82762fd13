/* tests/daemon/test_upgrade_quality.c — figures of a start are read back as they were
 * kept, and tell what is to be expected later. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/upgrade.h"
#include "tests/support/alloc_fail.h"

static const char kept[] =
    "{\"queries\":\"given\",\"n_queries\":12,\"mrr_10\":{\"old\":0.5,"
    "\"align\":0.4,\"fuse\":0.6,\"cascade\":0.8,\"new\":0.9},\"curve\":["
    "{\"share\":0.0,\"mrr_10\":0.6},{\"share\":0.5,\"mrr_10\":0.8},"
    "{\"share\":1,\"mrr_10\":0.9}],\"seconds_per_text\":0.25,"
    "\"share_encoded\":0.5}";

static int decode(const char *text, lk_upgrade_quality *ret, linkd_error *err)
{
    return lk_upgrade_quality_decode((linkd_str){text, strlen(text)}, ret, err);
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) < 1e-9))
        fail_msg("%g is not %g", a, b);
}

static void each_way_leads_to_the_new_model(void **state)
{
    lk_upgrade_quality q = {0};

    (void)state;
    assert_int_equal(decode(kept, &q, NULL), LINKD_OK);
    assert_near(q.seconds_per_text, 0.25);
    assert_near(q.share_encoded, 0.5);
    assert_near(lk_upgrade_quality_expected(&q, LINKD_WAY_FUSE, 0.0), 0.6);
    assert_near(lk_upgrade_quality_expected(&q, LINKD_WAY_FUSE, 0.25), 0.7);
    assert_near(lk_upgrade_quality_expected(&q, LINKD_WAY_FUSE, 0.5), 0.8);
    assert_near(lk_upgrade_quality_expected(&q, LINKD_WAY_FUSE, 1.0), 0.9);
    assert_near(lk_upgrade_quality_expected(&q, LINKD_WAY_ALIGN, 0.5), 0.65);
    assert_near(lk_upgrade_quality_expected(&q, LINKD_WAY_CASCADE, 0.0), 0.8);
    assert_null(json_object_get(q.figures, "seconds_per_text"));
    json_decref(q.figures);
}

/* In place of `from` in what is kept. */
static void assert_damaged(const char *from, const char *to)
{
    char text[512];
    const char *at = strstr(kept, from);
    lk_upgrade_quality q = {0};
    linkd_error err = {0};

    assert_non_null(at);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - kept), kept, to,
                   at + strlen(from));
    assert_int_equal(decode(text, &q, &err), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "damaged database: a generation's figures are none");
}

static void damaged_figures_are_refused(void **state)
{
    (void)state;
    assert_damaged("{\"queries\":", "{");
    assert_damaged("\"given\"", "7");
    assert_damaged("12", "\"12\"");
    assert_damaged("\"cascade\":0.8,", "");
    assert_damaged("\"old\":0.5", "\"old\":1.5");
    assert_damaged("{\"share\":0.0,\"mrr_10\":0.6},", "");
    assert_damaged("\"share\":0.5", "\"share\":0.0");
    assert_damaged(",{\"share\":1,\"mrr_10\":0.9}", "");
    assert_damaged("0.25", "-1");
    assert_damaged("\"share_encoded\":0.5", "\"share_encoded\":2");
}

static void running_out_of_memory_is_reported(void **state)
{
    bool failed = true;

    (void)state;
    json_set_alloc_funcs(malloc, free); /* those that fail */
    for (size_t n = 1; failed; n++) {
        lk_upgrade_quality q = {0};
        int rc;

        alloc_fail_at(n);
        rc = decode(kept, &q, NULL);
        failed = alloc_fail_off();
        /* jansson tells it of text as of a fault in it */
        assert_int_equal(rc == LINKD_OK, !failed);
        json_decref(q.figures);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_leads_to_the_new_model),
        cmocka_unit_test(damaged_figures_are_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
