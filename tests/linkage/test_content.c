/* Contents of records, texts and pictures, as vectors of one space, by the tiny
 * CLIP of tests/golden/clip. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum { DIM = 20 };

#define GS       "\x1d"
#define BAD      GS "data:image/png;base64,AAAA"
#define THE_CAFE "the caf\xC3\xA9"

static char golden[900];

typedef struct fixture {
    linkd_encoder *encoder;
    linkd_vision *vision;
    linkd_reader_model model;
    lk_buf picture; /* a data URI */
    lk_buf content;
    linkd_error err;
} fixture;

static int group_begin(void **state)
{
    char here[800];

    if (getcwd(here, sizeof(here)) == NULL)
        return 1;
    (void)snprintf(golden, sizeof(golden), "%s/tests/golden", here);
    return scratch_enter(state);
}

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static linkd_str str_of_buf(const lk_buf *buf)
{
    return (linkd_str){buf->data, buf->len};
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    char path[1024];

    assert_non_null(f);
    (void)snprintf(path, sizeof(path), "%s/clip", golden);
    assert_int_equal(lk_pool_new(2, &f->model.pool, &f->err), LINKD_OK);
    assert_int_equal(linkd_encoder_open(path, "f32", &f->encoder, &f->err),
                     LINKD_OK);
    assert_int_equal(linkd_vision_open(path, "f32", 2, &f->vision, &f->err),
                     LINKD_OK);
    f->model.encoder = f->encoder;
    f->model.vision = f->vision;
    (void)snprintf(path, sizeof(path), "%s/image/jpeg-95-0.jpg", golden);
    assert_int_equal(linkd_picture_uri("", str_of(path), &f->picture, &f->err),
                     LINKD_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    lk_buf_clear(&f->picture);
    lk_buf_clear(&f->content);
    linkd_vision_close(f->vision);
    linkd_encoder_close(f->encoder);
    lk_pool_free(f->model.pool);
    free(f);
    return 0;
}

/* The content of a text and the fixture's picture, with a fragment. */
static linkd_str content_of(fixture *f, const char *text, const char *fragment)
{
    lk_buf_reset(&f->content);
    assert_int_equal(lk_buf_printf(&f->content, &f->err, "%s" GS "%s%s", text,
                                   f->picture.data, fragment),
                     LINKD_OK);
    return str_of_buf(&f->content);
}

static void embed(fixture *f, linkd_str content, float ret_vector[DIM])
{
    assert_int_equal(
        linkd_contents_embed(&f->model, &content, 1, ret_vector, NULL, &f->err),
        LINKD_OK);
}

static double cosine_of(const float *a, const float *b)
{
    double sum = 0.0;

    for (size_t k = 0; k < DIM; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

/* ---- contents ------------------------------------------------------------ */

static void a_content_is_split_as_it_was_made(void **state)
{
    static const char uri[] = "data:image/png;base64,AAAA";
    lk_buf content = {0};
    linkd_content c;

    (void)state;
    assert_int_equal(lk_buf_append(&content, "a text", 6, NULL), LINKD_OK);
    assert_int_equal(linkd_content_add_picture(&content, str_of(uri), NULL),
                     LINKD_OK);
    c = linkd_content_split(str_of_buf(&content));
    assert_int_equal(c.text.len, 6);
    assert_memory_equal(c.text.bytes, "a text", 6);
    assert_int_equal(c.picture.len, strlen(uri));
    assert_memory_equal(c.picture.bytes, uri, strlen(uri));
    lk_buf_clear(&content);
    /* a text stays one, whatever characters it has */
    c = linkd_content_split(str_of("a" GS "b data:image"));
    assert_int_equal(c.text.len, 14);
    assert_int_equal(c.picture.len, 0);
    assert_int_equal(linkd_content_split(str_of("")).text.len, 0);
}

/* ---- vectors ------------------------------------------------------------- */

static void a_content_is_the_mean_of_its_parts(void **state)
{
    fixture *f = *state;
    float text[DIM], picture[DIM], both[DIM];
    double squares = 0.0;

    embed(f, str_of(THE_CAFE), text);
    embed(f, content_of(f, "", ""), picture);
    embed(f, content_of(f, THE_CAFE, ""), both);
    for (size_t k = 0; k < DIM; k++)
        squares += pow((double)text[k] + (double)picture[k], 2.0);
    for (size_t k = 0; k < DIM; k++)
        assert_float_equal(
            both[k],
            (float)(((double)text[k] + (double)picture[k]) / sqrt(squares)),
            1e-6F);
}

/* Texts among pictures have the vectors that they have among texts. */
static void a_vector_depends_on_its_content_alone(void **state)
{
    fixture *f = *state;
    float one[4 * DIM], all[4 * DIM];
    linkd_str contents[4] = {str_of("12 GmbH"), content_of(f, THE_CAFE, ""),
                             str_of(THE_CAFE), str_of("hello" BAD)};

    for (size_t i = 0; i < 4; i++)
        embed(f, contents[i], one + i * DIM);
    assert_int_equal(
        linkd_contents_embed(&f->model, contents, 4, all, NULL, &f->err),
        LINKD_OK);
    assert_memory_equal(one, all, sizeof(one));
}

static void what_cannot_be_used_does_not_count(void **state)
{
    fixture *f = *state;
    float text[DIM], other[DIM];

    embed(f, str_of("hello"), text);
    embed(f, str_of("hello" BAD), other);
    assert_memory_equal(text, other, sizeof(text));
    assert_true(linkd_contents_knows(&f->model, str_of("hello" BAD)));
    assert_false(linkd_contents_knows(&f->model, str_of(BAD)));
    /* of length 1 all the same: nothing downstream divides by 0 */
    embed(f, str_of(BAD), other);
    assert_float_equal((float)cosine_of(other, other), 1.0F, 1e-6F);
    assert_true(linkd_contents_knows(&f->model, content_of(f, "", "")));
}

static void a_model_without_texts_reads_pictures(void **state)
{
    fixture *f = *state;
    float clip[DIM], alone[DIM];

    embed(f, content_of(f, "", ""), clip);
    f->model.encoder = NULL;
    embed(f, content_of(f, THE_CAFE, ""), alone);
    assert_memory_equal(clip, alone, sizeof(clip));
    assert_false(linkd_contents_knows(&f->model, str_of(THE_CAFE)));
    assert_true(linkd_contents_knows(&f->model, content_of(f, THE_CAFE, "")));
}

/* ---- parts of pictures --------------------------------------------------- */

static void a_fragment_means_a_part_of_the_picture(void **state)
{
    fixture *f = *state;
    float whole[DIM], same[DIM], part[DIM];

    embed(f, content_of(f, "", ""), whole);
    embed(f, content_of(f, "", "#xywh=percent:0,0,100,100"), same);
    embed(f, content_of(f, "", "#xywh=percent:50,0,50,40"), part);
    assert_memory_equal(whole, same, sizeof(whole));
    assert_true(cosine_of(whole, part) < 0.999);
}

static void other_fragments_are_refused(void **state)
{
    static const char *const fragments[] = {
        "#",
        "#xywh=1,1,1,1",
        "#xywh=percent:0,0,0,50",
        "#xywh=percent:60,0,50,50",
        "#xywh=percent:0,60,50,50",
        "#xywh=percent:-5,0,5,100",
        "#xywh=percent:0,0,50,50x",
        "#xywh=percent:0,0,100,100,100,100,100",
    };
    fixture *f = *state;

    for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
        linkd_content c = linkd_content_split(content_of(f, "", fragments[i]));

        assert_int_equal(linkd_picture_check(c.picture, &f->err), LINKD_E_DATA);
        assert_string_equal(f->err.message,
                            "the fragment is not #xywh=percent:X,Y,W,H");
    }
}

/* The same record's query, and not its text and picture as they are. */
static void a_provisional_query_shows_a_part_of_the_picture(void **state)
{
    fixture *f = *state;
    lk_buf query = {0};
    float record[DIM], asked[DIM];
    linkd_str content = content_of(f, "", "");

    assert_int_equal(linkd_provisional_query(content, &query, &f->err),
                     LINKD_OK);
    assert_memory_equal(query.data, content.bytes, content.len);
    assert_memory_equal(query.data + content.len, "#xywh=percent:", 14);
    embed(f, content, record);
    embed(f, str_of_buf(&query), asked);
    assert_true(cosine_of(record, asked) < 1.0 - 1e-6);
    /* a part stays the part that it is */
    content = content_of(f, "", "#xywh=percent:0,0,50,50");
    lk_buf_reset(&query);
    assert_int_equal(linkd_provisional_query(content, &query, &f->err),
                     LINKD_OK);
    assert_int_equal(query.len, content.len);
    lk_buf_clear(&query);
}

/* ---- files --------------------------------------------------------------- */

static void a_file_becomes_a_data_uri_that_keeps_its_name(void **state)
{
    fixture *f = *state;
    lk_buf uri = {0};
    lk_buf again = {0};

    scratch_write("a b;#,.webp", "RIFFx", 5);
    assert_int_equal(
        linkd_picture_uri("./t.csv", str_of("a b;#,.webp"), &uri, &f->err),
        LINKD_OK);
    assert_string_equal(
        uri.data, "data:image/webp;name=a%20b%3B%23%2C.webp;base64,UklGRng=");
    assert_int_equal(
        linkd_picture_uri("./t.csv", str_of_buf(&uri), &again, &f->err),
        LINKD_OK);
    assert_string_equal(again.data, uri.data);
    assert_memory_equal(f->picture.data, "data:image/jpeg;name=", 21);
    lk_buf_clear(&uri);
    lk_buf_clear(&again);
}

static void files_that_are_absent_or_too_large_are_refused(void **state)
{
    fixture *f = *state;
    lk_buf uri = {0};

    assert_int_equal(linkd_picture_uri("", str_of("gone.png"), &uri, &f->err),
                     LINKD_E_IO);
    assert_string_equal(f->err.message, "No such file or directory");
    scratch_write("large.png", "", 0);
    assert_int_equal(
        truncate("large.png", (off_t)LINKD_CONTENT_PICTURE_MAX + 1), 0);
    assert_int_equal(linkd_picture_uri("", str_of("large.png"), &uri, &f->err),
                     LINKD_E_DATA);
    assert_string_equal(f->err.message, "is over the limit of 11534336 bytes");
    assert_int_equal(uri.len, 0);
    lk_buf_clear(&uri);
}

/* 12,000 x 3,000 pixels of a PNG of 33 bytes: refused by its header. */
static void a_picture_of_too_many_pixels_is_refused_undecoded(void **state)
{
    static const uint8_t png[] = {
        0x89, 'P',  'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0,    0,
        13,   'I',  'H', 'D', 'R',  0,    0,    0x2e, 0xe0, 0,    0,
        0x0b, 0xb8, 8,   2,   0,    0,    0,    0x70, 0x92, 0x98, 0xc8};
    fixture *f = *state;
    lk_buf uri = {0};

    scratch_write("wide.png", png, sizeof(png));
    assert_int_equal(linkd_picture_uri("", str_of("wide.png"), &uri, &f->err),
                     LINKD_OK);
    assert_int_equal(linkd_picture_check(str_of_buf(&uri), &f->err),
                     LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "image of 12000 x 3000 pixels is over the limit of "
                        "33554432");
    lk_buf_clear(&uri);
}

/* ---- memory -------------------------------------------------------------- */

static void running_out_of_memory_is_reported(void **state)
{
    fixture *f = *state;
    linkd_str contents[2] = {content_of(f, "", ""), str_of("hello")};
    float vectors[2 * DIM];

    f->model.encoder = NULL; /* whether a text is known takes memory, too */
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = linkd_contents_embed(&f->model, contents, 2, vectors, NULL,
                                  &f->err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 8);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

static void a_data_uri_takes_memory_or_fails(void **state)
{
    fixture *f = *state;

    scratch_write("p.png", "\x89PNGx", 5);
    for (size_t n = 1;; n++) {
        lk_buf uri = {0};
        int rc;

        alloc_fail_at(n);
        rc = linkd_picture_uri("./t.csv", str_of("p.png"), &uri, &f->err);
        lk_buf_clear(&uri);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 2);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_content_is_split_as_it_was_made),
        TEST(a_content_is_the_mean_of_its_parts),
        TEST(a_vector_depends_on_its_content_alone),
        TEST(what_cannot_be_used_does_not_count),
        TEST(a_model_without_texts_reads_pictures),
        TEST(a_fragment_means_a_part_of_the_picture),
        TEST(other_fragments_are_refused),
        TEST(a_provisional_query_shows_a_part_of_the_picture),
        TEST(a_file_becomes_a_data_uri_that_keeps_its_name),
        TEST(files_that_are_absent_or_too_large_are_refused),
        TEST(a_picture_of_too_many_pixels_is_refused_undecoded),
        TEST(running_out_of_memory_is_reported),
        TEST(a_data_uri_takes_memory_or_fails),
    };

    return cmocka_run_group_tests_name("content", tests, group_begin,
                                       scratch_leave);
}
