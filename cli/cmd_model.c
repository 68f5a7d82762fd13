/* cli/cmd_model.c — linkctl model: the models on this machine. */
#include <string.h>

#include "cli/command.h"
#include "cli/hub.h"
#include "cli/model_import.h"
#include "cli/model_open.h"
#include "cli/model_store.h"
#include "cli/number.h"

#define STORE_NOTE                                                             \
 "Models are directories in $LINKD_MODELS, else in\n"                          \
 "$XDG_DATA_HOME/linkd/models, else in ~/.local/share/linkd/models.\n"

static const char *const name_operand[] = {"NAME"};
static const char *const path_operand[] = {"PATH"};

typedef struct model_values {
    const char *name;
    const char *base_url;
    const char *revision;
    bool json;
} model_values;

#define AT(member) offsetof(model_values, member)

static const model_values defaults = {.revision = "main"};

static const lk_option json_option[] = {
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0, "print JSON"},
};

/* ---- list --------------------------------------------------------------- */

static const lk_syntax list_syntax = {
    .name = "model list",
    .options = json_option,
    .n_options = 1,
    .summary = "Lists the models on this machine.",
    .notes = STORE_NOTE,
};

static int list_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const model_values *values = opaque;

    (void)cli;
    return lk_store_list(values->json, stdout, err);
}

const lk_command lk_cmd_model_list = {&list_syntax, &defaults, sizeof(defaults),
                                      list_run};

/* ---- add ---------------------------------------------------------------- */

static const lk_option add_options[] = {
    {"name", 'n', LK_OPTION_TEXT, AT(name), "NAME", NULL, 0, 0,
     "name to store it under (that of the file or directory)"},
};

static const lk_syntax add_syntax = {
    .name = "model add",
    .operands = path_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = add_options,
    .n_options = sizeof(add_options) / sizeof(*add_options),
    .summary = "Imports a model from a directory, a zip archive or a wheel.",
    .notes =
        "The model must be a Hugging Face directory with config.json and\n"
        "model.safetensors, in one file or in shards with an index. It is\n"
        "opened once before it is accepted.\n" STORE_NOTE "\nExamples:\n"
        "  linkctl model add ~/models/all-MiniLM-L6-v2\n"
        "  linkctl model add some_model-0.1.0-py3-none-any.whl --name some"
        "\n",
};

static int stage_fill(lk_cli *cli, const char *path, const char *name,
                      linkd_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *source = slash != NULL && slash[1] != '\0' ? slash + 1 : path;
    lk_stage *stage = NULL;
    int rc = lk_stage_open(name, false, &stage, err);

    if (rc == LINKD_OK)
        rc = lk_model_import(path, stage, err);
    if (rc == LINKD_OK)
        rc = lk_stage_commit(stage, source, err);
    lk_stage_close(stage);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "added model %s\n", name);
    return rc;
}

static int add_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const model_values *values = opaque;
    const char *path = cli->args.operands[0];
    lk_buf name = {0};
    int rc;

    if (values->name != NULL)
        return stage_fill(cli, path, values->name, err);
    rc = lk_model_name_of(path, &name, err);
    if (rc == LINKD_OK)
        rc = stage_fill(cli, path, name.data, err);
    lk_buf_clear(&name);
    return rc;
}

const lk_command lk_cmd_model_add = {&add_syntax, &defaults, sizeof(defaults),
                                     add_run};

/* ---- pull --------------------------------------------------------------- */

static const lk_option pull_options[] = {
    {"name", 'n', LK_OPTION_TEXT, AT(name), "NAME", NULL, 0, 0,
     "name to store it under (the last part of its name)"},
    {"revision", 0, LK_OPTION_TEXT, AT(revision), "REVISION", NULL, 0, 0,
     "branch, tag or commit (main)"},
    {"base-url", 0, LK_OPTION_TEXT, AT(base_url), "URL", NULL, 0, 0,
     "address of the hub ($HF_ENDPOINT, else\n" LK_HUB_URL ")"},
};

static const lk_syntax pull_syntax = {
    .name = "model pull",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = pull_options,
    .n_options = sizeof(pull_options) / sizeof(*pull_options),
    .summary = "Downloads a model from the Hugging Face hub.",
    .notes =
        "A name without an owner is looked for among those of\n"
        "sentence-transformers. A download that was interrupted goes on\n"
        "where it stopped. Checksums are compared with the hub's.\n" STORE_NOTE
        "\nExamples:\n"
        "  linkctl model pull all-MiniLM-L6-v2\n"
        "  linkctl model pull BAAI/bge-small-en-v1.5\n",
};

/* "owner/name" out of what the user wrote, and whether it can be one. */
static int repo_make(const char *text, lk_buf *ret_repo, linkd_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *slash = strchr(text, '/');

    if (strspn(text, allowed) != strlen(text) || text[0] == '/' ||
        strstr(text, "..") != NULL ||
        (slash != NULL && (slash[1] == '\0' || strchr(slash + 1, '/'))))
        return lk_fail(err, LINKD_E_ARG,
                       "\"%s\" is no name of a model on a hub: OWNER/NAME",
                       text);
    return lk_buf_printf(ret_repo, err, "%s%s",
                         slash == NULL ? "sentence-transformers/" : "", text);
}

static int revision_check(const char *revision, linkd_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (strspn(revision, allowed) != strlen(revision) ||
        strstr(revision, "..") != NULL)
        return lk_fail(err, LINKD_E_ARG, "--revision cannot be \"%s\"",
                       revision);
    return LINKD_OK;
}

static int model_pull(lk_cli *cli, const lk_hub_model *model, const char *name,
                      linkd_error *err)
{
    lk_stage *stage = NULL;
    int rc = lk_stage_open(name, true, &stage, err);

    if (rc == LINKD_OK) {
        rc = lk_hub_fetch(model, stage, &cli->progress, err);
        if (rc == LINKD_E_IO)
            lk_cli_hint(cli, "the same command goes on where this stopped");
    }
    if (rc == LINKD_OK) {
        lk_meter_finish(&cli->meter);
        rc = lk_stage_commit(stage, model->repo, err);
    }
    lk_stage_close(stage);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "pulled model %s as %s\n", model->repo, name);
    return rc;
}

static int pull_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const model_values *values = opaque;
    const char *text = cli->args.operands[0];
    const char *slash = strrchr(text, '/');
    const char *last = slash != NULL ? slash + 1 : text;
    lk_buf repo = {0};
    int rc = repo_make(text, &repo, err);

    if (rc == LINKD_OK)
        rc = revision_check(values->revision, err);
    if (rc == LINKD_OK) {
        lk_hub_model model = {.base_url = values->base_url,
                              .repo = repo.data,
                              .revision = values->revision};

        rc = model_pull(cli, &model, values->name != NULL ? values->name : last,
                        err);
    }
    lk_buf_clear(&repo);
    return rc;
}

const lk_command lk_cmd_model_pull = {&pull_syntax, &defaults, sizeof(defaults),
                                      pull_run};

/* ---- info --------------------------------------------------------------- */

static const lk_syntax info_syntax = {
    .name = "model info",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .summary = "Says what a model is, after opening it.",
    .notes = "NAME is a model of the store or a directory.\n",
};

/* Lines of both kinds of models, which differ between them. */
static void shape_print(const char *architecture, size_t n_layers,
                        size_t n_parameters)
{
    (void)printf("architecture  %s, %zu layers, %s parameters\n", architecture,
                 n_layers, lk_count(n_parameters).text);
}

static void use_print(const char *fingerprint, const char *precision,
                      const char *isa)
{
    (void)printf("fingerprint   %s\n", fingerprint);
    (void)printf("runs as       %s on %s\n", precision, isa);
}

static void texts_print(const linkd_encoder_info *info)
{
    shape_print(info->architecture, info->n_layers, info->n_parameters);
    (void)printf("tokenizer     %s, up to %zu tokens\n", info->tokenizer,
                 info->max_tokens);
    (void)printf("vectors       %zu numbers, %s pooling\n", info->dim,
                 info->pooling);
    use_print(info->fingerprint, info->precision, info->isa);
}

static void pictures_print(const linkd_vision_info *info)
{
    shape_print(info->architecture, info->n_layers, info->n_parameters);
    (void)printf("pictures      made %zu x %zu\n", info->width, info->height);
    (void)printf("vectors       %zu numbers\n", info->dim);
    use_print(info->fingerprint, info->precision, info->isa);
}

static void model_print(const lk_open_model *model)
{
    (void)printf("reads         %s\n", lk_model_reads(model));
    if (model->encoder != NULL)
        texts_print(linkd_encoder_describe(model->encoder));
    if (model->encoder != NULL && model->vision != NULL)
        (void)printf("\n");
    if (model->vision != NULL)
        pictures_print(linkd_vision_describe(model->vision));
}

static int info_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const char *name = cli->args.operands[0];
    lk_open_model model = {NULL, NULL};
    lk_buf dir = {0};
    int rc = lk_model_find(cli, name, &dir, err);

    (void)opaque;
    if (rc == LINKD_OK)
        rc = lk_model_open(dir.data, &model, err);
    if (rc == LINKD_E_DATA)
        rc = lk_fail(err, rc, "model %s: %s", name, err->message);
    if (rc == LINKD_OK)
        model_print(&model);
    lk_model_close(&model);
    lk_buf_clear(&dir);
    return rc;
}

const lk_command lk_cmd_model_info = {&info_syntax, &defaults, sizeof(defaults),
                                      info_run};

/* ---- verify ------------------------------------------------------------- */

static const lk_syntax verify_syntax = {
    .name = "model verify",
    .operands = name_operand,
    .n_operands_min = 0,
    .n_operands_max = 1,
    .summary = "Compares stored models with the checksums recorded then.",
    .notes = "Without NAME all models are looked at.\n" STORE_NOTE,
};

static int verify_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    (void)opaque;
    return lk_store_verify(
        cli->args.n_operands > 0 ? cli->args.operands[0] : NULL, stdout, err);
}

const lk_command lk_cmd_model_verify = {&verify_syntax, &defaults,
                                        sizeof(defaults), verify_run};
