/* cli/command.c — what the commands of linkctl share: the model with its
 * threads, tables, and the second line of an error message. */
#include "cli/command.h"

#include <dirent.h>
#include <string.h>
#include <strings.h>

#include "cli/columns.h"
#include "cli/ids.h"
#include "cli/number.h"

const char *const lk_format_words[] = {"auto", "csv", "tsv", "jsonl", NULL};
const char *const lk_assign_words[] = {
    "reciprocal",   "one-to-one", "one-to-many", "many-to-one",
    "many-to-many", "auto",       NULL};
const char *const lk_cluster_words[] = {"components", "complete", "average",
                                        "centre", NULL};

void lk_cli_hint(lk_cli *cli, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    lk_buf_reset(&cli->hint);
    /* without memory for it the error has to do alone */
    (void)!lk_buf_append(&cli->hint, line, strlen(line), NULL);
}

/* A model of the store that `model` may mean: written with its owner, in other
 * letter case, or cut short; of several the first in order. */
static void model_near(const char *model, lk_buf *ret_name)
{
    const char *slash = strrchr(model, '/');
    const char *name = slash != NULL ? slash + 1 : model;
    lk_buf store = {0};
    DIR *dir = NULL;

    if (name[0] != '\0' && name[0] != '.' &&
        linkd_encoder_store_path(&store, NULL) == LINKD_OK)
        dir = opendir(store.data);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strncasecmp(entry->d_name, name, strlen(name)) != 0 ||
            (ret_name->len > 0 && strcmp(ret_name->data, entry->d_name) < 0))
            continue;
        lk_buf_reset(ret_name);
        (void)!lk_buf_printf(ret_name, NULL, "%s", entry->d_name);
    }
    if (dir != NULL)
        (void)closedir(dir);
    lk_buf_clear(&store);
}

static int model_find(lk_cli *cli, const char *model, lk_buf *ret_path,
                      linkd_error *err)
{
    int rc = linkd_encoder_find(model, ret_path, err);
    lk_buf near = {0};

    if (rc == LINKD_E_ARG)
        model_near(model, &near);
    if (rc == LINKD_E_ARG && near.len > 0)
        lk_cli_hint(cli, "there is a model \"%s\"", near.data);
    else if (rc == LINKD_E_ARG)
        lk_cli_hint(cli,
                    "linkctl model pull downloads a model, linkctl model add "
                    "imports one");
    lk_buf_clear(&near);
    return rc;
}

bool lk_model_is_none(const char *model)
{
    return strcmp(model, "none") == 0;
}

int lk_model_check(lk_cli *cli, const char *model, linkd_error *err)
{
    lk_buf path = {0};
    int rc;

    if (lk_model_is_none(model))
        return LINKD_OK;
    rc = model_find(cli, model, &path, err);

    lk_buf_clear(&path);
    return rc;
}

int lk_model_find(lk_cli *cli, const char *model, lk_buf *ret_path,
                  linkd_error *err)
{
    linkd_model_head head = {0};
    int rc = model_find(cli, model, ret_path, err);

    if (rc == LINKD_OK)
        rc = linkd_model_head_read(ret_path->data, &head, err);
    if (rc == LINKD_OK && head.map != NULL)
        rc = lk_fail(err, LINKD_E_ARG,
                     "model %.80s is a head on %.80s: it is for collections of "
                     "linkd",
                     model, head.base);
    linkd_model_head_clear(&head);
    return rc;
}

static int encoder_open(lk_cli *cli, const char *model, const char *precision,
                        linkd_encoder **ret_encoder, linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_model_find(cli, model, &path, err);

    if (rc == LINKD_OK)
        rc = linkd_encoder_open(path.data, precision, ret_encoder, err);
    if (rc == LINKD_E_DATA)
        rc = lk_fail(err, rc, "model %s: %s", model, err->message);
    lk_buf_clear(&path);
    return rc;
}

int lk_engine_open(lk_cli *cli, const char *model, size_t n_threads,
                   lk_engine *ret_engine, linkd_error *err)
{
    linkd_encoder *encoder;
    int rc = lk_engine_open_as(cli, model, NULL, n_threads, ret_engine, err);

    if (rc != LINKD_OK || ret_engine->encoder == NULL)
        return rc;
    encoder = ret_engine->encoder;
    rc = linkd_encoder_set_prompt(
        encoder, linkd_encoder_prompt_for(encoder, LINKD_USE_RECORD), err);
    if (rc != LINKD_OK)
        lk_engine_close(ret_engine);
    return rc;
}

int lk_engine_open_as(lk_cli *cli, const char *model, const char *precision,
                      size_t n_threads, lk_engine *ret_engine, linkd_error *err)
{
    lk_engine engine = {NULL, NULL};
    int rc = LINKD_OK;

    if (!lk_model_is_none(model))
        rc = encoder_open(cli, model, precision, &engine.encoder, err);

    if (rc == LINKD_OK)
        rc = lk_pool_new(n_threads, &engine.pool, err);
    if (rc != LINKD_OK) {
        lk_engine_close(&engine);
        return rc;
    }
    *ret_engine = engine;
    lk_meter_finish(&cli->meter); /* loading is no part of the next step */
    return LINKD_OK;
}

void lk_engine_close(lk_engine *engine)
{
    linkd_encoder_close(engine->encoder);
    lk_pool_free(engine->pool);
    *engine = (lk_engine){NULL, NULL};
}

void lk_texts_note(uint64_t n_empty, uint64_t n_truncated)
{
    if (n_empty > 0)
        (void)fprintf(stderr, "%s without text",
                      lk_counted(n_empty, "row", "rows").text);
    if (n_truncated > 0)
        (void)fprintf(stderr, "%s%s cut at the model's limit",
                      n_empty > 0 ? ", " : "",
                      lk_counted(n_truncated, "text", "texts").text);
    if (n_empty > 0 || n_truncated > 0)
        (void)fputc('\n', stderr);
}

void lk_images_note(uint64_t n_empty, const linkd_image_problems *problems)
{
    if (problems->lines.len > 0)
        (void)fputs(problems->lines.data, stderr);
    if (problems->n > LINKD_IMAGE_PROBLEMS_MAX)
        (void)fprintf(stderr, "... and %zu more\n",
                      problems->n - LINKD_IMAGE_PROBLEMS_MAX);
    if (problems->n > 0 || n_empty > 0)
        (void)fprintf(stderr, "%s without image, %s that cannot be used\n",
                      lk_counted(n_empty, "row", "rows").text,
                      lk_counted(problems->n, "image", "images").text);
}

void lk_encode_note(double seconds, uint64_t n_texts)
{
    (void)fprintf(stderr, "encode %.1f s", seconds);
    if (seconds > 0)
        (void)fprintf(stderr, " (%s rows/s)",
                      lk_per_second((double)n_texts / seconds).text);
}

int lk_inputs_check(const lk_cli *cli, linkd_error *err)
{
    size_t n_stdin = 0;

    for (size_t i = 0; i < cli->args.n_operands; i++)
        n_stdin += strcmp(cli->args.operands[i], "-") == 0;
    if (n_stdin > 1)
        return lk_fail(err, LINKD_E_ARG,
                       "only one table can be standard input");
    return LINKD_OK;
}

int lk_fail_fieldless(const char *path, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s: no record has a field",
                   lk_label_of_path(path).text);
}

int lk_table_read(lk_cli *cli, const char *path, linkd_format format,
                  const char *id_column, linkd_table **ret_table,
                  linkd_error *err)
{
    int rc = linkd_table_read(path, format, id_column, &cli->progress,
                              ret_table, err);

    if (rc == LINKD_OK)
        lk_meter_finish(&cli->meter);
    if (rc == LINKD_E_ARG)
        lk_columns_hint_file(cli, path, format);
    if (rc == LINKD_OK && linkd_table_id_flaw(*ret_table) != NULL)
        lk_ids_flaw_warn(cli, path, linkd_table_id_flaw(*ret_table));
    if (rc != LINKD_OK || linkd_table_n_rows(*ret_table) == 0 ||
        linkd_table_n_columns(*ret_table) > 0)
        return rc;
    linkd_table_free(*ret_table);
    *ret_table = NULL;
    return lk_fail_fieldless(path, err);
}
