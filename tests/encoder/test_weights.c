/* The files that a model's weights are in. What is read from them is tested
 * through the encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/encoder.h"
#include "tests/encoder/tiny_model.h"
#include "tests/support/alloc_fail.h"

#define INDEX "model.safetensors.index.json"

static void the_index_tells_each_shard_once(void **state)
{
    static const char names[] = "part-1.safetensors\0part-2.safetensors";
    tiny_model *model = tiny_model_new(&(tiny_options){.is_sharded = 1});
    lk_buf shards = {0};
    linkd_error err;

    (void)state;
    tiny_model_put(model, "part-2.safetensors", NULL); /* is not looked for */
    assert_int_equal(linkd_encoder_shards(tiny_model_dir(model), &shards, &err),
                     LINKD_OK);
    assert_int_equal(shards.len, sizeof(names));
    assert_memory_equal(shards.data, names, sizeof(names));
    lk_buf_clear(&shards);
    tiny_model_free(model);
}

static void an_index_that_is_absent_or_wrong_is_an_error(void **state)
{
    tiny_model *model = tiny_model_new(&(tiny_options){0});
    const char *dir = tiny_model_dir(model);
    lk_buf shards = {0};
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_encoder_shards(dir, &shards, &err), LINKD_E_IO);
    tiny_model_put(model, INDEX, "{\"weight_map\": {\"a\": \"../b\"}}");
    assert_int_equal(linkd_encoder_shards(dir, &shards, &err), LINKD_E_DATA);
    assert_string_equal(err.message, INDEX
                        ": tensor \"a\" is in no plain file of this directory");
    lk_buf_clear(&shards);
    tiny_model_free(model);
}

static void memory_that_runs_out_is_reported(void **state)
{
    tiny_model *model = tiny_model_new(&(tiny_options){.is_sharded = 1});
    size_t n = 1;

    (void)state;
    for (;; n++) {
        lk_buf shards = {0};
        int rc;

        alloc_fail_at(n);
        rc = linkd_encoder_shards(tiny_model_dir(model), &shards, NULL);
        lk_buf_clear(&shards);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_true(n > 3);
    tiny_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_tells_each_shard_once),
        cmocka_unit_test(an_index_that_is_absent_or_wrong_is_an_error),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
