/* Feeds foreign bytes to what reads JSON bodies: strings and vectors that come
 * out are valid, and what is printed again is read again. */
#include <math.h>
#include <stdint.h>

#include "daemon/json.h"
#include "linkage/linkage.h"

#define DIM ((size_t)4)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void members_check(const json_t *json)
{
    linkd_error err = {0};
    linkd_str text = {"", 0};
    size_t k = 1;
    linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};
    bool exact = false;

    if (lk_json_get_string(json, "text", &text, &err) == LINKD_OK)
        LK_ASSERT(lk_utf8_check(text.bytes, text.len) == text.len);
    if (lk_json_get_size(json, "k", 1, LINKD_K_MAX, &k, &err) == LINKD_OK)
        LK_ASSERT(k >= 1 && k <= LINKD_K_MAX);
    if (lk_json_get_limit(json, "threshold", &limit, &err) == LINKD_OK)
        LK_ASSERT(fabs(limit.value) <= 1.0);
    if (lk_json_get_bool(json, "exact", &exact, &err) != LINKD_OK)
        LK_ASSERT(err.code == LINKD_E_ARG);
}

static void vector_check(const json_t *value, lk_arena *arena)
{
    const float *vector = NULL;
    double sum = 0.0;

    if (lk_json_get_vector(value, DIM, "it", arena, &vector, NULL) != LINKD_OK)
        return;
    for (size_t i = 0; i < DIM; i++)
        sum += (double)vector[i] * (double)vector[i];
    LK_ASSERT(fabs(sum - 1.0) < 1e-3);
}

static void settings_check(linkd_str json, lk_arena *arena)
{
    linkd_settings settings;
    linkd_settings again;
    lk_buf text = {0};

    if (linkd_settings_parse(json, arena, &settings, NULL) == LINKD_OK) {
        LK_ASSERT(linkd_settings_print(&settings, &text, NULL) == LINKD_OK);
        LK_ASSERT(linkd_settings_parse((linkd_str){text.data, text.len}, arena,
                                       &again, NULL) == LINKD_OK);
        LK_ASSERT(again.n_text == settings.n_text);
        LK_ASSERT(again.threshold.kind == settings.threshold.kind);
        LK_ASSERT(again.threshold.value == settings.threshold.value);
    }
    lk_buf_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str body = {(const char *)data, size};
    lk_arena arena = {0};
    linkd_error err = {0};
    json_t *json = NULL;
    lk_buf text = {0};

    if (lk_json_parse(body, &json, &err) != LINKD_OK) {
        LK_ASSERT(err.code == LINKD_E_ARG && err.message[0] != '\0');
        return 0;
    }
    members_check(json);
    vector_check(json_object_get(json, "vector"), &arena);
    settings_check(body, &arena);
    if (json_is_object(json) || json_is_array(json)) {
        json_t *again = NULL;

        LK_ASSERT(lk_json_put_value(&text, json, NULL) == LINKD_OK);
        LK_ASSERT(lk_json_parse((linkd_str){text.data, text.len}, &again,
                                NULL) == LINKD_OK);
        LK_ASSERT(json_equal(json, again));
        json_decref(again);
    }
    lk_buf_clear(&text);
    json_decref(json);
    lk_arena_clear(&arena);
    return 0;
}
