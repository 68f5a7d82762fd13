/* index/collections.c — rows of COLLECTIONS, GENERATIONS and NAMES; making,
 * dropping and describing collections.
 *
 * A name leads to a number, and all other tables begin their keys with that
 * number: a collection that is dropped loses its name and can be made anew at
 * once, under another number, while the rows of the old one are removed in
 * steps that are small enough not to hold up other writers. Its own row goes
 * last, so that a restart finds what is left to do. Entries of the log stay
 * until the log is trimmed. */
#include "index/parts.h"

#include "index/once.h"

#include <inttypes.h>

/* The row is rewritten by every write. */
#define TEXT_MAX_BYTES ((size_t)64 << 10)
/* Entries removed by one step: some milliseconds. A guess. */
#define PURGE_STEP ((size_t)2000)

/* ---- rows ---------------------------------------------------------------- */

static void key_collection(lk_key *key, uint32_t number)
{
    lk_key_begin(key);
    lk_key_add_u32(key, number);
}

static void key_generation(lk_key *key, uint32_t number, uint32_t generation)
{
    key_collection(key, number);
    lk_key_add_u32(key, generation);
}

int lk_collection_find(lk_txn *txn, linkd_str name, uint32_t *ret_number,
                       bool *ret_found, linkd_error *err)
{
    uint64_t number = 0;
    bool found = false;
    int rc = LINKD_OK;

    if (name.len > 0 && name.len <= LINKD_NAME_MAX_BYTES)
        rc = lk_number_find(txn, LK_TABLE_NAMES, name, &number, &found, err);
    if (rc != LINKD_OK)
        return rc;
    if (number > UINT32_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "collection \"%.*s\" has a number out of range",
                       (int)name.len, name.bytes);
    if (found)
        *ret_number = (uint32_t)number;
    *ret_found = found;
    return LINKD_OK;
}

/* Strings of the decoded row live in the arena: what LMDB hands out within a
 * write transaction is gone after the next write. */
static int row_decode(linkd_str key, linkd_str value, lk_arena *arena,
                      lk_collection_row *ret_row, linkd_error *err)
{
    linkd_str body;
    int rc = lk_value_open(LK_TABLE_COLLECTIONS, key, value, &body, err);

    if (rc != LINKD_OK)
        return rc;
    body.bytes = lk_arena_copy(arena, body.bytes, body.len);
    if (body.bytes == NULL)
        return lk_fail_nomem(err);
    return lk_collection_row_decode(body, arena, ret_row, err);
}

int lk_collection_get(lk_txn *txn, uint32_t number, lk_arena *arena,
                      lk_collection_row *ret_row, linkd_error *err)
{
    linkd_str value;
    lk_key key;
    bool found;
    int rc;

    key_collection(&key, number);
    rc = lk_txn_find(txn, LK_TABLE_COLLECTIONS, lk_key_str(&key), &value,
                     &found, err);
    if (rc != LINKD_OK)
        return rc;
    if (!found)
        return lk_fail(err, LINKD_E_ABSENT, "there is no collection %" PRIu32,
                       number);
    return row_decode(lk_key_str(&key), value, arena, ret_row, err);
}

static uint32_t number_of(linkd_str key)
{
    uint32_t number = 0;

    for (size_t i = 0; i < key.len; i++)
        number = number << 8 | (unsigned char)key.bytes[i];
    return number;
}

int lk_collection_next(lk_txn *txn, uint32_t from, lk_arena *arena,
                       uint32_t *ret_number, lk_collection_row *ret_row,
                       bool *ret_found, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str found_key = {0};
    linkd_str value = {0};
    lk_key key;
    bool found = false;
    int rc = lk_cursor_open(txn, LK_TABLE_COLLECTIONS, &cursor, err);

    key_collection(&key, from);
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, lk_key_str(&key), &found_key, &value,
                            &found, err);
    if (rc == LINKD_OK && found) {
        *ret_number = number_of(found_key);
        rc = row_decode(found_key, value, arena, ret_row, err);
    }
    lk_cursor_close(cursor);
    *ret_found = found;
    return rc;
}

int lk_collection_put(lk_txn *txn, uint32_t number,
                      const lk_collection_row *row, linkd_error *err)
{
    lk_buf body = {0};
    lk_key key;
    int rc = lk_collection_row_encode(row, &body, err);

    key_collection(&key, number);
    if (rc == LINKD_OK)
        rc = lk_value_put(txn, LK_TABLE_COLLECTIONS, lk_key_str(&key),
                          (linkd_str){body.data, body.len}, err);
    lk_buf_clear(&body);
    return rc;
}

int lk_generation_get(lk_txn *txn, uint32_t collection, uint32_t generation,
                      lk_generation_row *ret_row, linkd_error *err)
{
    linkd_str value;
    linkd_str body;
    lk_key key;
    bool found;
    int rc;

    key_generation(&key, collection, generation);
    rc = lk_txn_find(txn, LK_TABLE_GENERATIONS, lk_key_str(&key), &value,
                     &found, err);
    if (rc != LINKD_OK)
        return rc;
    if (!found)
        return lk_fail(err, LINKD_E_ABSENT,
                       "collection %" PRIu32 " has no generation %" PRIu32,
                       collection, generation);
    rc = lk_value_open(LK_TABLE_GENERATIONS, lk_key_str(&key), value, &body,
                       err);
    if (rc != LINKD_OK)
        return rc;
    return lk_generation_row_decode(body, ret_row, err);
}

int lk_generation_put(lk_txn *txn, uint32_t collection, uint32_t generation,
                      const lk_generation_row *row, linkd_error *err)
{
    lk_buf body = {0};
    lk_key key;
    int rc = lk_generation_row_encode(row, &body, err);

    key_generation(&key, collection, generation);
    if (rc == LINKD_OK)
        rc = lk_value_put(txn, LK_TABLE_GENERATIONS, lk_key_str(&key),
                          (linkd_str){body.data, body.len}, err);
    lk_buf_clear(&body);
    return rc;
}

/* ---- creating ------------------------------------------------------------ */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static int name_check(linkd_str name, linkd_error *err)
{
    if (name.len == 0 || name.len > LINKD_NAME_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "a collection's name has 1 to %zu bytes, not %zu",
                       LINKD_NAME_MAX_BYTES, name.len);
    if (name.bytes[0] == '.')
        return lk_fail(err, LINKD_E_ARG,
                       "a collection's name does not start with '.'");
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte(name.bytes[i]))
            return lk_fail(err, LINKD_E_ARG,
                           "a collection's name has letters, digits, '_', '.' "
                           "and '-' only: byte %zu is another",
                           i);
    }
    return LINKD_OK;
}

static int options_check(const linkd_collection_options *options,
                         linkd_error *err)
{
    size_t text =
        options->model.len + options->fingerprint.len + options->settings.len;

    if (options->dim == 0 || options->dim > LINKD_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors have 1 to %zu numbers, not "
                       "%zu",
                       LINKD_DIM_MAX, options->dim);
    if ((unsigned)options->index > LINKD_INDEX_IVF)
        return lk_fail(err, LINKD_E_ARG, "unknown kind of index");
    for (size_t i = 0; i < options->n_filter_fields; i++)
        text += options->filter_fields[i].len;
    if (options->n_filter_fields > LINKD_FIELDS_MAX || text > TEXT_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "model, settings and filter fields have %zu bytes, most "
                       "is %zu",
                       text, TEXT_MAX_BYTES);
    return LINKD_OK;
}

/* ---- under a key ---------------------------------------------------------- */

/* What is asked once; the number of the collection is what a key keeps. */
typedef struct command {
    linkd_str name;
    const linkd_collection_options *options; /* of a creation */
    const linkd_once *once;
    uint32_t number;
    bool replayed; /* both answered, set anew by each run */
} command;

/* Does it, unless the key says that it was done. */
static int command_apply(command *c, lk_txn *txn, uint64_t *seq,
                         int (*apply)(command *c, lk_txn *txn,
                                      linkd_error *err),
                         linkd_error *err)
{
    uint64_t number = 0;
    int rc = lk_once_find(txn, c->once, &number, 1, &c->replayed, err);

    if (rc != LINKD_OK || c->replayed)
        return rc;
    rc = apply(c, txn, err);
    number = c->number;
    if (rc == LINKD_OK)
        rc = lk_once_put(txn, c->once, &number, 1, err);
    (*seq)++;
    return rc;
}

static int command_run(linkd_store *store, command *c, lk_apply_fn *apply,
                       bool *ret_replayed, linkd_error *err)
{
    int rc = lk_once_check(c->once, err);

    if (rc == LINKD_OK)
        rc = lk_writer_run(store->writer, apply, c, TEXT_MAX_BYTES, NULL, err);
    if (rc == LINKD_OK && ret_replayed != NULL)
        *ret_replayed = c->replayed;
    return rc;
}

/* ---- making ---------------------------------------------------------------- */

static int number_take(lk_txn *txn, uint32_t *ret_number, linkd_error *err)
{
    uint64_t number = 1;
    bool found;
    int rc = lk_meta_find(txn, "next_collection", &number, &found, err);

    if (rc != LINKD_OK)
        return rc;
    if (number >= UINT32_MAX)
        return lk_fail(err, LINKD_E_FULL, "no more collections can be made");
    *ret_number = (uint32_t)number;
    return lk_meta_put(txn, "next_collection", number + 1, err);
}

static int rows_create(lk_txn *txn, uint32_t number, const command *c,
                       linkd_error *err)
{
    lk_collection_row row = {
        .name = c->name,
        .options = *c->options,
        .generation = 1,
        .created_unix_ms = lk_unix_ms(),
        .next_entity = 1,
        .next_segment = 1,
    };
    lk_generation_row generation = {
        .model = c->options->model,
        .fingerprint = c->options->fingerprint,
        .dim = c->options->dim,
    };
    int rc = lk_collection_put(txn, number, &row, err);

    if (rc == LINKD_OK)
        rc = lk_generation_put(txn, number, 1, &generation, err);
    if (rc == LINKD_OK)
        rc = lk_number_put(txn, LK_TABLE_NAMES, c->name, number, err);
    return rc;
}

static int create(command *c, lk_txn *txn, linkd_error *err)
{
    bool found = false;
    int rc = lk_collection_find(txn, c->name, &c->number, &found, err);

    if (rc != LINKD_OK)
        return rc;
    if (found)
        return lk_fail(err, LINKD_E_CONFLICT, "collection \"%.*s\" exists",
                       (int)c->name.len, c->name.bytes);
    rc = number_take(txn, &c->number, err);
    return rc == LINKD_OK ? rows_create(txn, c->number, c, err) : rc;
}

static int create_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    return command_apply(ctx, txn, seq, create, err);
}

int linkd_store_create_collection(linkd_store *store, linkd_str name,
                                  const linkd_collection_options *options,
                                  const linkd_once *once, bool *ret_replayed,
                                  linkd_error *err)
{
    command c = {.name = name, .options = options, .once = once};
    int rc = name_check(name, err);

    if (rc == LINKD_OK)
        rc = options_check(options, err);
    if (rc != LINKD_OK)
        return rc;
    return command_run(store, &c, create_apply, ret_replayed, err);
}

/* ---- dropping ------------------------------------------------------------ */

static int absent_fail(linkd_str name, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ABSENT, "there is no collection \"%.*s\"",
                   (int)(name.len < LINKD_NAME_MAX_BYTES
                             ? name.len
                             : LINKD_NAME_MAX_BYTES),
                   name.bytes);
}

static int drop(command *c, lk_txn *txn, linkd_error *err)
{
    lk_arena arena = {0};
    lk_collection_row row;
    bool found = false;
    int rc = lk_collection_find(txn, c->name, &c->number, &found, err);

    if (rc == LINKD_OK && !found)
        rc = absent_fail(c->name, err);
    if (rc == LINKD_OK)
        rc = lk_collection_get(txn, c->number, &arena, &row, err);
    if (rc == LINKD_OK) {
        row.dropped = true;
        rc = lk_collection_put(txn, c->number, &row, err);
    }
    if (rc == LINKD_OK)
        rc = lk_txn_remove(txn, LK_TABLE_NAMES, c->name, &found, err);
    lk_arena_clear(&arena);
    return rc;
}

static int drop_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    return command_apply(ctx, txn, seq, drop, err);
}

int linkd_store_drop_collection(linkd_store *store, linkd_str name,
                                const linkd_once *once, bool *ret_replayed,
                                linkd_error *err)
{
    command c = {.name = name, .once = once};
    int rc = command_run(store, &c, drop_apply, ret_replayed, err);

    if (rc != LINKD_OK || c.replayed)
        return rc;
    lk_sets_drop(store->sets, c.number);
    lk_builder_wake(store->builder);
    return LINKD_OK;
}

int lk_table_purge(lk_txn *txn, lk_table table, linkd_str prefix,
                   size_t *n_left, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str found_key;
    linkd_str value;
    lk_key key;
    bool found = true;
    int rc = lk_cursor_open(txn, table, &cursor, err);

    while (rc == LINKD_OK && *n_left > 0) {
        rc = lk_cursor_seek(cursor, prefix, &found_key, &value, &found, err);
        if (rc != LINKD_OK || !found || !lk_str_starts_with(found_key, prefix))
            break;
        lk_key_begin(&key);
        lk_key_add_bytes(&key, found_key);
        rc = lk_txn_remove(txn, table, lk_key_str(&key), &found, err);
        (*n_left)--;
    }
    lk_cursor_close(cursor);
    return rc;
}

int lk_collection_purge_step(void *ctx, lk_txn *txn, uint64_t *seq,
                             linkd_error *err)
{
    /* The collection's own row last: it says that there is more to do. */
    static const lk_table tables[] = {
        LK_TABLE_SEGMENTS,    LK_TABLE_FIELDS,     LK_TABLE_VECTORS,
        LK_TABLE_SLOTS,       LK_TABLE_DEAD,       LK_TABLE_IDS,
        LK_TABLE_RECORDS,     LK_TABLE_MEMBERS,    LK_TABLE_ENTITIES,
        LK_TABLE_EVENTS,      LK_TABLE_REVIEWS,    LK_TABLE_BLOBS,
        LK_TABLE_GENERATIONS, LK_TABLE_COLLECTIONS};
    lk_purge *purge = ctx;
    lk_arena arena = {0};
    size_t n_left = PURGE_STEP;
    lk_collection_row row = {0};
    lk_key key;
    int rc = lk_collection_get(txn, purge->collection, &arena, &row, err);

    (void)seq; /* nothing changes that anybody can see */
    lk_arena_clear(&arena);
    purge->ret_more = false;
    if (rc != LINKD_OK)
        return rc == LINKD_E_ABSENT ? LINKD_OK : rc;
    if (!row.dropped)
        return LINKD_OK;
    key_collection(&key, purge->collection);
    for (size_t i = 0; rc == LINKD_OK && i < sizeof(tables) / sizeof(*tables);
         i++)
        rc = lk_table_purge(txn, tables[i], lk_key_str(&key), &n_left, err);
    purge->ret_more = n_left == 0;
    return rc;
}

/* ---- describing ---------------------------------------------------------- */

/* Adds up what one generation has. */
static void info_add(linkd_store *store, linkd_collection_info *info,
                     const lk_generation *generation)
{
    lk_segment_set *set =
        lk_sets_get(store->sets, info->number, generation->number);

    info->n_vectors += generation->row.n_vectors;
    info->n_slots += generation->row.n_slots;
    info->n_unindexed += generation->row.n_slots;
    if (set == NULL)
        return;
    info->n_segments += set->n;
    for (size_t i = 0; i < set->n; i++) {
        uint64_t covered =
            set->segments[i]->slot_end - set->segments[i]->slot_begin;

        /* The set may be newer than the transaction. */
        info->n_unindexed -=
            covered < info->n_unindexed ? covered : info->n_unindexed;
    }
    lk_segment_set_unref(set);
}

static int info_read(linkd_store *store, lk_txn *txn, uint32_t number,
                     lk_arena *arena, linkd_collection_info *ret_info,
                     linkd_error *err)
{
    lk_generation generations[LINKD_GENERATIONS_MAX];
    lk_collection_row row = {0};
    size_t n = 0;
    int rc = lk_collection_get(txn, number, arena, &row, err);

    if (rc == LINKD_OK)
        rc = lk_generations_read(txn, number, arena, generations, &n, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_info = (linkd_collection_info){
        .name = row.name,
        .number = number,
        .generation = row.generation,
        .options = row.options,
        .created_unix_ms = row.created_unix_ms,
        .n_records = row.n_records,
        .n_entities = row.n_entities,
    };
    for (size_t i = 0; i < n; i++)
        if (generations[i].row.state != LK_GENERATION_DROPPED)
            info_add(store, ret_info, &generations[i]);
    return LINKD_OK;
}

int linkd_store_describe(linkd_store *store, linkd_str name, lk_arena *arena,
                         linkd_collection_info *ret_info, linkd_error *err)
{
    lk_txn *txn = NULL;
    uint32_t number = 0;
    bool found = false;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_collection_find(txn, name, &number, &found, err);
    if (rc == LINKD_OK && !found)
        rc = absent_fail(name, err);
    if (rc == LINKD_OK)
        rc = info_read(store, txn, number, arena, ret_info, err);
    lk_txn_abort(txn);
    return rc;
}

int lk_collection_number(linkd_store *store, linkd_str name,
                         uint32_t *ret_number, linkd_error *err)
{
    lk_txn *txn = NULL;
    bool found = false;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_collection_find(txn, name, ret_number, &found, err);
    if (rc == LINKD_OK && !found)
        rc = absent_fail(name, err);
    lk_txn_abort(txn);
    return rc;
}

/* Walks NAMES, which is in the order of names. */
static int infos_read(linkd_store *store, lk_txn *txn, lk_cursor *cursor,
                      linkd_collection_info *infos, size_t n_room,
                      lk_arena *arena, size_t *ret_n, linkd_error *err)
{
    static const linkd_str least = {"-", 1}; /* of the bytes of names */
    linkd_str name;
    linkd_str value;
    uint32_t number = 0;
    bool found;
    bool named;
    size_t n = 0;
    int rc = lk_cursor_seek(cursor, least, &name, &value, &found, err);

    while (rc == LINKD_OK && found && n < n_room) {
        rc = lk_collection_find(txn, name, &number, &named, err);
        if (rc == LINKD_OK)
            rc = info_read(store, txn, number, arena, &infos[n], err);
        n++;
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &name, &value, &found, err);
    }
    *ret_n = n;
    return rc;
}

int linkd_store_list(linkd_store *store, lk_arena *arena,
                     linkd_collection_info **ret_infos, size_t *ret_n,
                     linkd_error *err)
{
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;
    linkd_collection_info *infos = NULL;
    uint64_t n_names = 0;
    size_t n = 0;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_txn_count(txn, LK_TABLE_NAMES, &n_names, err);
    if (rc == LINKD_OK)
        rc = lk_cursor_open(txn, LK_TABLE_NAMES, &cursor, err);
    if (rc != LINKD_OK)
        goto done;
    infos = lk_arena_alloc(arena, (size_t)n_names * sizeof(*infos) + 1);
    if (infos == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    rc = infos_read(store, txn, cursor, infos, (size_t)n_names, arena, &n, err);
done:
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
    if (rc != LINKD_OK)
        return rc;
    *ret_infos = infos;
    *ret_n = n;
    return LINKD_OK;
}
