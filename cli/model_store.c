/* cli/model_store.c — the models on this machine.
 *
 *   <store>/all-MiniLM-L6-v2/   config.json, model.safetensors, …
 *                               linkd-model.json: source, sizes, sha256
 *   <store>/.add-NAME.<pid>/    an import that goes on
 *   <store>/.pull-NAME/         a download that goes on, or waits to go on
 *
 * A model comes in through a stage: a directory in the store itself, so that
 * one rename makes it appear whole. It is accepted only after it was opened
 * for all that it reads. Only files of a fixed list are stored, under names from that
 * list, and shards, whose names the model's index tells and which are checked; so
 * a foreign archive cannot choose a path. */
#include "cli/model_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/model_open.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/sha256.h"
#include "linkage/linkage.h"

#define RECORD        "linkd-model.json"
#define NAME_MAX_LEN  96
#define SHARDS_MAX    64                   /* guess */
#define SMALL_BYTES   ((uint64_t)64 << 20) /* largest known tokenizer: 17 MB */
#define WEIGHTS_BYTES ((uint64_t)16 << 30)

static const lk_model_file model_files[] = {
    {.path = "config.json", .is_required = true, .max_bytes = SMALL_BYTES},
    {.path = "tokenizer.json", .max_bytes = SMALL_BYTES},
    {.path = "tokenizer_config.json", .max_bytes = SMALL_BYTES},
    {.path = "vocab.txt", .max_bytes = SMALL_BYTES},
    {.path = "vocab.json", .max_bytes = SMALL_BYTES},
    {.path = "merges.txt", .max_bytes = SMALL_BYTES},
    {.path = "preprocessor_config.json", .max_bytes = SMALL_BYTES},
    {.path = "modules.json", .max_bytes = SMALL_BYTES},
    {.path = "1_Pooling/config.json", .max_bytes = SMALL_BYTES},
    {.path = "2_Dense/config.json", .max_bytes = SMALL_BYTES},
    {.path = "2_Dense/model.safetensors", .max_bytes = WEIGHTS_BYTES},
    {.path = "3_Dense/config.json", .max_bytes = SMALL_BYTES},
    {.path = "3_Dense/model.safetensors", .max_bytes = WEIGHTS_BYTES},
    {.path = "sentence_bert_config.json", .max_bytes = SMALL_BYTES},
    {.path = "config_sentence_transformers.json", .max_bytes = SMALL_BYTES},
    {.path = LK_MODEL_WEIGHTS, .max_bytes = WEIGHTS_BYTES, .is_weights = true},
    /* where the weights did not come */
    {.path = LK_MODEL_INDEX, .is_required = true, .max_bytes = SMALL_BYTES},
};

enum {
    N_FILES = sizeof(model_files) / sizeof(*model_files),
    INDEX = N_FILES - 1,
    WEIGHTS = INDEX - 1,
};

/* Directories that some of these are in. */
static const char *const folders[] = {"1_Pooling", "2_Dense", "3_Dense"};

/* The stage's own directory, the folders, the model's files, the record. */
enum {
    STAGE_DIR,
    STAGE_FOLDERS,
    STAGE_FILES = STAGE_FOLDERS + sizeof(folders) / sizeof(*folders),
};
enum { STAGE_RECORD = STAGE_FILES + N_FILES, STAGE_N_PATHS };

struct lk_stage {
    lk_arena arena;
    char *name;
    char *target; /* where the model ends up */
    char *paths[STAGE_N_PATHS];
    lk_model_file *shards;
    char **shard_paths;
    size_t n_shards;
    int fd; /* of the directory, locked */
    bool is_kept;
    bool is_committed;
};

/* ---- paths -------------------------------------------------------------- */

static int name_check(const char *name, linkd_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (name[0] == '\0' || name[0] == '.' || strlen(name) > NAME_MAX_LEN ||
        strspn(name, allowed) != strlen(name))
        return lk_fail(err, LINKD_E_ARG,
                       "\"%.100s\" cannot be a model's name: letters, digits "
                       "and ._- up to %d, no dot in front",
                       name, NAME_MAX_LEN);
    return LINKD_OK;
}

static int fail_io(const char *verb, const char *path, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not %s %s: %s", verb, path,
                   strerror(errno));
}

/* Makes the directory and those above it. */
static int directories_make(char *path, linkd_error *err)
{
    LK_ASSERT(path != NULL && path[0] != '\0');
    for (char *at = path + 1; *at != '\0'; at++) {
        int rc;

        if (*at != '/')
            continue;
        *at = '\0';
        rc = mkdir(path, 0777);
        *at = '/';
        if (rc != 0 && errno != EEXIST)
            return fail_io("make", path, err);
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return fail_io("make", path, err);
    return LINKD_OK;
}

static char *path_join(lk_arena *arena, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    size_t size = n + strlen(name) + 2;
    char *path = lk_arena_alloc(arena, size);

    if (path != NULL)
        (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

static int stage_paths_make(lk_stage *stage, const char *store,
                            linkd_error *err)
{
    char own[NAME_MAX_LEN + 48];

    if (stage->is_kept)
        (void)snprintf(own, sizeof(own), ".pull-%s", stage->name);
    else
        (void)snprintf(own, sizeof(own), ".add-%s.%ld", stage->name,
                       (long)getpid());
    stage->target = path_join(&stage->arena, store, stage->name);
    stage->paths[STAGE_DIR] = path_join(&stage->arena, store, own);
    if (stage->target == NULL || stage->paths[STAGE_DIR] == NULL)
        return lk_fail_nomem(err);
    for (size_t i = STAGE_FOLDERS; i < STAGE_N_PATHS; i++) {
        const char *name = i < STAGE_FILES ? folders[i - STAGE_FOLDERS]
                           : i == STAGE_RECORD
                               ? RECORD
                               : model_files[i - STAGE_FILES].path;

        stage->paths[i] =
            path_join(&stage->arena, stage->paths[STAGE_DIR], name);
        if (stage->paths[i] == NULL)
            return lk_fail_nomem(err);
    }
    return LINKD_OK;
}

/* ---- the stage ---------------------------------------------------------- */

static int stage_directories_make(lk_stage *stage, linkd_error *err)
{
    struct stat st;

    if (lstat(stage->target, &st) == 0)
        return lk_fail(err, LINKD_E_ARG, "there is a model \"%s\" already: %s",
                       stage->name, stage->target);
    for (size_t i = 0; i < STAGE_N_PATHS && !stage->is_kept; i++)
        lk_interrupt_guard(stage->paths[i]);
    for (size_t i = STAGE_DIR; i < STAGE_FILES; i++) {
        if (mkdir(stage->paths[i], 0777) != 0 &&
            !(stage->is_kept && errno == EEXIST))
            return fail_io("make", stage->paths[i], err);
    }
    stage->fd = open(stage->paths[STAGE_DIR], O_RDONLY | O_CLOEXEC);
    if (stage->fd < 0)
        return fail_io("open", stage->paths[STAGE_DIR], err);
    if (flock(stage->fd, LOCK_EX | LOCK_NB) != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "model \"%s\" is being downloaded by another process",
                       stage->name);
    return LINKD_OK;
}

int lk_stage_open(const char *name, bool is_kept, lk_stage **ret_stage,
                  linkd_error *err)
{
    lk_buf store = {0};
    lk_stage *stage;
    int rc = name_check(name, err);

    if (rc != LINKD_OK)
        return rc;
    stage = calloc(1, sizeof(*stage));
    if (stage == NULL)
        return lk_fail_nomem(err);
    stage->fd = -1;
    stage->is_kept = is_kept;
    stage->name = lk_arena_copy(&stage->arena, name, strlen(name));
    rc = stage->name != NULL ? linkd_encoder_store_path(&store, err)
                             : lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = directories_make(store.data, err);
    if (rc == LINKD_OK)
        rc = stage_paths_make(stage, store.data, err);
    if (rc == LINKD_OK)
        rc = stage_directories_make(stage, err);
    lk_buf_clear(&store);
    if (rc != LINKD_OK) {
        lk_stage_close(stage);
        return rc;
    }
    *ret_stage = stage;
    return LINKD_OK;
}

static void path_drop(const lk_stage *stage, const char *path)
{
    if (path == NULL || stage->is_kept)
        return;
    if (!stage->is_committed)
        (void)remove(path);
    lk_interrupt_release(path);
}

/* A download that brought nothing leaves nothing to go on with. */
static void empty_directories_drop(const lk_stage *stage)
{
    for (size_t i = STAGE_FILES; i-- > STAGE_DIR;)
        (void)rmdir(stage->paths[i]);
}

void lk_stage_close(lk_stage *stage)
{
    if (stage == NULL)
        return;
    for (size_t i = stage->n_shards; i-- > 0;)
        path_drop(stage, stage->shard_paths[i]);
    for (size_t i = STAGE_N_PATHS; i-- > 0;)
        path_drop(stage, stage->paths[i]);
    if (stage->is_kept && !stage->is_committed && stage->fd >= 0)
        empty_directories_drop(stage);
    if (stage->fd >= 0)
        (void)close(stage->fd);
    lk_arena_clear(&stage->arena);
    free(stage);
}

/* ---- filling it --------------------------------------------------------- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The index may be a stranger's: its names become paths and addresses. */
static bool is_shard_name(const char *name)
{
    static const char ending[] = ".safetensors";
    size_t len = strlen(name);
    size_t n = sizeof(ending) - 1;

    return name_check(name, NULL) == LINKD_OK && len > n &&
           strcmp(name + len - n, ending) == 0;
}

static int shard_add(lk_stage *stage, const char *name, linkd_error *err)
{
    char *copy = lk_arena_copy(&stage->arena, name, strlen(name));
    char *path = path_join(&stage->arena, stage->paths[STAGE_DIR], name);

    if (copy == NULL || path == NULL)
        return lk_fail_nomem(err);
    stage->shards[stage->n_shards] = (lk_model_file){
        .path = copy,
        .is_required = true,
        .max_bytes = WEIGHTS_BYTES,
        .is_weights = true,
        .shard = stage->n_shards + 1,
    };
    stage->shard_paths[stage->n_shards++] = path;
    if (!stage->is_kept)
        lk_interrupt_guard(path);
    return LINKD_OK;
}

static int shards_add(lk_stage *stage, const lk_buf *names, linkd_error *err)
{
    int rc = LINKD_OK;

    stage->shards =
        lk_arena_alloc(&stage->arena, SHARDS_MAX * sizeof(*stage->shards));
    stage->shard_paths =
        lk_arena_alloc(&stage->arena, SHARDS_MAX * sizeof(*stage->shard_paths));
    if (stage->shards == NULL || stage->shard_paths == NULL)
        return lk_fail_nomem(err);
    for (size_t at = 0; at < names->len && rc == LINKD_OK;
         at += strlen(names->data + at) + 1) {
        if (!is_shard_name(names->data + at))
            rc = lk_fail(err, LINKD_E_DATA,
                         LK_MODEL_INDEX ": \"%.80s\" is no name of a shard",
                         names->data + at);
        else if (stage->n_shards == SHARDS_MAX)
            rc = lk_fail(err, LINKD_E_DATA,
                         LK_MODEL_INDEX ": names more than %d shards",
                         SHARDS_MAX);
        else
            rc = shard_add(stage, names->data + at, err);
    }
    for (size_t i = 0; i < stage->n_shards; i++)
        stage->shards[i].n_shards = stage->n_shards;
    return rc;
}

static int shards_fill(lk_stage *stage, lk_bring_cb bring_cb, void *ctx,
                       linkd_error *err)
{
    lk_buf names = {0};
    int rc = linkd_encoder_shards(stage->paths[STAGE_DIR], &names, err);

    if (rc == LINKD_OK)
        rc = shards_add(stage, &names, err);
    for (size_t i = 0; i < stage->n_shards && rc == LINKD_OK; i++)
        rc = bring_cb(ctx, &stage->shards[i], stage->shard_paths[i], err);
    lk_buf_clear(&names);
    return rc;
}

int lk_stage_fill(lk_stage *stage, lk_bring_cb bring_cb, void *ctx,
                  linkd_error *err)
{
    char *const *paths = &stage->paths[STAGE_FILES];
    int rc = LINKD_OK;

    for (size_t i = 0; i < INDEX && rc == LINKD_OK; i++)
        rc = bring_cb(ctx, &model_files[i], paths[i], err);
    if (rc != LINKD_OK)
        return rc;
    if (is_there(paths[WEIGHTS])) {
        (void)unlink(paths[INDEX]); /* of another revision */
        return LINKD_OK;
    }
    rc = bring_cb(ctx, &model_files[INDEX], paths[INDEX], err);
    return rc == LINKD_OK ? shards_fill(stage, bring_cb, ctx, err) : rc;
}

/* ---- the record --------------------------------------------------------- */

static int file_record(json_t *files, const char *name, const char *path,
                       linkd_error *err)
{
    lk_sha256 sha256;
    int rc = lk_sha256_file(path, &sha256, err);

    if (rc == LINKD_OK &&
        json_object_set_new(files, name,
                            json_pack("{s:I,s:s}", "size",
                                      (json_int_t)sha256.size, "sha256",
                                      sha256.hex)) != 0)
        rc = lk_fail_nomem(err);
    return rc;
}

static int files_record(const lk_stage *stage, json_t *files, linkd_error *err)
{
    char *const *paths = &stage->paths[STAGE_FILES];
    int rc = LINKD_OK;

    for (size_t i = 0; i < N_FILES && rc == LINKD_OK; i++) {
        if (is_there(paths[i]))
            rc = file_record(files, model_files[i].path, paths[i], err);
    }
    for (size_t i = 0; i < stage->n_shards && rc == LINKD_OK; i++)
        rc = file_record(files, stage->shards[i].path, stage->shard_paths[i],
                         err);
    return rc;
}

static int text_write(const char *path, const char *text, linkd_error *err)
{
    lk_output *output = NULL;
    int rc = lk_output_open(path, NULL, 0, &output, err);

    if (rc == LINKD_OK)
        rc = lk_output_write(output, text, strlen(text), err);
    if (rc == LINKD_OK)
        rc = lk_output_write(output, "\n", 1, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_output_close(output);
    return rc;
}

static int record_write(const char *path, const json_t *record,
                        linkd_error *err)
{
    char *text = json_dumps(record, JSON_INDENT(2));
    int rc;

    if (text == NULL)
        return lk_fail_nomem(err);
    rc = text_write(path, text, err);
    free(text);
    return rc;
}

/* What is recorded of a model; both towers of CLIP agree in it. */
typedef struct traits {
    const char *architecture;
    const char *fingerprint;
    size_t dim;
} traits;

static traits traits_of(const lk_open_model *model)
{
    const linkd_encoder_info *texts;
    const linkd_vision_info *pictures;

    if (model->encoder != NULL) {
        texts = linkd_encoder_describe(model->encoder);
        return (traits){texts->architecture, texts->fingerprint, texts->dim};
    }
    pictures = linkd_vision_describe(model->vision);
    return (traits){pictures->architecture, pictures->fingerprint,
                    pictures->dim};
}

static int record_make(const lk_stage *stage, const char *source,
                       const lk_open_model *model, linkd_error *err)
{
    const traits t = traits_of(model);
    json_t *files = json_object();
    json_t *record = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:O}", "name", stage->name, "source",
        source, "added", lk_utc_now().text, "architecture", t.architecture,
        "reads", lk_model_reads(model), "dim", (json_int_t)t.dim, "fingerprint",
        t.fingerprint, "files", files);
    int rc = files != NULL && record != NULL ? files_record(stage, files, err)
                                             : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = record_write(stage->paths[STAGE_RECORD], record, err);
    json_decref(record);
    json_decref(files);
    return rc;
}

int lk_stage_commit(lk_stage *stage, const char *source, linkd_error *err)
{
    lk_open_model model = {NULL, NULL};
    int rc = lk_model_open(stage->paths[STAGE_DIR], &model, err);

    if (rc == LINKD_OK)
        rc = record_make(stage, source, &model, err);
    lk_model_close(&model);
    if (rc == LINKD_E_DATA)
        rc = lk_fail(err, rc, "model %s: %s", stage->name, err->message);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = STAGE_FOLDERS; i < STAGE_FILES; i++)
        (void)rmdir(stage->paths[i]); /* if nothing came into it */
    if (rename(stage->paths[STAGE_DIR], stage->target) != 0)
        return fail_io("make", stage->target, err);
    stage->is_committed = true;
    return LINKD_OK;
}

/* ---- looking at the store ----------------------------------------------- */

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

typedef struct store_dir {
    lk_buf path;
    struct dirent **entries; /* sorted by name */
    size_t n;
} store_dir;

static int store_read(store_dir *store, linkd_error *err)
{
    int rc = linkd_encoder_store_path(&store->path, err);
    int n;

    if (rc != LINKD_OK)
        return rc;
    n = scandir(store->path.data, &store->entries, is_visible, alphasort);
    if (n < 0 && errno != ENOENT)
        return fail_io("read", store->path.data, err);
    store->n = n > 0 ? (size_t)n : 0;
    return LINKD_OK;
}

static void store_clear(store_dir *store)
{
    for (size_t i = 0; i < store->n; i++)
        free(store->entries[i]);
    free(store->entries);
    lk_buf_clear(&store->path);
}

/* The record of a model, or NULL. */
static json_t *record_read(const char *dir)
{
    lk_arena arena = {0};
    char *path = path_join(&arena, dir, RECORD);
    json_t *record = path != NULL ? json_load_file(path, 0, NULL) : NULL;

    lk_arena_clear(&arena);
    return record;
}

/* Of a head (linkage/model_head.h), which has no record: what it says of itself. */
static json_t *head_record(const linkd_model_head *head)
{
    linkd_compat_info info = linkd_compat_map_info(head->map);
    unsigned char *bytes = NULL;
    size_t len = 0;
    json_t *record = NULL;

    if (linkd_compat_map_encode(head->map, &bytes, &len, NULL) == LINKD_OK)
        record = json_pack(
            "{s:s,s:s,s:I,s:s,s:{s:{s:I}}}", "architecture", "head", "source",
            head->base, "dim", (json_int_t)info.dim_to, "fingerprint",
            head->fingerprint, "files", "head.map", "size", (json_int_t)len);
    free(bytes);
    return record;
}

/* What there is of a model's directory; NULL: nothing that can be read. */
static json_t *any_record_read(const char *dir)
{
    json_t *record = record_read(dir);
    linkd_model_head head = {0};

    if (record == NULL && linkd_model_head_read(dir, &head, NULL) == LINKD_OK &&
        head.map != NULL)
        record = head_record(&head);
    linkd_model_head_clear(&head);
    return record;
}

static uint64_t record_bytes(const json_t *record)
{
    json_t *files = json_object_get(record, "files");
    const char *name;
    json_t *file;
    json_int_t sum = 0;

    json_object_foreach(files, name, file)
    {
        sum += json_integer_value(json_object_get(file, "size"));
    }
    return sum > 0 ? (uint64_t)sum : 0;
}

static const char *member_text(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));

    return text != NULL ? text : "-";
}

static void list_line(const json_t *record, FILE *out)
{
    (void)fprintf(out, "%-32s %-12s %5lld %10s  %s\n",
                  member_text(record, "name"),
                  member_text(record, "architecture"),
                  (long long)json_integer_value(json_object_get(record, "dim")),
                  lk_bytes((double)record_bytes(record)).text,
                  member_text(record, "source"));
}

static int list_print(const json_t *array, FILE *out, linkd_error *err)
{
    char *text = json_dumps(array, JSON_COMPACT);

    if (text == NULL)
        return lk_fail_nomem(err);
    (void)fprintf(out, "%s\n", text);
    free(text);
    return LINKD_OK;
}

/* The record of a model of the store; one without any has its name. */
static int entry_read(const store_dir *store, size_t i, json_t **ret_record,
                      linkd_error *err)
{
    const char *name = store->entries[i]->d_name;
    lk_arena arena = {0};
    char *dir = path_join(&arena, store->path.data, name);
    json_t *record = dir != NULL ? any_record_read(dir) : NULL;

    lk_arena_clear(&arena);
    if (record == NULL)
        record = json_object();
    if (json_object_set_new(record, "name", json_string(name)) != 0) {
        json_decref(record);
        return lk_fail_nomem(err);
    }
    *ret_record = record;
    return LINKD_OK;
}

static int store_records(const store_dir *store, json_t *array,
                         linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < store->n && rc == LINKD_OK; i++) {
        json_t *record = NULL;

        rc = entry_read(store, i, &record, err);
        if (rc == LINKD_OK && json_array_append_new(array, record) != 0)
            rc = lk_fail_nomem(err);
    }
    return rc;
}

static void list_table(const json_t *array, FILE *out)
{
    size_t i;
    json_t *record;

    (void)fprintf(out, "%-32s %-12s %5s %10s  %s\n", "name", "kind", "dim",
                  "size", "source");
    json_array_foreach(array, i, record)
    {
        list_line(record, out);
    }
}

static int store_print(const store_dir *store, bool json, FILE *out,
                       linkd_error *err)
{
    json_t *array = json_array();
    int rc = store_records(store, array, err);

    if (rc == LINKD_OK && json)
        rc = list_print(array, out, err);
    else if (rc == LINKD_OK && store->n == 0)
        (void)fprintf(out, "there is no model in %s\n", store->path.data);
    else if (rc == LINKD_OK)
        list_table(array, out);
    json_decref(array);
    return rc;
}

int lk_store_list(bool json, FILE *out, linkd_error *err)
{
    store_dir store = {0};
    int rc = store_read(&store, err);

    if (rc == LINKD_OK)
        rc = store_print(&store, json, out, err);
    store_clear(&store);
    return rc;
}

/* ---- verifying ---------------------------------------------------------- */

static int file_verify(const char *dir, const char *name, const json_t *file,
                       linkd_error *err)
{
    lk_arena arena = {0};
    char *path = path_join(&arena, dir, name);
    lk_sha256 now = {{0}, 0};
    int rc =
        path != NULL ? lk_sha256_file(path, &now, err) : lk_fail_nomem(err);

    lk_arena_clear(&arena);
    if (rc != LINKD_OK)
        return rc;
    if (json_integer_value(json_object_get(file, "size")) !=
            (json_int_t)now.size ||
        strcmp(member_text(file, "sha256"), now.hex) != 0)
        return lk_fail(err, LINKD_E_DATA,
                       "%s/%s has changed: sha256 is %.16s..., was %.16s...",
                       dir, name, now.hex, member_text(file, "sha256"));
    return LINKD_OK;
}

/* A head's map has a checksum of its own. */
static int head_verify(const char *dir, bool *ret_is_head, FILE *out,
                       linkd_error *err)
{
    const char *slash = strrchr(dir, '/');
    linkd_model_head head = {0};
    linkd_error why = {0};
    int rc = linkd_model_head_read(dir, &head, &why);

    *ret_is_head = rc != LINKD_OK || head.map != NULL;
    if (rc != LINKD_OK)
        rc = lk_fail(err, rc, "cannot verify %s: %s", dir, why.message);
    else if (head.map != NULL)
        (void)fprintf(out, "%s: a head on %s, by its own checksum as learnt\n",
                      slash != NULL ? slash + 1 : dir, head.base);
    linkd_model_head_clear(&head);
    return rc;
}

static int model_verify(const char *dir, FILE *out, linkd_error *err)
{
    json_t *record = record_read(dir);
    json_t *files = json_object_get(record, "files");
    const char *name;
    json_t *file;
    int rc = LINKD_OK;

    if (!json_is_object(files))
        rc = lk_fail(err, LINKD_E_DATA,
                     "cannot verify %s: it has no readable " RECORD, dir);
    json_object_foreach(files, name, file)
    {
        if (rc == LINKD_OK)
            rc = file_verify(dir, name, file, err);
    }
    if (rc == LINKD_OK)
        (void)fprintf(out, "%s: %zu files, %s, as recorded (%s, reads %s)\n",
                      member_text(record, "name"), json_object_size(files),
                      lk_bytes((double)record_bytes(record)).text,
                      member_text(record, "architecture"),
                      member_text(record, "reads"));
    json_decref(record);
    return rc;
}

static int any_verify(const char *dir, FILE *out, linkd_error *err)
{
    bool is_head = false;
    int rc = head_verify(dir, &is_head, out, err);

    return is_head ? rc : model_verify(dir, out, err);
}

static int store_verify(FILE *out, linkd_error *err)
{
    lk_arena arena = {0};
    store_dir store = {0};
    int rc = store_read(&store, err);

    for (size_t i = 0; i < store.n && rc == LINKD_OK; i++) {
        char *dir =
            path_join(&arena, store.path.data, store.entries[i]->d_name);

        rc = dir != NULL ? any_verify(dir, out, err) : lk_fail_nomem(err);
    }
    lk_arena_clear(&arena);
    store_clear(&store);
    return rc;
}

int lk_store_verify(const char *name, FILE *out, linkd_error *err)
{
    lk_buf dir = {0};
    int rc;

    if (name == NULL)
        return store_verify(out, err);
    rc = linkd_encoder_find(name, &dir, err);
    if (rc == LINKD_OK)
        rc = any_verify(dir.data, out, err);
    lk_buf_clear(&dir);
    return rc;
}
