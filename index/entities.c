/* index/entities.c — which records are one thing.
 *
 *   ENTITIES: record -> entity        MEMBERS: (entity, record)
 *   EVENTS:   what was merged, what was split off
 *
 * Invariants: the two tables say the same; n_entities counts the entities that
 * have members. An entity's id is never given out again.
 *
 * People keep entity ids outside, so a new clustering must not rename what it
 * did not change. Each record votes with the entity it has had:
 *
 *   group 1: a(5) b(5) c(7)    5 has 2 votes, 7 has 1    keeps 5
 *   group 2: d(5) e(9) f(9)    9 has 2 votes, 5 has 1    keeps 9
 *   group 3: g(7) h(-)         7 has 1 vote              keeps 7
 *
 * Pairs (group, entity) are served by most votes, then the lower entity, then
 * the group with the lowest record; a pair is passed over when its group or its
 * entity is taken. A group that is left without one gets a new id. Afterwards a
 * pair that was not served is an event: the entity was merged into the group's
 * if nobody is left in it, else the group's was split off from it. Records that
 * the request does not name stay where they are and count as left.
 *
 * An event's reason is the most probable edge between its two parts: of a merge
 * from the votes' records to the rest of their group, of a split to those that
 * have had the same entity and are in other groups. */
#include "index/edit.h"

#include <stdlib.h>
#include <string.h>

#include "index/names.h"

#define ID_COST ((size_t)512) /* of moving one record; a guess */

/* ---- one record ------------------------------------------------------------ */

static void key_member(const lk_edit *edit, uint64_t entity, uint64_t number,
                       lk_key *ret_key)
{
    lk_key_record(ret_key, edit->collection, entity);
    lk_key_add_u64(ret_key, number);
}

static int has_members(lk_edit *edit, uint64_t entity, bool *ret_has,
                       linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str found_key = {"", 0};
    linkd_str value;
    lk_key key;
    bool found = false;
    int rc = lk_cursor_open(edit->txn, LK_TABLE_MEMBERS, &cursor, err);

    lk_key_record(&key, edit->collection, entity);
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, lk_key_str(&key), &found_key, &value,
                            &found, err);
    *ret_has = found && lk_str_starts_with(found_key, lk_key_str(&key));
    lk_cursor_close(cursor);
    return rc;
}

int lk_edit_entity(lk_edit *edit, uint64_t number, uint64_t *ret_entity,
                   linkd_error *err)
{
    uint64_t entity = LINKD_ID_NONE;
    lk_key key;
    bool found;
    int rc;

    lk_key_record(&key, edit->collection, number);
    rc = lk_number_find(edit->txn, LK_TABLE_ENTITIES, lk_key_str(&key), &entity,
                        &found, err);
    if (rc == LINKD_OK)
        *ret_entity = entity;
    return rc;
}

static int member_leave(lk_edit *edit, uint64_t number, uint64_t entity,
                        linkd_error *err)
{
    lk_key key;
    bool found;
    int rc;

    key_member(edit, entity, number, &key);
    rc = lk_txn_remove(edit->txn, LK_TABLE_MEMBERS, lk_key_str(&key), &found,
                       err);
    if (rc == LINKD_OK)
        rc = has_members(edit, entity, &found, err);
    if (rc == LINKD_OK && !found)
        edit->row.n_entities--;
    lk_key_record(&key, edit->collection, number);
    if (rc == LINKD_OK)
        rc = lk_txn_remove(edit->txn, LK_TABLE_ENTITIES, lk_key_str(&key),
                           &found, err);
    return rc;
}

static int member_enter(lk_edit *edit, uint64_t number, uint64_t entity,
                        linkd_error *err)
{
    lk_key key;
    bool found = false;
    int rc = has_members(edit, entity, &found, err);

    if (rc == LINKD_OK && !found)
        edit->row.n_entities++;
    lk_key_record(&key, edit->collection, number);
    if (rc == LINKD_OK)
        rc = lk_number_put(edit->txn, LK_TABLE_ENTITIES, lk_key_str(&key),
                           entity, err);
    key_member(edit, entity, number, &key);
    if (rc == LINKD_OK)
        rc = lk_txn_put(edit->txn, LK_TABLE_MEMBERS, lk_key_str(&key),
                        (linkd_str){"", 0}, err);
    return rc;
}

int lk_edit_move(lk_edit *edit, uint64_t number, uint64_t to, linkd_error *err)
{
    uint64_t from = LINKD_ID_NONE;
    int rc = lk_edit_entity(edit, number, &from, err);

    if (rc != LINKD_OK || from == to)
        return rc;
    if (from != LINKD_ID_NONE)
        rc = member_leave(edit, number, from, err);
    if (rc == LINKD_OK && to != LINKD_ID_NONE)
        rc = member_enter(edit, number, to, err);
    return rc;
}

int lk_edit_join(lk_edit *edit, uint64_t number, uint64_t joined,
                 linkd_error *err)
{
    uint64_t entity = LINKD_ID_NONE;
    int rc = LINKD_OK;

    if (joined != LINKD_ID_NONE)
        rc = lk_edit_entity(edit, joined, &entity, err);
    if (rc == LINKD_OK && entity == LINKD_ID_NONE) {
        entity = edit->row.next_entity++;
        if (joined != LINKD_ID_NONE)
            rc = lk_edit_move(edit, joined, entity, err);
    }
    if (rc == LINKD_OK)
        rc = lk_edit_move(edit, number, entity, err);
    return rc;
}

/* ---- groups ----------------------------------------------------------------- */

typedef struct item {
    size_t place; /* in the request */
    uint64_t group;
    uint64_t entity; /* that the record has had */
    uint64_t number;
} item;

typedef struct group {
    size_t begin; /* its items */
    size_t end;
    uint64_t first_number;
    uint64_t entity; /* that it gets */
} group;

/* How many records of a group have had one entity. */
typedef struct vote {
    size_t group;
    uint64_t entity;
    uint64_t first_number; /* of the group */
    size_t n;
    size_t rank; /* of the entity among all that have votes */
    const linkd_entity_edge *within; /* best one to the rest of the group */
    const linkd_entity_edge *across; /* and to its entity in other groups */
} vote;

/* Of one record of the request, by its place. */
typedef struct seat {
    size_t group;
    size_t vote; /* as counted, before they are sorted; SIZE_MAX: none */
} seat;

typedef struct assignment {
    uint32_t collection;
    const linkd_assignment *asked;
    size_t n;
    linkd_write_result result;
    /* made anew by each run, with room for one a record */
    item *items;
    group *groups;
    size_t n_groups;
    vote *votes;
    size_t n_votes;
    bool *taken; /* by the votes' ranks: a group keeps this entity */
    seat *seats;
} assignment;

static int u64_compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int item_compare(const void *left, const void *right)
{
    const item *a = left;
    const item *b = right;

    if (a->group != b->group)
        return u64_compare(a->group, b->group);
    if (a->entity != b->entity)
        return u64_compare(a->entity, b->entity);
    return u64_compare(a->number, b->number);
}

static int entity_compare(const void *left, const void *right)
{
    const vote *a = left;
    const vote *b = right;

    return u64_compare(a->entity, b->entity);
}

static int vote_compare(const void *left, const void *right)
{
    const vote *a = left;
    const vote *b = right;

    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    if (a->entity != b->entity)
        return u64_compare(a->entity, b->entity);
    return u64_compare(a->first_number, b->first_number);
}

static int items_read(assignment *a, lk_edit *edit, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < a->n; i++) {
        item *at = &a->items[i];
        bool found = false;

        at->place = i;
        at->group = a->asked->groups[i];
        rc = lk_edit_find(edit, a->asked->ids[i], &at->number, &found, err);
        if (rc == LINKD_OK && !found)
            rc = lk_fail(err, LINKD_E_ABSENT,
                         "record %zu: there is no record \"%.*s\"", i,
                         (int)a->asked->ids[i].len, a->asked->ids[i].bytes);
        if (rc == LINKD_OK)
            rc = lk_edit_entity(edit, at->number, &at->entity, err);
    }
    return rc;
}

/* Items are sorted: a group is a run of them. */
static void groups_find(assignment *a)
{
    a->n_groups = 0;
    for (size_t i = 0; i < a->n; i++) {
        const item *at = &a->items[i];
        group *g;

        if (i == 0 || at->group != at[-1].group)
            a->groups[a->n_groups++] = (group){.begin = i,
                                               .first_number = at->number,
                                               .entity = LINKD_ID_NONE};
        a->seats[at->place] = (seat){a->n_groups - 1, SIZE_MAX};
        g = &a->groups[a->n_groups - 1];
        g->end = i + 1;
        if (at->number < g->first_number)
            g->first_number = at->number;
    }
}

/* So is what a group's records have had; the last run, without one, is not a
 * vote. */
static void votes_count(assignment *a)
{
    a->n_votes = 0;
    for (size_t g = 0; g < a->n_groups; g++) {
        const group *run = &a->groups[g];

        for (size_t i = run->begin; i < run->end; i++) {
            const item *at = &a->items[i];

            if (at->entity == LINKD_ID_NONE)
                continue;
            if (i == run->begin || at->entity != at[-1].entity)
                a->votes[a->n_votes++] =
                    (vote){.group = g,
                           .entity = at->entity,
                           .first_number = run->first_number};
            a->votes[a->n_votes - 1].n++;
            a->seats[at->place].vote = a->n_votes - 1;
        }
    }
}

static void edge_better(const linkd_entity_edge **best,
                        const linkd_entity_edge *edge)
{
    if (*best == NULL || edge->probability > (*best)->probability)
        *best = edge;
}

/* What an edge says about the vote of one of its ends. */
static void edge_note(assignment *a, const linkd_entity_edge *edge,
                      const seat *from, const seat *to)
{
    vote *v;

    if (from->vote == SIZE_MAX || from->vote == to->vote)
        return;
    v = &a->votes[from->vote];
    if (from->group == to->group)
        edge_better(&v->within, edge);
    else if (to->vote != SIZE_MAX && a->votes[to->vote].entity == v->entity)
        edge_better(&v->across, edge);
}

static void edges_note(assignment *a)
{
    for (size_t i = 0; i < a->asked->n_edges; i++) {
        const linkd_entity_edge *edge = &a->asked->edges[i];
        const seat *x = &a->seats[edge->a];
        const seat *y = &a->seats[edge->b];

        edge_note(a, edge, x, y);
        edge_note(a, edge, y, x);
    }
}

/* Serves the votes in their order. */
static void votes_serve(assignment *a)
{
    qsort(a->votes, a->n_votes, sizeof(*a->votes), entity_compare);
    for (size_t i = 1; i < a->n_votes; i++)
        a->votes[i].rank = a->votes[i - 1].rank +
                           (a->votes[i].entity != a->votes[i - 1].entity);
    qsort(a->votes, a->n_votes, sizeof(*a->votes), vote_compare);
    memset(a->taken, 0, a->n * sizeof(*a->taken));
    for (size_t i = 0; i < a->n_votes; i++) {
        const vote *v = &a->votes[i];

        if (a->groups[v->group].entity != LINKD_ID_NONE || a->taken[v->rank])
            continue;
        a->groups[v->group].entity = v->entity;
        a->taken[v->rank] = true;
    }
}

/* ---- assigning --------------------------------------------------------------- */

static int groups_move(assignment *a, lk_edit *edit, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t g = 0; g < a->n_groups; g++) {
        group *run = &a->groups[g];

        if (run->entity == LINKD_ID_NONE)
            run->entity = edit->row.next_entity++;
        for (size_t i = run->begin; rc == LINKD_OK && i < run->end; i++) {
            a->result.n_updated += a->items[i].entity != run->entity;
            rc = lk_edit_move(edit, a->items[i].number, run->entity, err);
        }
    }
    return rc;
}

static void reason_set(const assignment *a, const linkd_entity_edge *edge,
                       linkd_entity_event *event)
{
    if (edge == NULL)
        return;
    event->ids[0] = a->asked->ids[edge->a];
    event->ids[1] = a->asked->ids[edge->b];
    event->probability = edge->probability;
}

static int events_put(const assignment *a, lk_edit *edit, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < a->n_votes; i++) {
        const vote *v = &a->votes[i];
        uint64_t entity = a->groups[v->group].entity;
        linkd_entity_event event = {.seq = *edit->seq + 1};
        bool remains;

        if (v->entity == entity)
            continue;
        rc = has_members(edit, v->entity, &remains, err);
        if (rc != LINKD_OK)
            break;
        event.merged = !remains;
        reason_set(a, remains ? v->across : v->within, &event);
        event.entity = remains ? v->entity : entity;
        event.other = remains ? entity : v->entity;
        rc = lk_event_put(edit->txn, edit->collection, &event, err);
        (*edit->seq)++;
    }
    return rc;
}

static int assign(assignment *a, lk_edit *edit, linkd_error *err)
{
    uint64_t last = LINKD_ID_NONE;
    int rc = items_read(a, edit, err);

    if (rc != LINKD_OK || a->n == 0)
        return rc;
    last = a->items[a->n - 1].number;
    qsort(a->items, a->n, sizeof(*a->items), item_compare);
    groups_find(a);
    votes_count(a);
    edges_note(a);
    votes_serve(a);
    (*edit->seq)++;
    rc = groups_move(a, edit, err);
    if (rc == LINKD_OK)
        rc = events_put(a, edit, err);
    if (rc == LINKD_OK)
        rc = lk_edit_entity(edit, last, &a->result.entity, err);
    return rc;
}

static int assign_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    assignment *a = ctx;
    lk_edit edit;
    int rc = lk_edit_begin(&edit, txn, seq, a->collection, err);

    a->result = (linkd_write_result){.entity = LINKD_ID_NONE};
    if (rc == LINKD_OK)
        rc = assign(a, &edit, err);
    if (rc == LINKD_OK)
        rc = lk_edit_end(&edit, err);
    a->result.seq = *seq;
    lk_edit_clear(&edit);
    return rc;
}

static int ids_check(const linkd_str *ids, size_t n, linkd_error *err)
{
    lk_names names = {0};
    size_t repeated = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < n; i++) {
        if (ids[i].len == 0 || ids[i].len > LINKD_ID_MAX_BYTES)
            rc = lk_fail(err, LINKD_E_ARG,
                         "record %zu: its id has %zu bytes, not 1 to %zu", i,
                         ids[i].len, LINKD_ID_MAX_BYTES);
        else
            rc = lk_names_add(&names, ids[i], err);
    }
    if (rc == LINKD_OK && lk_names_repeated(&names, &repeated))
        rc = lk_fail(err, LINKD_E_ARG, "record %zu: id \"%.*s\" is repeated",
                     repeated, (int)ids[repeated].len, ids[repeated].bytes);
    lk_names_clear(&names);
    return rc;
}

static int edges_check(const linkd_assignment *asked, linkd_error *err)
{
    for (size_t i = 0; i < asked->n_edges; i++)
        if (asked->edges[i].a >= asked->n || asked->edges[i].b >= asked->n)
            return lk_fail(err, LINKD_E_ARG,
                           "edge %zu: there are only %zu records", i, asked->n);
    return LINKD_OK;
}

static int assignment_run(linkd_store *store, assignment *a, linkd_error *err)
{
    int rc;

    a->items = calloc(a->n + 1, sizeof(*a->items));
    a->groups = calloc(a->n + 1, sizeof(*a->groups));
    a->votes = calloc(a->n + 1, sizeof(*a->votes));
    a->taken = calloc(a->n + 1, sizeof(*a->taken));
    a->seats = calloc(a->n + 1, sizeof(*a->seats));
    if (a->items == NULL || a->groups == NULL || a->votes == NULL ||
        a->taken == NULL || a->seats == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = lk_writer_run(store->writer, assign_apply, a, a->n * ID_COST, NULL,
                           err);
    free(a->seats);
    free(a->taken);
    free(a->votes);
    free(a->groups);
    free(a->items);
    return rc;
}

int linkd_store_assign_entities(linkd_store *store, linkd_str collection,
                                const linkd_assignment *asked,
                                linkd_write_result *ret_result,
                                linkd_error *err)
{
    assignment a = {.asked = asked, .n = asked->n};
    int rc = ids_check(asked->ids, asked->n, err);

    if (rc == LINKD_OK)
        rc = edges_check(asked, err);
    if (rc == LINKD_OK)
        rc = lk_collection_number(store, collection, &a.collection, err);
    if (rc == LINKD_OK)
        rc = assignment_run(store, &a, err);
    if (rc == LINKD_OK)
        *ret_result = a.result;
    return rc;
}

/* ---- reviews ------------------------------------------------------------------ */

typedef struct review {
    uint32_t collection;
    linkd_str left;
    linkd_str right;
    linkd_review_answer answer;
} review;

static int review_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    const review *r = ctx;
    lk_arena arena = {0};
    lk_collection_row row;
    lk_key key;
    bool found;
    int rc = lk_collection_get(txn, r->collection, &arena, &row, err);

    if (rc == LINKD_OK && row.dropped)
        rc = lk_fail(err, LINKD_E_ABSENT, "the collection was dropped");
    lk_arena_clear(&arena);
    if (rc != LINKD_OK)
        return rc;
    (*seq)++;
    if (r->answer != LINKD_REVIEW_NONE)
        return lk_review_put(txn, r->collection, r->left, r->right, r->answer,
                             err);
    lk_key_review(&key, r->collection, r->left, r->right);
    return lk_txn_remove(txn, LK_TABLE_REVIEWS, lk_key_str(&key), &found, err);
}

/* An answer outlives its records: one that is put again finds it. */
int linkd_store_put_review(linkd_store *store, linkd_str collection,
                           linkd_str left_id, linkd_str right_id,
                           linkd_review_answer answer, linkd_error *err)
{
    const linkd_str ids[2] = {left_id, right_id};
    review r = {.left = left_id, .right = right_id, .answer = answer};
    int rc = ids_check(ids, 2, err);

    if (rc == LINKD_OK && (unsigned)answer > LINKD_REVIEW_DIFFERENT)
        rc = lk_fail(err, LINKD_E_ARG, "unknown answer of a review");
    if (rc == LINKD_OK)
        rc = lk_collection_number(store, collection, &r.collection, err);
    if (rc != LINKD_OK)
        return rc;
    return lk_writer_run(store->writer, review_apply, &r, ID_COST, NULL, err);
}
