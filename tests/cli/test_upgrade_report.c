/* tests/cli/test_upgrade_report.c — a probe's verdict as a page: all that it says,
 * and nothing that its texts would like to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/upgrade_report.h"
#include "tests/support/alloc_fail.h"

static const char verdict_text[] =
    "{'verdict':'fuse','queries':'provisional','n_queries':600,'anchors':3000,"
    "'head':'ridge','weight':0.4,'ranking_weight':0.6,'candidates':100,"
    "'difference':{'value':0.2042,'low':0.174,'high':0.236},"
    "'ways':{'old':{'mrr_10':0.708,'recall_1':0.61,'recall_10':0.9,"
    "'gain':{'value':0,'low':0,'high':0}},"
    "'align':{'mrr_10':0.52,'recall_1':0.4,'recall_10':0.8,"
    "'gain':{'value':null,'low':null,'high':null}},"
    "'fuse':{'mrr_10':0.821,'recall_1':0.7,'recall_10':0.91,"
    "'gain':{'value':0.553,'low':0.5,'high':0.6}}},"
    "'matrix':{'models':['a<b>','new'],'align':[[0.708,0.111],[0.52,0.912]],"
    "'fuse':[[0.708,0.222],[0.821,0.912]]},"
    "'curve':{'points':[{'share':0,'mrr_10':0.821},{'share':0.5,'mrr_10':0.86},"
    "{'share':1,'mrr_10':0.912}],'area':0.864},"
    "'scores':{'old':{'low':-1,'high':1,'matches':[0,3],'others':[70,1]}},"
    "'log_odds':{'old':{'low':-20,'high':20,'matches':[0,3],'others':[70,1]}},"
    "'examples':{'better':[{'query':'<script>x()</script>',"
    "'answer':'the answer & more','old_first':'wrong one',"
    "'new_first':'right one','ranks':{'old':0,'align':4,'fuse':2,'cascade':1,"
    "'new':1}}],'worse':[]},'backfill_seconds':21.2}";

static json_t *verdict_parse(const char *text)
{
    char json[sizeof(verdict_text)];
    json_t *parsed;

    (void)strncpy(json, text, sizeof(json) - 1);
    json[sizeof(json) - 1] = '\0';
    for (char *c = json; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    parsed = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(parsed);
    return parsed;
}

static lk_buf page_of(const char *text)
{
    json_t *verdict = verdict_parse(text);
    lk_buf html = {0};

    assert_int_equal(
        lk_upgrade_report_make("firms", "m<i>", verdict, &html, NULL),
        LINKD_OK);
    json_decref(verdict);
    return html;
}

static void assert_has(const lk_buf *page, const char *text)
{
    if (strstr(page->data, text) == NULL)
        fail_msg("no %s in %s", text, page->data);
}

static void a_page_says_all_that_the_verdict_says(void **state)
{
    static const char *const wanted[] = {
        "firms to m&lt;i&gt;</h1>",
        "<b>fuse</b>: The new model is better, and mixed",
        "+0.204 (95 %: +0.174 to +0.236) MRR@10, by 600 queries and 3000",
        "queries were made from the records themselves",
        "about 0:21",
        "Maps: ridge; weight of the new model in mixed queries 0.4, in the "
        "ranking",
        "0.910</td><td>+0.553 (95 %: +0.500 to +0.600)",
        ">0.700</td><td class=\"n\">0.910</td>",
        ">0.400</td><td class=\"n\">0.800</td><td>n/a",
        "a&lt;b&gt;</td><td class=\"n\">0.708</td><td class=\"n\">0.111</td>",
        "a&lt;b&gt;</td><td class=\"n\">0.708</td><td class=\"n\">0.222</td>",
        "Mean over the backfill: 0.864",
        "the model so far</text>",
        "<title>-1.00 to 0.00: 70 others</title>",
        "<title>0.00 to 20.00: 3 looked for</title>",
        "&lt;script&gt;x()&lt;/script&gt;",
        "the answer &amp; more",
        "none so far, 2 mixed, 1 in a cascade, 1 by the new model",
    };
    lk_buf page = page_of(verdict_text);

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        assert_has(&page, wanted[i]);
    assert_null(strstr(page.data, "<script"));
    assert_null(strstr(page.data, "nan"));
    assert_has(&page, "<h2>Queries that get worse</h2>");
    assert_has(&page, "<p>There are none.</p>");
    lk_buf_clear(&page);
}

/* The curve's ends lie on the axes: its scale goes from .7 to .95. */
static void the_curve_is_drawn_to_scale(void **state)
{
    lk_buf page = page_of(verdict_text);

    (void)state;
    assert_has(&page, ">0.95</text>");
    assert_has(&page, "points=\"60.0,131.6 340.0,106.3 620.0,72.6 \"");
    lk_buf_clear(&page);
}

static void a_model_from_before_has_no_figures(void **state)
{
    lk_buf page = page_of("null");

    (void)state;
    assert_has(&page, "The collection had this model before");
    assert_null(strstr(page.data, "<h2>"));
    lk_buf_clear(&page);
}

/* Whatever another linkd leaves out or says otherwise. */
static void members_that_are_not_there_leave_their_part_empty(void **state)
{
    static const char *const verdicts[] = {
        "{}",
        "{'verdict':7,'ways':[],'matrix':{'models':[1],'align':[[null]]},"
        "'curve':{'points':[{},{'share':'x'}]},'scores':{'old':{'low':1,"
        "'high':1,'matches':[1],'others':[1]}},'examples':{'better':[3]}}",
        "{'scores':{'old':{'low':0,'high':1,'matches':[-5],'others':[1,2]}}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
        lk_buf page = page_of(verdicts[i]);

        assert_has(&page, "</body></html>");
        assert_null(strstr(page.data, "<svg"));
        lk_buf_clear(&page);
    }
}

static void a_page_without_memory_is_none(void **state)
{
    json_t *verdict = verdict_parse(verdict_text);

    (void)state;
    for (size_t n = 1;; n++) {
        lk_buf html = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_upgrade_report_make("firms", "other", verdict, &html, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            lk_buf_clear(&html);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(html.data);
    }
    json_decref(verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_says_all_that_the_verdict_says),
        cmocka_unit_test(the_curve_is_drawn_to_scale),
        cmocka_unit_test(a_model_from_before_has_no_figures),
        cmocka_unit_test(members_that_are_not_there_leave_their_part_empty),
        cmocka_unit_test(a_page_without_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
