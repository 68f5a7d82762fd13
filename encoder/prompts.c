/* encoder/prompts.c — reads config_sentence_transformers.json:
 *
 *   {"prompts": {"query": "query: ", "passage": "passage: "},
 *    "default_prompt_name": "query"} */
#include "encoder/prompts.h"

#include "encoder/config_json.h"
#include "encoder/file.h"

#define PROMPTS_FILE "config_sentence_transformers.json"

static int texts_check(json_t *prompts, linkd_error *err)
{
    const char *name;
    json_t *text;

    json_object_foreach(prompts, name, text)
    {
        if (!json_is_string(text))
            return lk_fail(err, LINKD_E_DATA,
                           PROMPTS_FILE ": prompt \"%.60s\" is not a text",
                           name);
    }
    return LINKD_OK;
}

static int standard_get(lk_prompts *prompts, linkd_error *err)
{
    const json_t *value = json_object_get(prompts->file, "default_prompt_name");
    const char *name = json_string_value(value);

    prompts->standard = "";
    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (name != NULL)
        prompts->standard = lk_prompts_find(prompts, name);
    if (name == NULL || prompts->standard == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       PROMPTS_FILE
                       ": default_prompt_name \"%.60s\" is none of "
                       "the prompts",
                       name != NULL ? name : "");
    return LINKD_OK;
}

int lk_prompts_parse(const void *bytes, size_t len, lk_prompts *ret_prompts,
                     linkd_error *err)
{
    lk_prompts prompts = {0};
    int rc = lk_config_object(bytes, len, PROMPTS_FILE, &prompts.file, err);

    if (rc == LINKD_OK)
        rc = texts_check(json_object_get(prompts.file, "prompts"), err);
    if (rc == LINKD_OK)
        rc = standard_get(&prompts, err);
    if (rc == LINKD_OK)
        *ret_prompts = prompts;
    else
        lk_prompts_clear(&prompts);
    return rc;
}

int lk_prompts_read(const char *dir, lk_prompts *ret_prompts, linkd_error *err)
{
    lk_file file = {0};
    lk_buf path = {0};
    int rc = lk_file_path(dir, PROMPTS_FILE, &path, err);

    *ret_prompts = (lk_prompts){.standard = ""};
    if (rc == LINKD_OK && lk_file_exists(path.data)) {
        rc = lk_file_map(path.data, &file, err);
        if (rc == LINKD_OK)
            rc = lk_prompts_parse(file.bytes, file.len, ret_prompts, err);
    }
    lk_file_unmap(&file);
    lk_buf_clear(&path);
    return rc;
}

void lk_prompts_clear(lk_prompts *prompts)
{
    json_decref(prompts->file);
    *prompts = (lk_prompts){0};
}

const char *lk_prompts_for(const lk_prompts *prompts, linkd_use use)
{
    static const char *const names[LINKD_N_USES][3] = {
        [LINKD_USE_QUERY] = {"query"},
        [LINKD_USE_RECORD] = {"document", "passage", "corpus"}};
    const char *found = NULL;

    for (size_t i = 0; i < 3 && names[use][i] != NULL && found == NULL; i++)
        found = lk_prompts_find(prompts, names[use][i]);
    return found != NULL ? found : prompts->standard;
}

const char *lk_prompts_find(const lk_prompts *prompts, const char *name)
{
    return json_string_value(
        json_object_get(json_object_get(prompts->file, "prompts"), name));
}
