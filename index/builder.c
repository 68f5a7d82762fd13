/* index/builder.c — segments in the background.
 *
 * One thread. It looks at each collection, takes one step where plan.c finds
 * one worth taking, and looks again; when there is none, it sleeps until
 * something is written.
 *
 *   survey.c ─► plan.c ─► build.c ─► segment.c ─► row, by writer.c ─► sets.c
 *   what is     what to   in         its file     on disk            searched
 *   alive       do        memory
 *
 * The order is what makes a crash harmless: a file without a row, or whose row
 * was removed, is removed by the next sweep; a row is only ever written for a
 * file that is on disk. Searches meet a new segment when it replaces the old
 * ones in the set, and those live on in memory as long as a search has them.
 *
 * A step that fails (disk full, no memory, a damaged chunk) is told once and
 * tried again later, more and more seldom. Until then its slots are scanned.
 * Nothing here is ever reported to a writer or a searcher. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "index/build.h"

#define SECOND_NS ((uint64_t)1000000000)
/* Guesses. Writes come in bursts: look at most ten times a second; merge when
 * there was no write for some seconds. */
#define PAUSE_NS     (SECOND_NS / 10)
#define QUIET_NS     (3 * SECOND_NS)
#define RETRY_MIN_NS SECOND_NS
#define RETRY_MAX_NS (60 * SECOND_NS)
#define NEVER        UINT64_MAX
#define NICE_LOWEST  19
/* Of one write: small beside the writer's groups of 64 MB. */
#define VACUUM_COST_MAX   ((size_t)16 << 20)
#define VACUUM_CHUNKS_MAX ((size_t)64)
#define PURGE_COST        ((size_t)1 << 20)

/* What the thread remembers of a generation of a collection, or of a dropped
 * collection (generation 0), between two looks. */
typedef struct watched {
    uint32_t number;
    uint32_t generation;
    bool dropped;
    bool is_known; /* by an earlier round */
    bool seen;     /* in this round */
    uint64_t n_slots;
    uint64_t n_kept; /* vectors, alive or inactive */
    uint64_t changed_ns;
    uint64_t due_ns;   /* when to look again though nothing changed */
    uint64_t retry_ns; /* the last wait after a failure; 0: none failed */
} watched;

struct lk_builder {
    linkd_store *store;
    pthread_t thread;
    bool has_thread;
    size_t n_threads; /* of a build */
    atomic_bool stopping;
    atomic_bool building;
    _Atomic uint64_t n_built;
    _Atomic uint64_t n_damaged;
    pthread_mutex_t build_lock; /* guards: woken */
    pthread_cond_t wakened;
    bool woken;
    watched *watched; /* the thread's own */
    size_t n_watched;
    size_t watched_capacity;
    bool is_blind; /* the last round could not list all collections */
};

/* ---- steps -------------------------------------------------------------- */

/* The numbers of the rows that a step replaces. NULL: out of memory. */
static uint64_t *replaced_list(const lk_survey *s, const lk_plan *plan,
                               size_t *ret_n)
{
    uint64_t *numbers = calloc(s->n_listed + 1, sizeof(*numbers));
    size_t n = 0;

    for (size_t i = 0; numbers != NULL && i < s->n_listed; i++) {
        const lk_listed *listed = &s->listed[i];

        if (listed->end == 0 ||
            (listed->begin >= plan->begin && listed->end <= plan->end))
            numbers[n++] = listed->number;
    }
    *ret_n = n;
    return numbers;
}

/* Commits the change of SEGMENTS, then shows it to searches. */
static int segments_publish(lk_builder *builder, const lk_survey *s,
                            const lk_plan *plan, const lk_segment_row *row,
                            lk_segment *take_segment, linkd_error *err)
{
    linkd_store *store = builder->store;
    lk_segments_change change = {.collection = s->collection,
                                 .generation = s->generation,
                                 .number = s->next_segment,
                                 .added = row};
    uint64_t *replaced = replaced_list(s, plan, &change.n_removed);
    int rc;

    if (replaced == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    change.removed = replaced;
    rc = lk_writer_run(store->writer, lk_segments_apply, &change,
                       sizeof(change), NULL, err);
    if (rc != LINKD_OK)
        goto done;
    rc = lk_sets_replace(store->sets, s->collection, s->generation,
                         take_segment, replaced, change.n_removed, err);
    take_segment = NULL;
    if (rc != LINKD_OK) /* else the set has segments that no row lists */
        lk_sets_drop(store->sets, s->collection);
done:
    lk_segment_unref(take_segment);
    free(replaced);
    lk_segments_sweep(builder->store);
    return rc;
}

static uint64_t alive_within(const lk_survey *s, const lk_plan *plan)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_spans; i++) {
        if (s->spans[i].begin >= plan->begin && s->spans[i].end <= plan->end)
            n += s->spans[i].n_alive;
    }
    return n;
}

static int segment_make(lk_builder *builder, const lk_build *build,
                        uint64_t number, lk_segment_row *ret_row,
                        char ret_factory[LK_FACTORY_BYTES],
                        lk_segment **ret_segment, linkd_error *err)
{
    lk_segment *segment = NULL;
    lk_buf path = {0};
    int rc = lk_segment_path(builder->store->dir, build->collection,
                             build->generation, number, &path, err);

    if (rc == LINKD_OK)
        rc = lk_build_run(build, &segment, ret_factory, err);
    if (rc != LINKD_OK)
        goto done;
    segment->number = number;
    *ret_row = (lk_segment_row){.slot_begin = segment->slot_begin,
                                .slot_end = segment->slot_end,
                                .n = segment->n,
                                .factory = {ret_factory, strlen(ret_factory)}};
    rc = lk_segment_write(segment, path.data, build->dim, ret_row, err);
    segment->file_bytes = ret_row->file_bytes;
    if (rc == LINKD_OK)
        *ret_segment = segment;
    else
        lk_segment_unref(segment);
done:
    lk_buf_clear(&path);
    return rc;
}

static int step_build(lk_builder *builder, const lk_survey *s,
                      const lk_plan *plan, linkd_error *err)
{
    lk_build build = {.store = builder->store,
                      .collection = s->collection,
                      .generation = s->generation,
                      .begin = plan->begin,
                      .end = plan->end,
                      .n_alive = alive_within(s, plan),
                      .dim = s->dim,
                      .kind = s->kind,
                      .stop = &builder->stopping};
    uint64_t start_ns = lk_clock_ns();
    char factory[LK_FACTORY_BYTES];
    lk_segment_row row = {0};
    lk_segment *segment = NULL;
    int rc;

    lk_ann_set_threads(builder->n_threads);
    rc = segment_make(builder, &build, s->next_segment, &row, factory, &segment,
                      err);
    if (rc == LINKD_OK)
        rc = segments_publish(builder, s, plan, &row, segment, err);
    if (rc != LINKD_OK)
        return rc;
    (void)atomic_fetch_add(&builder->n_built, 1);
    lk_store_tell(builder->store, LINKD_STORE_INFO,
                  "built segment %" PRIu64 " of collection %" PRIu32
                  ": %" PRIu64 " vectors in %.1f s",
                  s->next_segment, s->collection, row.n,
                  lk_clock_seconds_since(start_ns));
    return LINKD_OK;
}

static int step_forget(lk_builder *builder, const lk_survey *s,
                       const lk_plan *plan, linkd_error *err)
{
    int rc = segments_publish(builder, s, plan, NULL, NULL, err);

    if (rc == LINKD_OK)
        lk_store_tell(builder->store, LINKD_STORE_INFO,
                      "removed segments of collection %" PRIu32
                      " that hold too little",
                      s->collection);
    return rc;
}

/* A write for each few chunks, so that others come in between. The survey's list
 * may be old by then: what is alive in a chunk is looked up by the write. */
static int step_vacuum(lk_builder *builder, const lk_survey *s,
                       linkd_error *err)
{
    size_t n_fit = VACUUM_COST_MAX / lk_vacuum_cost(1, s->dim) + 1;
    int rc = LINKD_OK;

    if (n_fit > VACUUM_CHUNKS_MAX)
        n_fit = VACUUM_CHUNKS_MAX;
    for (size_t at = 0;
         at < s->n_vacuum && rc == LINKD_OK && !atomic_load(&builder->stopping);
         at += n_fit) {
        size_t n = s->n_vacuum - at < n_fit ? s->n_vacuum - at : n_fit;
        lk_vacuum vacuum = {.collection = s->collection,
                            .generation = s->generation,
                            .chunks = s->vacuum + at,
                            .n_chunks = n};

        rc = lk_writer_run(builder->store->writer, lk_vacuum_apply, &vacuum,
                           lk_vacuum_cost(n, s->dim), NULL, err);
    }
    return rc;
}

static int step_purge(lk_builder *builder, uint32_t collection,
                      linkd_error *err)
{
    lk_purge purge = {.collection = collection};
    int rc;

    lk_sets_drop(builder->store->sets, collection);
    do {
        rc = lk_writer_run(builder->store->writer, lk_collection_purge_step,
                           &purge, PURGE_COST, NULL, err);
    } while (rc == LINKD_OK && purge.ret_more &&
             !atomic_load(&builder->stopping));
    lk_segments_sweep(builder->store);
    if (rc == LINKD_OK && !purge.ret_more)
        lk_store_tell(builder->store, LINKD_STORE_INFO,
                      "freed the space of collection %" PRIu32 ", dropped",
                      collection);
    return rc;
}

/* Does what is worth doing now, if anything. */
static int step_take(lk_builder *builder, const watched *w, bool quiet,
                     bool *ret_worked, linkd_error *err)
{
    lk_survey s = {0};
    lk_plan plan = {0};
    int rc = lk_survey_take(builder->store, w->number, w->generation, &s, err);

    if (rc == LINKD_OK)
        plan = lk_plan_make(&s, builder->store->options.exact_below, quiet);
    *ret_worked = plan.step != LK_STEP_NONE;
    atomic_store(&builder->building, *ret_worked);
    if (plan.step == LK_STEP_VACUUM)
        rc = step_vacuum(builder, &s, err);
    else if (plan.step == LK_STEP_FORGET)
        rc = step_forget(builder, &s, &plan, err);
    else if (plan.step == LK_STEP_BUILD)
        rc = step_build(builder, &s, &plan, err);
    atomic_store(&builder->building, false);
    lk_survey_clear(&s);
    return rc;
}

/* ---- rounds ------------------------------------------------------------- */

static watched *watched_find(lk_builder *builder, uint32_t number,
                             uint32_t generation, linkd_error *err)
{
    void *array = builder->watched;
    int rc;

    for (size_t i = 0; i < builder->n_watched; i++) {
        if (builder->watched[i].number == number &&
            builder->watched[i].generation == generation)
            return &builder->watched[i];
    }
    rc = lk_grow(&array, &builder->watched_capacity, builder->n_watched + 1,
                 sizeof(*builder->watched), err);
    builder->watched = array;
    if (rc != LINKD_OK)
        return NULL;
    builder->watched[builder->n_watched] =
        (watched){.number = number, .generation = generation};
    return &builder->watched[builder->n_watched++];
}

/* Notes what has changed in a generation since the last round; NULL: all of the
 * collection was dropped. */
static int generation_watch(lk_builder *builder, uint32_t number,
                            const lk_generation *generation, linkd_error *err)
{
    static const lk_generation none = {0};
    bool dropped = generation == NULL;
    const lk_generation *now = dropped ? &none : generation;
    uint64_t n_kept = now->row.n_vectors + now->row.n_inactive;
    watched *w = watched_find(builder, number, now->number, err);

    if (w == NULL)
        return LINKD_E_NOMEM;
    if (!w->is_known || w->n_slots != now->row.n_slots || w->n_kept != n_kept) {
        w->changed_ns = lk_clock_ns();
        if (w->retry_ns == 0)
            w->due_ns = 0;
    }
    w->is_known = true;
    w->dropped = dropped;
    w->n_slots = now->row.n_slots;
    w->n_kept = n_kept;
    w->seen = true;
    return LINKD_OK;
}

static int collection_watch(lk_builder *builder, lk_txn *txn, uint32_t number,
                            const lk_collection_row *row, lk_arena *arena,
                            linkd_error *err)
{
    lk_generation generations[LINKD_GENERATIONS_MAX];
    size_t n = 0;
    int rc;

    if (row->dropped)
        return generation_watch(builder, number, NULL, err);
    rc = lk_generations_read(txn, number, arena, generations, &n, err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        if (generations[i].row.state != LK_GENERATION_DROPPED)
            rc = generation_watch(builder, number, &generations[i], err);
    return rc;
}

static void watched_forget_unseen(lk_builder *builder)
{
    size_t n = 0;

    for (size_t i = 0; i < builder->n_watched; i++) {
        if (builder->watched[i].seen)
            builder->watched[n++] = builder->watched[i];
    }
    builder->n_watched = n;
}

/* LINKD_E_DATA: a collection cannot be read; the others are watched. */
static int collections_watch(lk_builder *builder, linkd_error *err)
{
    lk_txn *txn = NULL;
    lk_arena arena = {0};
    lk_collection_row row;
    uint32_t number = 0;
    bool is_damaged = false;
    bool found = true;
    int rc = lk_txn_begin_read(builder->store->env, &txn, err);

    for (size_t i = 0; i < builder->n_watched; i++)
        builder->watched[i].seen = false;
    while (rc == LINKD_OK && found) {
        rc =
            lk_collection_next(txn, number, &arena, &number, &row, &found, err);
        if (rc == LINKD_OK && found)
            rc = collection_watch(builder, txn, number, &row, &arena, err);
        lk_arena_clear(&arena);
        is_damaged = is_damaged || rc == LINKD_E_DATA;
        rc = rc == LINKD_E_DATA ? LINKD_OK : rc;
        if (number++ == UINT32_MAX)
            break;
    }
    lk_txn_abort(txn);
    if (rc == LINKD_OK)
        watched_forget_unseen(builder);
    return rc == LINKD_OK && is_damaged ? LINKD_E_DATA : rc;
}

/* Some failures are the end of the matter: it was dropped meanwhile, or all is
 * being closed. */
static bool is_failure(const lk_builder *builder, int rc)
{
    return rc != LINKD_OK && rc != LINKD_E_ABSENT && rc != LINKD_E_CANCELLED &&
           !atomic_load(&builder->stopping);
}

static void failure_tell(lk_builder *builder, watched *w,
                         const linkd_error *err)
{
    bool is_first = w->retry_ns == 0;

    w->retry_ns = is_first ? RETRY_MIN_NS : 2 * w->retry_ns;
    if (w->retry_ns > RETRY_MAX_NS)
        w->retry_ns = RETRY_MAX_NS;
    w->due_ns = lk_clock_ns() + w->retry_ns;
    if (is_first)
        lk_store_tell(builder->store, LINKD_STORE_FAILED,
                      "could not index collection %" PRIu32 ": %s", w->number,
                      err->message);
}

/* Looks at one collection; its next look is due at w->due_ns. */
static void collection_tend(lk_builder *builder, watched *w)
{
    uint64_t now_ns = lk_clock_ns();
    bool quiet = now_ns - w->changed_ns >= QUIET_NS;
    bool worked = false;
    linkd_error err = {0};
    int rc;

    if (w->due_ns > now_ns)
        return;
    if (w->dropped)
        rc = step_purge(builder, w->number, &err);
    else
        rc = step_take(builder, w, quiet, &worked, &err);
    if (is_failure(builder, rc)) {
        failure_tell(builder, w, &err);
        return;
    }
    w->retry_ns = 0;
    w->due_ns = worked ? 0 : quiet ? NEVER : w->changed_ns + QUIET_NS;
}

/* Looks at all collections once. Tells when to look again at the latest. */
static uint64_t round_run(lk_builder *builder)
{
    uint64_t due_ns = NEVER;
    linkd_error err = {0};
    int rc = collections_watch(builder, &err);

    if (rc != LINKD_OK && !builder->is_blind)
        lk_store_tell(builder->store, LINKD_STORE_FAILED,
                      "could not look for vectors to index: %s", err.message);
    builder->is_blind = rc != LINKD_OK;
    if (rc != LINKD_OK && rc != LINKD_E_DATA)
        return lk_clock_ns() + RETRY_MAX_NS;
    for (size_t i = 0; i < builder->n_watched; i++) {
        watched *w = &builder->watched[i];

        if (!atomic_load(&builder->stopping))
            collection_tend(builder, w);
        due_ns = w->due_ns < due_ns ? w->due_ns : due_ns;
    }
    return due_ns;
}

/* ---- the thread --------------------------------------------------------- */

/* Until the time has come, or somebody wakes us (unless `deaf`), or the end. */
static void sleep_until(lk_builder *builder, uint64_t due_ns, bool deaf)
{
    struct timespec until = {.tv_sec = (time_t)(due_ns / SECOND_NS),
                             .tv_nsec = (long)(due_ns % SECOND_NS)};
    int rc = 0;

    (void)pthread_mutex_lock(&builder->build_lock);
    while (rc == 0 && !atomic_load(&builder->stopping) &&
           (deaf || !builder->woken)) {
        if (due_ns == NEVER)
            rc = pthread_cond_wait(&builder->wakened, &builder->build_lock);
        else
            rc = pthread_cond_timedwait(&builder->wakened, &builder->build_lock,
                                        &until);
    }
    if (!deaf)
        builder->woken = false;
    (void)pthread_mutex_unlock(&builder->build_lock);
}

/* Gives way to those who search and write. FAISS's threads inherit it. */
static void priority_lower(void)
{
    static const struct sched_param param = {0};

    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_LOWEST);
}

static void *thread_main(void *arg)
{
    lk_builder *builder = arg;

    priority_lower();
    while (!atomic_load(&builder->stopping)) {
        uint64_t start_ns = lk_clock_ns();
        uint64_t due_ns = round_run(builder);

        if (due_ns <= start_ns)
            continue;
        sleep_until(builder, due_ns, false);
        sleep_until(builder, start_ns + PAUSE_NS, true);
    }
    return NULL;
}

static int thread_start(lk_builder *builder, linkd_error *err)
{
    int rc = pthread_create(&builder->thread, NULL, thread_main, builder);

    if (rc != 0)
        return lk_fail(err, LINKD_E_NOMEM, "could not start a thread: %s",
                       strerror(rc));
    builder->has_thread = true;
    return LINKD_OK;
}

static int locks_init(lk_builder *builder, linkd_error *err)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc == 0)
        rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&builder->wakened, &attr);
    if (rc == 0)
        rc = pthread_mutex_init(&builder->build_lock, NULL);
    (void)pthread_condattr_destroy(&attr);
    return rc == 0 ? LINKD_OK : lk_fail_nomem(err);
}

static int builder_start(lk_builder *builder, linkd_error *err)
{
    lk_pool *pool = NULL;
    uint64_t n_damaged = 0;
    int rc = lk_pool_new(builder->store->options.n_build_threads, &pool, err);

    if (rc != LINKD_OK)
        return rc;
    builder->n_threads = lk_pool_n_workers(pool);
    lk_segments_sweep(builder->store);
    rc = lk_segments_load(builder->store, pool, &n_damaged, err);
    lk_pool_free(pool);
    atomic_store(&builder->n_damaged, n_damaged);
    return rc == LINKD_OK ? thread_start(builder, err) : rc;
}

int lk_builder_new(linkd_store *store, lk_builder **ret_builder,
                   linkd_error *err)
{
    lk_builder *builder = calloc(1, sizeof(*builder));
    int rc;

    if (builder == NULL)
        return lk_fail_nomem(err);
    builder->store = store;
    rc = locks_init(builder, err);
    if (rc != LINKD_OK) {
        free(builder);
        return rc;
    }
    rc = builder_start(builder, err);
    if (rc == LINKD_OK)
        *ret_builder = builder;
    else
        lk_builder_free(builder);
    return rc;
}

void lk_builder_free(lk_builder *builder)
{
    if (builder == NULL)
        return;
    atomic_store(&builder->stopping, true);
    lk_builder_wake(builder);
    if (builder->has_thread)
        (void)pthread_join(builder->thread, NULL);
    (void)pthread_cond_destroy(&builder->wakened);
    (void)pthread_mutex_destroy(&builder->build_lock);
    free(builder->watched);
    free(builder);
}

void lk_builder_wake(lk_builder *builder)
{
    if (builder == NULL)
        return;
    (void)pthread_mutex_lock(&builder->build_lock);
    builder->woken = true;
    (void)pthread_cond_signal(&builder->wakened);
    (void)pthread_mutex_unlock(&builder->build_lock);
}

void lk_builder_read_stats(lk_builder *builder, linkd_store_stats *stats)
{
    stats->n_built = atomic_load(&builder->n_built);
    stats->n_damaged = atomic_load(&builder->n_damaged);
    stats->building = atomic_load(&builder->building);
}
