/* tests/linkage/test_evaluate.c — figures computed by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

/* cmocka compares floats only. */
#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static linkd_table *table_write(const char *name, const char *text)
{
    linkd_table *table = NULL;
    linkd_error err = {0};

    scratch_write_text(name, text);
    assert_int_equal(
        linkd_table_read(name, LINKD_FORMAT_CSV, NULL, NULL, &table, &err),
        LINKD_OK);
    return table;
}

static int evaluate(const char *result_text, const char *truth_text,
                    linkd_evaluation *ret_evaluation, linkd_error *err)
{
    linkd_table *result = table_write("result.csv", result_text);
    linkd_table *truth = table_write("truth.csv", truth_text);
    int rc = linkd_evaluate(result, truth, ret_evaluation, err);

    linkd_table_free(truth);
    linkd_table_free(result);
    return rc;
}

static linkd_evaluation evaluate_ok(const char *result, const char *truth)
{
    linkd_evaluation e = {0};
    linkd_error err = {0};

    assert_int_equal(evaluate(result, truth, &e, &err), LINKD_OK);
    return e;
}

static void assert_pairs(const linkd_evaluation *e, uint64_t n_result,
                         uint64_t n_truth, uint64_t n_common)
{
    assert_int_equal(e->pairs.n_result, n_result);
    assert_int_equal(e->pairs.n_truth, n_truth);
    assert_int_equal(e->pairs.n_common, n_common);
}

/* The same id on the left and on the right is not the same row. */
static void pairs_are_compared_left_with_left(void **state)
{
    linkd_evaluation e = evaluate_ok("left_id,right_id,score\n"
                                     "1,2,0.9\n2,1,0.9\n3,3,0.8\n4,9,0.7\n",
                                     "left_id,right_id\n"
                                     "1,2\n3,3\n5,5\n");

    (void)state;
    assert_pairs(&e, 4, 3, 2);
    assert_false(e.has_clusters);
    assert_near(e.pairs.precision, 0.5);
    assert_near(e.pairs.recall, 2.0 / 3.0);
    assert_near(e.pairs.f1, 4.0 / 7.0);
}

static void a_repeated_pair_counts_once(void **state)
{
    linkd_evaluation e = evaluate_ok("right_id,left_id\nx,a\nx,a\ny,b\n",
                                     "left_id,right_id\na,x\na,x\n");

    (void)state;
    assert_pairs(&e, 2, 1, 1);
}

/* {a b c} {d e} are 3 + 1 true pairs; c-a is one whichever way round, d-z has
 * a row that the truth does not know, and a-a is no pair at all. */
static void pairs_are_compared_with_the_pairs_of_entities(void **state)
{
    linkd_evaluation e =
        evaluate_ok("left_id,right_id\nc,a\nd,e\nb,d\nd,z\na,a\n",
                    "id,entity_id\na,1\nb,1\nc,1\nd,2\ne,2\n");

    (void)state;
    assert_pairs(&e, 5, 4, 2);
    assert_false(e.has_clusters);
}

/* Result {a b c} {d e} {f}, truth {a b} {c d} {e} {f}.
 *   pairs     3 + 1 and 1 + 1, common: a-b
 *   B-cubed   precision a 2/3, b 2/3, c 1/3, d 1/2, e 1/2, f 1
 *             recall    a 1,   b 1,   c 1/2, d 1/2, e 1,   f 1 */
static void entities_are_compared_by_pairs_and_by_b_cubed(void **state)
{
    linkd_evaluation e =
        evaluate_ok("id,name,entity_id\n"
                    "a,A,x\nb,B,x\nc,C,x\nd,D,y\ne,E,y\nf,F,z\n",
                    "id,entity_id\na,1\nb,1\nc,2\nd,2\ne,3\nf,4\n");

    (void)state;
    assert_pairs(&e, 4, 2, 1);
    assert_near(e.pairs.precision, 0.25);
    assert_near(e.pairs.recall, 0.5);
    assert_true(e.has_clusters);
    assert_int_equal(e.n_rows, 6);
    assert_int_equal(e.n_entities_result, 3);
    assert_int_equal(e.n_entities_truth, 4);
    assert_near(e.b3_precision, 11.0 / 18.0);
    assert_near(e.b3_recall, 5.0 / 6.0);
    assert_near(e.b3_f1, 110.0 / 156.0);
}

/* a-b and b-c make a-c true as well. d is in no pair: an entity by itself. */
static void a_truth_of_pairs_is_closed(void **state)
{
    linkd_evaluation e = evaluate_ok("id,entity_id\na,1\nb,1\nc,1\nd,2\n",
                                     "left_id,right_id\na,b\nc,b\n");

    (void)state;
    assert_pairs(&e, 3, 3, 3);
    assert_int_equal(e.n_entities_truth, 2);
    assert_near(e.b3_f1, 1.0);
}

/* A result that links nothing is a result; nothing is divided by 0. */
static void rows_alone_have_no_pairs(void **state)
{
    linkd_evaluation e =
        evaluate_ok("id,entity_id\na,1\nb,2\n", "id,entity_id\na,1\nb,1\n");

    (void)state;
    assert_pairs(&e, 0, 1, 0);
    assert_near(e.pairs.precision, 0.0);
    assert_near(e.pairs.f1, 0.0);
    assert_near(e.b3_precision, 1.0);
    assert_near(e.b3_recall, 0.5);
}

/* The id need not come first when the truth says what it is called. */
static void the_id_column_goes_by_the_truths_name(void **state)
{
    linkd_evaluation e = evaluate_ok("name,key,entity_id\nsame,a,1\nsame,b,1\n",
                                     "entity_id,key\n7,b\n7,a\n");

    (void)state;
    assert_pairs(&e, 1, 1, 1);
}

static void rows_of_the_result_may_be_unknown_to_the_truth(void **state)
{
    linkd_evaluation e = evaluate_ok("id,entity_id\na,1\nb,1\nz,1\n",
                                     "id,entity_id\na,1\nb,1\n");

    (void)state;
    assert_pairs(&e, 3, 1, 1);
    assert_int_equal(e.n_entities_truth, 2);
}

static void assert_refused(const char *result, const char *truth,
                           const char *message)
{
    linkd_evaluation e = {.n_rows = 42};
    linkd_error err = {0};

    assert_int_equal(evaluate(result, truth, &e, &err), LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_int_equal(e.n_rows, 42);
}

static void a_file_of_neither_form_is_refused(void **state)
{
    (void)state;
    assert_refused("left_id,name\na,b\n", "left_id,right_id\na,b\n",
                   "result.csv: neither pairs (left_id, right_id) nor entities "
                   "(an id and entity_id)");
    assert_refused("left_id,right_id\na,b\n", "entity_id\nb\n",
                   "truth.csv: neither pairs (left_id, right_id) nor entities "
                   "(an id and entity_id)");
}

/* Result {a} {b} {c d}, truth {a} {b} {c} {d}: an empty cell is not the name
 * of an entity that a and b share. */
static void a_row_without_an_entity_is_an_entity_of_its_own(void **state)
{
    linkd_evaluation e = evaluate_ok("id,entity_id\na,\nb,\nc,1\nd,1\n",
                                     "id,entity_id\na,\nb,\nc,\nd,\n");

    (void)state;
    assert_pairs(&e, 1, 0, 0);
    assert_int_equal(e.n_entities_result, 3);
    assert_int_equal(e.n_entities_truth, 4);
    assert_near(e.b3_precision, 0.75);
    e = evaluate_ok("left_id,right_id\na,b\n", "id,entity_id\na,\nb,\n");
    assert_pairs(&e, 1, 0, 0);
}

static void a_pair_that_lacks_an_id_is_refused(void **state)
{
    (void)state;
    assert_refused("left_id,right_id\na,b\n,c\n", "left_id,right_id\na,b\n",
                   "result.csv: row 2: the left_id is empty");
    assert_refused("id,entity_id\na,1\n", "left_id,right_id\na,\n",
                   "truth.csv: row 1: the right_id is empty");
}

static void a_row_missing_from_the_result_is_refused(void **state)
{
    (void)state;
    assert_refused("id,entity_id\na,1\n", "id,entity_id\na,1\nb,1\n",
                   "truth.csv: row 2: id \"b\" is missing from the result");
    assert_refused("id,entity_id\na,1\n", "left_id,right_id\na,c\n",
                   "truth.csv: row 1: id \"c\" is missing from the result");
}

/* Figures of 0 would blame the result for a file of something else. */
static void pairs_without_an_id_of_the_truth_are_refused(void **state)
{
    static const char apart[] = "result.csv and truth.csv have no id in common";

    (void)state;
    assert_refused("left_id,right_id\na,x\nb,y\n", "left_id,right_id\nc,z\n",
                   apart);
    /* the sides were swapped */
    assert_refused("left_id,right_id\na,x\n", "left_id,right_id\nx,a\n", apart);
    assert_refused("left_id,right_id\na,b\n", "id,entity_id\nc,1\nd,1\n",
                   apart);
}

static void one_id_in_common_or_no_pair_is_enough_to_judge(void **state)
{
    linkd_evaluation e =
        evaluate_ok("left_id,right_id\na,x\n", "left_id,right_id\nb,x\n");

    (void)state;
    assert_pairs(&e, 1, 1, 0);
    e = evaluate_ok("left_id,right_id\na,b\n", "id,entity_id\nb,1\nd,1\n");
    assert_pairs(&e, 1, 1, 0);
}

static void a_row_that_comes_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("id,entity_id\na,1\na,2\n", "id,entity_id\na,1\n",
                   "result.csv: row 2: id \"a\" appears twice");
    assert_refused("id,entity_id\na,1\n", "id,entity_id\na,1\na,2\n",
                   "truth.csv: row 2: id \"a\" appears twice");
}

static void assert_nomem(const char *result_text, const char *truth_text)
{
    linkd_table *result = table_write("result.csv", result_text);
    linkd_table *truth = table_write("truth.csv", truth_text);

    for (size_t nth = 1;; nth++) {
        linkd_evaluation e;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_evaluate(result, truth, &e, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    linkd_table_free(truth);
    linkd_table_free(result);
}

static void memory_that_runs_out_is_reported(void **state)
{
    static const char pairs[] = "left_id,right_id\na,b\n";
    static const char entities[] = "id,entity_id\na,1\nb,1\n";

    (void)state;
    assert_nomem(pairs, pairs);
    assert_nomem(pairs, entities);
    assert_nomem(entities, pairs);
    assert_nomem(entities, entities);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_compared_left_with_left),
        cmocka_unit_test(a_repeated_pair_counts_once),
        cmocka_unit_test(pairs_are_compared_with_the_pairs_of_entities),
        cmocka_unit_test(entities_are_compared_by_pairs_and_by_b_cubed),
        cmocka_unit_test(a_truth_of_pairs_is_closed),
        cmocka_unit_test(rows_alone_have_no_pairs),
        cmocka_unit_test(the_id_column_goes_by_the_truths_name),
        cmocka_unit_test(rows_of_the_result_may_be_unknown_to_the_truth),
        cmocka_unit_test(a_file_of_neither_form_is_refused),
        cmocka_unit_test(a_row_without_an_entity_is_an_entity_of_its_own),
        cmocka_unit_test(a_pair_that_lacks_an_id_is_refused),
        cmocka_unit_test(a_row_missing_from_the_result_is_refused),
        cmocka_unit_test(pairs_without_an_id_of_the_truth_are_refused),
        cmocka_unit_test(one_id_in_common_or_no_pair_is_enough_to_judge),
        cmocka_unit_test(a_row_that_comes_twice_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
