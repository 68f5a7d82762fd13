/* cli/cmd_compat.c — linkctl compat fit and map: vectors of one model to
 * vectors that compare with another's, for files of vectors from anywhere. */
#include <stdlib.h>

#include "cli/command.h"
#include "cli/compat_file.h"
#include "cli/npy.h"
#include "cli/number.h"
#include "cli/rows.h"
#include "cli/vector_read.h"

typedef struct compat_values {
    const char *from;
    const char *to;
    const char *head;
    const char *labels;
    const char *from_model;
    const char *to_model;
    const char *output;
    double penalty;
    size_t n_hidden;
    size_t n_epochs;
    size_t n_added;
    size_t n_classes;
    size_t seed;
} compat_values;

#define AT(member) offsetof(compat_values, member)

/* ---- fit ---------------------------------------------------------------- */

static const compat_values fit_defaults = {.head = "procrustes", .seed = 1};

static const lk_option fit_options[] = {
    {"from", 0, LK_OPTION_TEXT, AT(from), "NEW", NULL, 0, 0,
     "vectors by the model that queries will use"},
    {"to", 0, LK_OPTION_TEXT, AT(to), "OLD", NULL, 0, 0,
     "vectors of the same records, in the same order, by the\n"
     "model that stored ones were made with"},
    {"from-model", 0, LK_OPTION_TEXT, AT(from_model), "NAME", NULL, 0, 0,
     "what you call NEW's model, for compat map and eval to\n"
     "know the map by"},
    {"to-model", 0, LK_OPTION_TEXT, AT(to_model), "NAME", NULL, 0, 0,
     "and OLD's"},
    {"head", 0, LK_OPTION_TEXT, AT(head), "HEAD", NULL, 0, 0,
     "procrustes: a rotation about the means (default);\n"
     "ridge: least squares; whitened: to where OLD scores as\n"
     "NEW would; mlp: ridge and a small network;\n"
     "contrast: tells entities apart, by --labels; bt2: a\n"
     "lossless rotation whose first dimensions compare with\n"
     "OLD; bt2-trained: first dimensions that are trained,\n"
     "and NEW; simplex: a place for each entity of --labels,\n"
     "without OLD"},
    {"labels", 0, LK_OPTION_TEXT, AT(labels), "FILE", NULL, 0, 0,
     "a label a line for each record, of contrast and\n"
     "simplex: those of one entity have the same"},
    {"penalty", 0, LK_OPTION_REAL, AT(penalty), "L", NULL, 1e-9, 1e3,
     "of ridge and mlp (the best of 1e-5, 1e-4, 1e-3 on\n"
     "held-out pairs), and of whitened (0.1)"},
    {"hidden", 0, LK_OPTION_COUNT, AT(n_hidden), "N", NULL, 1, 65536,
     "hidden units of mlp (256)"},
    {"added", 0, LK_OPTION_COUNT, AT(n_added), "N", NULL, 1, 8192,
     "trained dimensions of bt2-trained (as many as OLD has)"},
    {"classes", 0, LK_OPTION_COUNT, AT(n_classes), "N", NULL, 2, 8192,
     "entities that simplex has room for, in all (1024); its\n"
     "vectors have one dimension less"},
    {"epochs", 0, LK_OPTION_COUNT, AT(n_epochs), "N", NULL, 1, 10000,
     "passes over the records, of heads that are trained\n"
     "(each head has its own number)"},
    {"seed", 0, LK_OPTION_COUNT, AT(seed), "N", NULL, 0, 4294967295.0,
     "for what is random (1)"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "MAP", NULL, 0, 0,
     "where the map goes"},
};

static const lk_syntax fit_syntax = {
    .name = "compat fit",
    .options = fit_options,
    .n_options = sizeof(fit_options) / sizeof(*fit_options),
    .summary = "Fits a map from one model's vectors to another's.",
    .notes =
        "Files are .npy (rows of float32 or float64) or .fvecs. Row i of both\n"
        "is one record; a few thousand records are enough. A tenth of them is\n"
        "held out to measure the map.\n\n"
        "simplex numbers entities in the order in which their labels come\n"
        "first. For vectors of a later model to compare, its file of labels\n"
        "has to begin as the earlier one did. --to is then optional: the same\n"
        "records, mapped with the earlier model's simplex, to come nearer "
        "to.\n\n"
        "Examples:\n"
        "  linkctl compat fit --from new.npy --to old.npy -o new-to-old.map\n"
        "  linkctl compat fit --from new.fvecs --to old.fvecs --head bt2 \\\n"
        "      -o new-to-old.map\n",
};

static int required(const char *value, const char *name, linkd_error *err)
{
    return value != NULL ? LINKD_OK
                         : lk_fail(err, LINKD_E_ARG, "--%s is needed", name);
}

static int map_save(const linkd_compat_map *map, const char *path,
                    const char *const inputs[2], linkd_error *err)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    lk_output *output = NULL;
    int rc = linkd_compat_map_encode(map, &bytes, &len, err);

    if (rc == LINKD_OK)
        rc = lk_output_open(path, inputs, 2, &output, err);
    if (rc == LINKD_OK)
        rc = lk_output_write(output, bytes, len, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_output_close(output);
    free(bytes);
    return rc;
}

static void map_note(const linkd_compat_map *map)
{
    linkd_compat_info info = linkd_compat_map_info(map);
    bool is_simplex = info.head == LINKD_HEAD_SIMPLEX;
    const char *one = is_simplex ? "record" : "pair";
    const char *many = is_simplex ? "records" : "pairs";

    (void)fprintf(stderr,
                  "%s: %zu to %zu dimensions, from %s; mean cosine of "
                  "held-out %s %.4f\n",
                  linkd_compat_head_words[info.head], info.dim_from,
                  info.dim_to, lk_counted(info.n_pairs, one, many).text, many,
                  (double)info.cosine);
}

typedef struct fit_inputs {
    linkd_rows from, to; /* to.data is NULL where there is none */
    float *from_data;
    float *to_data;
    uint64_t *labels;
} fit_inputs;

static int counts_check(const compat_values *v, const fit_inputs *inputs,
                        linkd_error *err)
{
    size_t n_from = inputs->from.n;
    size_t n_to = inputs->to.n;

    return n_from == n_to
               ? LINKD_OK
               : lk_fail(err, LINKD_E_ARG,
                         "row i of both files is one record, but %s has %s and "
                         "%s %zu%s",
                         lk_label_of_path(v->from).text,
                         lk_counted(n_from, "row", "rows").text,
                         lk_label_of_path(v->to).text, n_to,
                         n_from == 1 || n_to == 1
                             ? " (an array of one dimension is a row)"
                             : "");
}

static int inputs_load(const compat_values *v, bool is_simplex,
                       fit_inputs *inputs, linkd_error *err)
{
    int rc = required(v->from, "from", err);

    if (rc == LINKD_OK && !is_simplex)
        rc = required(v->to, "to", err);
    if (rc == LINKD_OK)
        rc = required(v->output, "output", err);
    if (rc == LINKD_OK)
        rc = lk_vectors_load(v->from, &inputs->from, &inputs->from_data, err);
    if (rc == LINKD_OK && v->to != NULL)
        rc = lk_vectors_load(v->to, &inputs->to, &inputs->to_data, err);
    if (rc == LINKD_OK && v->to != NULL)
        rc = counts_check(v, inputs, err);
    if (rc == LINKD_OK && v->labels != NULL)
        rc = lk_labels_load(v->labels, inputs->from.n, &inputs->labels, err);
    if (rc == LINKD_OK && v->labels != NULL && is_simplex)
        rc = lk_labels_number(inputs->labels, inputs->from.n, err);
    return rc;
}

/* An option that the head does not have would be ignored silently. */
static int options_check(const lk_args *args, linkd_compat_head head,
                         linkd_error *err)
{
    static const struct {
        const char *option;
        bool has[LINKD_N_HEADS];
    } options[] = {
        {"labels", {[LINKD_HEAD_CONTRAST] = true, [LINKD_HEAD_SIMPLEX] = true}},
        {"penalty",
         {[LINKD_HEAD_RIDGE] = true,
          [LINKD_HEAD_MLP] = true,
          [LINKD_HEAD_WHITENED] = true}},
        {"hidden", {[LINKD_HEAD_MLP] = true}},
        {"added", {[LINKD_HEAD_BT2_TRAINED] = true}},
        {"classes", {[LINKD_HEAD_SIMPLEX] = true}},
        {"epochs",
         {[LINKD_HEAD_MLP] = true,
          [LINKD_HEAD_CONTRAST] = true,
          [LINKD_HEAD_BT2_TRAINED] = true,
          [LINKD_HEAD_SIMPLEX] = true}},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (!options[i].has[head] &&
            lk_args_given(&fit_syntax, args, options[i].option))
            return lk_fail(err, LINKD_E_ARG, "the head %s has no --%s",
                           linkd_compat_head_words[head], options[i].option);
    return LINKD_OK;
}

static void inputs_clear(fit_inputs *inputs)
{
    free(inputs->labels);
    free(inputs->to_data);
    free(inputs->from_data);
}

static int fit_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const compat_values *v = opaque;
    const char *const paths[2] = {v->from, v->to != NULL ? v->to : v->from};
    linkd_compat_fit_options options = {.seed = v->seed,
                                        .penalty = v->penalty,
                                        .n_hidden = v->n_hidden,
                                        .n_epochs = v->n_epochs,
                                        .n_added = v->n_added,
                                        .n_classes = v->n_classes};
    unsigned char models[2][LINKD_FINGERPRINT_BYTES];
    lk_label names[2] = {lk_label_of_path(paths[0]),
                         lk_label_of_path(paths[1])};
    fit_inputs inputs = {0};
    linkd_compat_map *map = NULL;
    int rc = linkd_compat_head_parse(v->head, &options.head, err);
    bool is_simplex = rc == LINKD_OK && options.head == LINKD_HEAD_SIMPLEX;

    if (rc == LINKD_OK)
        rc = options_check(&cli->args, options.head, err);
    if (rc == LINKD_OK)
        rc = inputs_load(v, is_simplex, &inputs, err);
    lk_compat_name_put(v->from_model, models[0]);
    lk_compat_name_put(v->to_model, models[1]);
    options.from = models[0];
    options.to = models[1];
    options.from_name = names[0].text;
    options.to_name = names[1].text;
    options.labels = inputs.labels;
    if (rc == LINKD_OK && is_simplex)
        rc = linkd_compat_fit_simplex(&inputs.from,
                                      v->to == NULL ? NULL : &inputs.to,
                                      &options, &cli->progress, &map, err);
    else if (rc == LINKD_OK)
        rc = linkd_compat_fit(&inputs.from, &inputs.to, &options,
                              &cli->progress, &map, err);
    if (rc == LINKD_OK)
        rc = map_save(map, v->output, paths, err);
    if (rc == LINKD_OK && !cli->args.quiet)
        map_note(map);
    linkd_compat_map_free(map);
    inputs_clear(&inputs);
    return rc;
}

const lk_command lk_cmd_compat_fit = {&fit_syntax, &fit_defaults,
                                      sizeof(fit_defaults), fit_run};

/* ---- map ---------------------------------------------------------------- */

static const compat_values map_defaults = {0};

static const lk_option map_options[] = {
    {"from-model", 0, LK_OPTION_TEXT, AT(from_model), "NAME", NULL, 0, 0,
     "the model of VECTORS: a map that was fitted from\n"
     "another is refused"},
    {"to-model", 0, LK_OPTION_TEXT, AT(to_model), "NAME", NULL, 0, 0,
     "the model of what is stored, likewise"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "the mapped vectors, as .npy"},
};

static const char *const map_operands[] = {"MAP", "VECTORS"};

static const lk_syntax map_syntax = {
    .name = "compat map",
    .operands = map_operands,
    .n_operands_min = 2,
    .n_operands_max = 2,
    .options = map_options,
    .n_options = sizeof(map_options) / sizeof(*map_options),
    .summary = "Maps vectors with a map of compat fit.",
    .notes =
        "VECTORS are .npy or .fvecs, by the model that the map is from.\n"
        "Mapped vectors have length 1, but those of bt2,\n"
        "whose inner products with each other are the new model's, and of\n"
        "bt2-trained, whose last dimensions are the new model's, doubled.\n\n"
        "Examples:\n"
        "  linkctl compat map new-to-old.map queries.npy -o mapped.npy\n",
};

static int rows_save(const float *rows, size_t n, size_t dim, const char *path,
                     const char *const *inputs, linkd_error *err)
{
    lk_output *output = NULL;
    int rc = lk_output_open(path, inputs, 2, &output, err);

    if (rc == LINKD_OK)
        rc = lk_npy_begin(output, err);
    if (rc == LINKD_OK)
        rc = lk_npy_write(output, rows, n * dim, err);
    if (rc == LINKD_OK)
        rc = lk_npy_end(output, n, dim, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_output_close(output);
    return rc;
}

static int map_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const compat_values *values = opaque;
    const char *const *operands = cli->args.operands;
    linkd_compat_map *map = NULL;
    linkd_rows rows = {0};
    float *data = NULL;
    float *mapped = NULL;
    size_t dim = 0;
    int rc = required(values->output, "output", err);

    if (rc == LINKD_OK && !lk_path_ends_in(values->output, ".npy"))
        rc = lk_fail(err, LINKD_E_ARG, "--output: %s does not end in .npy",
                     lk_label_of_path(values->output).text);
    if (rc == LINKD_OK)
        rc = lk_compat_map_load(operands[0], &map, err);
    if (rc == LINKD_OK)
        rc = lk_compat_names_check(operands[0], map, values->from_model,
                                   values->to_model, err);
    if (rc == LINKD_OK)
        rc = lk_compat_rows_load(operands[1], &rows, &data, err);
    if (rc == LINKD_OK)
        rc = lk_compat_rows_check(operands[0], map, operands[1], &rows, err);
    if (rc == LINKD_OK) {
        dim = linkd_compat_map_info(map).dim_to;
        mapped = lk_alloc_aligned(rows.n + 1, dim * sizeof(*mapped));
        rc = mapped == NULL ? lk_fail_nomem(err)
                            : linkd_compat_map_apply(map, &rows, mapped, err);
    }
    if (rc == LINKD_OK)
        rc = rows_save(mapped, rows.n, dim, values->output, operands, err);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "%s of %zu dimensions\n",
                      lk_counted(rows.n, "vector", "vectors").text, dim);
    free(mapped);
    free(data);
    linkd_compat_map_free(map);
    return rc;
}

const lk_command lk_cmd_compat_map = {&map_syntax, &map_defaults,
                                      sizeof(map_defaults), map_run};
