/* tests/index/test_filter.c — what filters let through, and what they refuse. */
#include "tests/index/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc_fail.h"

#define N_PEOPLE   ((size_t)6)
#define LONG_BYTES ((size_t)250)

/* Who a filter finds, as the first letters of names: "ab" is ann and bob. */
typedef struct person {
    const char *name;
    const char *city; /* NULL: no such field */
    const char *age;  /* JSON, or a text after a quote */
    const char *tags; /* JSON */
} person;

static const person people[N_PEOPLE] = {
    {"ann", "Oslo", "31", NULL},
    {"bob", "Oslo", "-2.5", "true"},
    {"cid", "Oslo West", "31.0", "false"},
    {"dan", NULL, "1e2", "[1, 2]"},
    {"eve", "", "'31", NULL},
    {"fay", "oslo", NULL, NULL},
};

static linkd_field literal(const char *name, const char *json)
{
    return (linkd_field){.name = str_of(name),
                         .value = str_of(json),
                         .kind = LINKD_FIELD_LITERAL};
}

static void person_put(const person *p)
{
    linkd_field fields[3];
    size_t n = 0;
    linkd_put put = {.id = str_of(p->name), .fields = fields};
    linkd_write_result result;

    if (p->city != NULL)
        fields[n++] =
            (linkd_field){.name = str_of("city"), .value = str_of(p->city)};
    if (p->age != NULL && p->age[0] == '\'')
        fields[n++] =
            (linkd_field){.name = str_of("age"), .value = str_of(p->age + 1)};
    else if (p->age != NULL)
        fields[n++] = literal("age", p->age);
    if (p->tags != NULL)
        fields[n++] = literal("tags", p->tags);
    put.n_fields = n;
    assert_int_equal(
        linkd_store_put(store, str_of("people"), &put, 1, NULL, &result, &err),
        LINKD_OK);
}

static int enter(void **state)
{
    if (scratch_store_enter(state) != 0)
        return -1;
    for (size_t i = 0; i < N_PEOPLE; i++)
        person_put(&people[i]);
    return 0;
}

static int select_run(const linkd_filter *filter, char *ret_letters)
{
    linkd_view *view = view_open();
    linkd_selection *selection = NULL;
    lk_arena arena = {0};
    size_t n = 0;
    int rc = linkd_view_select(view, filter, NULL, NULL, &selection, &err);

    for (uint64_t number = 0; rc == LINKD_OK && number < 100; number++) {
        linkd_stored stored;

        if (!linkd_selection_has(selection, number))
            continue;
        assert_int_equal(linkd_view_read(view, number, &arena, &stored, &err),
                         LINKD_OK);
        ret_letters[n++] = stored.id.bytes[0];
    }
    ret_letters[n] = '\0';
    if (rc == LINKD_OK)
        assert_int_equal(linkd_selection_count(selection), n);
    linkd_selection_free(selection);
    lk_arena_clear(&arena);
    linkd_view_close(view);
    return rc;
}

static void filter_finds(const linkd_filter *filter, const char *letters)
{
    char found[100];

    assert_int_equal(select_run(filter, found), LINKD_OK);
    assert_string_equal(found, letters);
}

static void filter_fails(const linkd_filter *filter, const char *message)
{
    char found[100];

    assert_int_equal(select_run(filter, found), LINKD_E_ARG);
    assert_string_equal(err.message, message);
}

static linkd_value text(const char *bytes)
{
    return (linkd_value){.kind = LINKD_VALUE_TEXT, .text = str_of(bytes)};
}

static linkd_value number(double n)
{
    return (linkd_value){.kind = LINKD_VALUE_NUMBER, .number = n};
}

static linkd_value boolean(bool b)
{
    return (linkd_value){.kind = LINKD_VALUE_BOOL, .boolean = b};
}

static linkd_filter equal(const char *field, const linkd_value *value)
{
    return (linkd_filter){.op = LINKD_FILTER_EQ,
                          .field = str_of(field),
                          .values = value,
                          .n_values = 1};
}

static linkd_filter range(const char *field, const linkd_value *lower,
                          const linkd_value *upper)
{
    return (linkd_filter){.op = LINKD_FILTER_RANGE,
                          .field = str_of(field),
                          .lower = lower,
                          .upper = upper};
}

static linkd_filter join(linkd_filter_op op, const linkd_filter *children,
                         size_t n)
{
    return (linkd_filter){.op = op, .children = children, .n_children = n};
}

static void equality_is_of_kind_and_content(void **state)
{
    linkd_value values[] = {text("Oslo"), text(""), number(31), text("31"),
                            boolean(false)};
    const char *fields[] = {"city", "city", "age", "age", "tags"};
    const char *letters[] = {"ab", "e", "ace", "e", "c"};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        linkd_filter filter = equal(fields[i], &values[i]);

        filter_finds(&filter, letters[i]);
    }
}

static void one_of_several_values_is_enough(void **state)
{
    linkd_value values[] = {text("oslo"), number(3), text("Oslo")};
    linkd_filter filter = {.op = LINKD_FILTER_IN,
                           .field = str_of("city"),
                           .values = values,
                           .n_values = 3};

    (void)state;
    filter_finds(&filter, "abf");
    filter.n_values = 0;
    filter_finds(&filter, "");
}

static void ranges_hold_or_leave_out_their_bounds(void **state)
{
    linkd_value low = number(-2.5);
    linkd_value high = number(31);
    linkd_value oslo = text("Oslo");
    linkd_value west = text("Oslo West");
    linkd_filter filter = range("age", &low, &high);

    (void)state;
    filter_finds(&filter, "abce");
    filter.lower_excluded = true;
    filter_finds(&filter, "ace");
    filter.upper_excluded = true;
    filter_finds(&filter, "");
    filter = range("age", &high, NULL);
    filter_finds(&filter, "acde");
    filter = range("city", &oslo, NULL);
    filter_finds(&filter, "abcf");
    filter.lower_excluded = true;
    filter_finds(&filter, "cf");
    filter = range("city", NULL, &west);
    filter_finds(&filter, "abce");
    filter.upper_excluded = true;
    filter_finds(&filter, "abe");
    filter = range("city", &west, &oslo);
    filter_finds(&filter, "");
}

/* A CSV's cells are texts, and its prices were found by no range. */
static void numbers_are_compared_with_texts_that_are_numbers(void **state)
{
    static const person priced[] = {
        {"gus", NULL, "'9.5", NULL},   {"hal", NULL, "'-7", NULL},
        {"ian", NULL, "'+12", NULL},   {"joe", NULL, "'.5e1", NULL},
        {"kim", NULL, "'9 kg", NULL},  {"lea", NULL, "' 9", NULL},
        {"mia", NULL, "'1,000", NULL}, {"ned", NULL, "'nine", NULL},
    };
    linkd_value low = number(5);
    linkd_value high = number(12);
    linkd_value least = number(-100);
    linkd_value twelve = text("12");
    linkd_filter filter = range("age", &low, &high);

    (void)state;
    for (size_t i = 0; i < sizeof(priced) / sizeof(*priced); i++)
        person_put(&priced[i]);
    filter_finds(&filter, "gij");
    filter.lower_excluded = true;
    filter_finds(&filter, "gi");
    filter.upper_excluded = true;
    filter_finds(&filter, "g");
    filter = range("age", &least, &low);
    filter_finds(&filter, "bhj");
    filter = equal("age", &high);
    filter_finds(&filter, "i");
    filter = equal("age", &twelve);
    filter_finds(&filter, "");
    filter = range("age", NULL, &twelve);
    filter_finds(&filter, "hijlm");
}

static void trees_combine_what_their_parts_find(void **state)
{
    linkd_value oslo = text("Oslo");
    linkd_value age = number(31);
    linkd_filter exists = {.op = LINKD_FILTER_EXISTS, .field = str_of("tags")};
    linkd_filter parts[] = {equal("city", &oslo), equal("age", &age)};
    linkd_filter both = join(LINKD_FILTER_AND, parts, 2);
    linkd_filter either = join(LINKD_FILTER_OR, parts, 2);
    linkd_filter neither = join(LINKD_FILTER_NOT, &either, 1);
    linkd_filter all = join(LINKD_FILTER_AND, NULL, 0);
    linkd_filter none = join(LINKD_FILTER_OR, NULL, 0);
    linkd_filter mixed[] = {neither, exists};
    linkd_filter tree = join(LINKD_FILTER_AND, mixed, 2);

    (void)state;
    filter_finds(&exists, "bcd");
    filter_finds(&both, "a");
    filter_finds(&either, "abce");
    filter_finds(&neither, "df");
    filter_finds(&all, "abcdef");
    filter_finds(&none, "");
    filter_finds(&tree, "d");
    assert_int_equal(delete_one("dan").n_deleted, 1);
    filter_finds(&neither, "f");
    filter_finds(&all, "abcef");
}

static void a_changed_record_is_found_by_what_it_says_now(void **state)
{
    static const person moved = {"ann", "Bergen", NULL, NULL};
    linkd_value oslo = text("Oslo");
    linkd_value bergen = text("Bergen");
    linkd_filter in_oslo = equal("city", &oslo);
    linkd_filter in_bergen = equal("city", &bergen);
    linkd_filter has_age = {.op = LINKD_FILTER_EXISTS, .field = str_of("age")};

    (void)state;
    person_put(&moved);
    filter_finds(&in_oslo, "b");
    filter_finds(&in_bergen, "a");
    filter_finds(&has_age, "bcde");
}

static void long_texts_are_told_apart_behind_the_cut(void **state)
{
    char bytes[LONG_BYTES + 1];
    const person one = {"xen", bytes, NULL, NULL};
    linkd_value value;
    linkd_filter filter;

    (void)state;
    memset(bytes, 'y', LONG_BYTES);
    bytes[LONG_BYTES] = '\0';
    person_put(&one);
    value = text(bytes);
    filter = equal("city", &value);
    filter_finds(&filter, "x");
    bytes[LONG_BYTES - 1] = 'z';
    filter_finds(&filter, "");
    value.text.len = LK_FIELD_TEXT_MAX;
    filter = range("city", &value, NULL);
    filter_finds(&filter, "x");
    filter = range("city", NULL, &value);
    filter_finds(&filter, "abcef");
    value.text.len = LK_FIELD_TEXT_MAX + 1;
    filter_fails(&filter, "the bound of a range has 201 bytes, more than 200");
}

static void what_makes_no_sense_is_refused(void **state)
{
    linkd_value one = number(1);
    linkd_value a = text("a");
    linkd_value yes = boolean(true);
    linkd_value nan = number(NAN);
    linkd_filter filter = range("age", &one, &a);

    (void)state;
    filter_fails(&filter, "the bounds of a range are a text and a number");
    filter = range("age", &yes, NULL);
    filter_fails(&filter, "true and false have no range");
    filter = range("age", NULL, NULL);
    filter_fails(&filter, "a range has no bound");
    filter = equal("age", &nan);
    filter_fails(&filter, "a number in the filter is not finite");
    filter.n_values = 0;
    filter_fails(&filter, "equality with 0 values");
    filter = join(LINKD_FILTER_NOT, NULL, 0);
    filter_fails(&filter, "not of 0 filters");
}

static void depth_and_size_have_limits(void **state)
{
    linkd_filter deep[LINKD_FILTER_DEPTH_MAX + 1];
    linkd_filter *wide = calloc(LINKD_FILTER_NODES_MAX, sizeof(*wide));
    linkd_filter root = join(LINKD_FILTER_OR, wide, LINKD_FILTER_NODES_MAX);

    (void)state;
    assert_non_null(wide);
    deep[0] = join(LINKD_FILTER_AND, NULL, 0);
    for (size_t i = 1; i <= LINKD_FILTER_DEPTH_MAX; i++)
        deep[i] = join(LINKD_FILTER_NOT, &deep[i - 1], 1);
    filter_fails(&deep[LINKD_FILTER_DEPTH_MAX], "the filter is deeper than 32");
    filter_finds(&deep[LINKD_FILTER_DEPTH_MAX - 1], "");
    filter_finds(&deep[LINKD_FILTER_DEPTH_MAX - 2], "abcdef");
    for (size_t i = 0; i < LINKD_FILTER_NODES_MAX; i++)
        wide[i] = join(LINKD_FILTER_OR, NULL, 0);
    filter_fails(&root, "the filter has more than 1024 nodes");
    root.n_children--;
    filter_finds(&root, "");
    free(wide);
}

static void fields_that_filters_may_not_use_are_named(void **state)
{
    static const linkd_str fields[] = {{"city", 4}, {"age", 3}};
    linkd_collection_options options = {
        .dim = DIM, .filter_fields = fields, .n_filter_fields = 2};
    linkd_value value = text("a");
    linkd_filter filter = equal("name", &value);
    linkd_selection *selection = NULL;
    linkd_view *view = NULL;

    (void)state;
    assert_int_equal(linkd_store_create_collection(store, str_of("strict"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
    assert_int_equal(linkd_view_open(store, str_of("strict"), &view, &err),
                     LINKD_OK);
    assert_int_equal(
        linkd_view_select(view, &filter, NULL, NULL, &selection, &err),
        LINKD_E_ARG);
    assert_string_equal(
        err.message,
        "field \"name\" is not one that filters may use: city, age");
    filter = equal("age", &value);
    assert_int_equal(
        linkd_view_select(view, &filter, NULL, NULL, &selection, &err),
        LINKD_OK);
    assert_int_equal(linkd_selection_count(selection), 0);
    assert_false(linkd_selection_has(selection, 0));
    linkd_selection_free(selection);
    linkd_view_close(view);
}

static void running_out_of_memory_is_reported(void **state)
{
    linkd_value oslo = text("Oslo");
    linkd_filter leaf = equal("city", &oslo);
    linkd_filter not = join(LINKD_FILTER_NOT, &leaf, 1);
    linkd_filter parts[] = {leaf, not };
    linkd_filter tree = join(LINKD_FILTER_AND, parts, 2);
    linkd_view *view = view_open();
    linkd_selection *selection = NULL;
    int rc = LINKD_OK;

    (void)state;
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_view_select(view, &tree, NULL, NULL, &selection, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(linkd_selection_count(selection), 0);
    linkd_selection_free(selection);
    linkd_view_close(view);
}

#define N_MANY ((size_t)12000) /* more keys than between two questions */

static bool stop_at_once(void *ctx)
{
    ++*(size_t *)ctx;
    return true;
}

static void records_put_many(void)
{
    char(*ids)[16] = calloc(N_MANY, sizeof(*ids));
    linkd_put *puts = calloc(N_MANY, sizeof(*puts));
    linkd_write_result result;

    assert_non_null(ids);
    assert_non_null(puts);
    for (size_t i = 0; i < N_MANY; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "many-%zu", i);
        puts[i].id = str_of(ids[i]);
    }
    assert_int_equal(linkd_store_put(store, str_of("people"), puts, N_MANY,
                                     NULL, &result, &err),
                     LINKD_OK);
    free(puts);
    free(ids);
}

/* `not` walks all records once one was deleted: of millions, some seconds. */
static void a_filter_over_many_records_can_be_stopped(void **state)
{
    linkd_value oslo = text("Oslo");
    linkd_filter leaf = equal("city", &oslo);
    linkd_filter not = join(LINKD_FILTER_NOT, &leaf, 1);
    linkd_selection *selection = NULL;
    linkd_view *view;
    size_t n_asked = 0;

    (void)state;
    records_put_many();
    delete_one("many-7");
    view = view_open();
    assert_int_equal(
        linkd_view_select(view, &not, stop_at_once, &n_asked, &selection, &err),
        LINKD_E_CANCELLED);
    assert_int_equal(n_asked, 1);
    assert_null(selection);
    linkd_view_close(view);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(equality_is_of_kind_and_content),
        TEST(one_of_several_values_is_enough),
        TEST(ranges_hold_or_leave_out_their_bounds),
        TEST(numbers_are_compared_with_texts_that_are_numbers),
        TEST(trees_combine_what_their_parts_find),
        TEST(a_changed_record_is_found_by_what_it_says_now),
        TEST(long_texts_are_told_apart_behind_the_cut),
        TEST(what_makes_no_sense_is_refused),
        TEST(depth_and_size_have_limits),
        TEST(fields_that_filters_may_not_use_are_named),
        TEST(a_filter_over_many_records_can_be_stopped),
        TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
