/* What a model directory is told to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encoder/encoder.h"
#include "tests/support/alloc_fail.h"

static const char *const names[] = {"config.json", "preprocessor_config.json",
                                    "tokenizer.json", "vocab.json"};

#define N_NAMES (sizeof(names) / sizeof(*names))

typedef struct fixture {
    char dir[64];
    linkd_error err;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/linkd-inputs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static void path_make(const fixture *f, const char *name, char ret_path[160])
{
    (void)snprintf(ret_path, 160, "%s/%s", f->dir, name);
}

static void file_remove(const fixture *f, const char *name)
{
    char path[160];

    path_make(f, name, path);
    (void)unlink(path);
}

static int tear_down(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < N_NAMES; i++)
        file_remove(f, names[i]);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void file_make(const fixture *f, const char *name, const char *text)
{
    char path[160];
    FILE *file;

    path_make(f, name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void reads(fixture *f, bool texts, bool pictures)
{
    linkd_inputs inputs = {!texts, !pictures};

    assert_int_equal(linkd_encoder_inputs(f->dir, &inputs, &f->err), LINKD_OK);
    assert_int_equal(inputs.texts, texts);
    assert_int_equal(inputs.pictures, pictures);
}

static void the_model_type_tells(void **state)
{
    static const char *const image_models[] = {"vit", "dinov2", "swin", "cct"};
    fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        char config[64];

        (void)snprintf(config, sizeof(config), "{\"model_type\": \"%s\"}",
                       image_models[i]);
        file_make(f, "config.json", config);
        reads(f, false, true);
    }
    /* neither file makes one an image model or a model of texts */
    file_make(f, "tokenizer.json", "{}");
    reads(f, false, true);
    file_make(f, "preprocessor_config.json", "{}");
    file_make(f, "config.json", "{\"model_type\": \"bert\"}");
    reads(f, true, false);
    /* what is unknown is for linkd_encoder_open() to refuse */
    file_make(f, "config.json", "{\"model_type\": \"llama\"}");
    reads(f, true, false);
    file_make(f, "config.json", "{}");
    reads(f, true, false);
}

static void either_tower_of_clip_can_be_alone(void **state)
{
    fixture *f = *state;

    file_make(f, "config.json", "{\"model_type\": \"clip\"}");
    reads(f, true, false);
    file_make(f, "preprocessor_config.json", "{}");
    reads(f, false, true);
    file_make(f, "vocab.json", "{}");
    reads(f, true, true);
    file_remove(f, "vocab.json");
    file_make(f, "tokenizer.json", "{}");
    reads(f, true, true);
    file_remove(f, "preprocessor_config.json");
    reads(f, true, false);
}

static void a_config_that_cannot_be_read_changes_nothing(void **state)
{
    fixture *f = *state;
    linkd_inputs inputs = {true, true};

    assert_int_equal(linkd_encoder_inputs(f->dir, &inputs, &f->err),
                     LINKD_E_IO);
    file_make(f, "config.json", "{");
    assert_int_equal(linkd_encoder_inputs(f->dir, &inputs, &f->err),
                     LINKD_E_DATA);
    assert_non_null(strstr(f->err.message, "config.json: line 1"));
    assert_true(inputs.texts && inputs.pictures);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    file_make(f, "config.json", "{\"model_type\": \"clip\"}");
    file_make(f, "vocab.json", "{}");
    for (size_t n = 1;; n++) {
        linkd_inputs inputs = {false, true};
        int rc;

        alloc_fail_at(n);
        rc = linkd_encoder_inputs(f->dir, &inputs, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_true(!inputs.texts && inputs.pictures);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_model_type_tells),
        TEST(either_tower_of_clip_can_be_alone),
        TEST(a_config_that_cannot_be_read_changes_nothing),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
