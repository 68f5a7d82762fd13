/* linkage/bridge_held.c — the anchors that no map was fitted on, as a sample of
 * their own.
 *
 * A map leads queries nearer to the records that it was fitted on than to others.
 * Among all anchors an answer, which is held out, stands beside records most of
 * which are not, and mapped queries find it later than they would in a
 * collection, where nearly all records are new to the map: weights and rankings
 * that are chosen there come out too low, and mapped queries too poor
 * (docs/compat.md). So ranks that a map has a part in are told among held-out
 * anchors. */
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"

void lk_held_clear(lk_held *held)
{
    free(held->places);
    free(held->answers);
    free(held->asked);
    free(held->groups);
    *held = (lk_held){0};
}

/* What is looked for is there in any case. */
static void places_find(const linkd_bridge_task *t, bool *is_there,
                        lk_held *held)
{
    for (size_t i = 0; i < t->n_anchors; i++)
        is_there[i] = lk_bridge_holds(t, i);
    for (size_t i = 0; i < t->n_queries; i++)
        is_there[t->answers[i]] = true;
    for (size_t i = 0; i < t->n_anchors; i++)
        if (is_there[i])
            held->places[held->task.n_anchors++] = i;
}

/* Puts the numbers that anchors have here in place of those in the task. */
static void numbers_put(const linkd_bridge_task *t, const size_t *number_of,
                        lk_held *held)
{
    for (size_t i = 0; i < held->task.n_anchors; i++)
        held->groups[i] = lk_bridge_group(t, held->places[i]);
    for (size_t i = 0; i < t->n_queries; i++) {
        held->answers[i] = number_of[t->answers[i]];
        held->asked[i] = t->asked != NULL && t->asked[i] < t->n_anchors
                             ? number_of[t->asked[i]]
                             : SIZE_MAX;
    }
}

int lk_held_make(const linkd_bridge_task *task, lk_held *ret_held,
                 linkd_error *err)
{
    lk_held held = {.task = *task,
                    .places = calloc(task->n_anchors + 1, sizeof(size_t)),
                    .answers = calloc(task->n_queries + 1, sizeof(size_t)),
                    .asked = calloc(task->n_queries + 1, sizeof(size_t)),
                    .groups = calloc(task->n_anchors + 1, sizeof(size_t))};
    bool *is_there = calloc(task->n_anchors + 1, sizeof(*is_there));
    size_t *number_of = malloc((task->n_anchors + 1) * sizeof(*number_of));
    bool ok = held.places != NULL && held.answers != NULL &&
              held.asked != NULL && held.groups != NULL && is_there != NULL &&
              number_of != NULL;

    held.task.n_anchors = 0;
    if (ok) {
        places_find(task, is_there, &held);
        for (size_t i = 0; i < task->n_anchors; i++)
            number_of[i] = SIZE_MAX;
        for (size_t i = 0; i < held.task.n_anchors; i++)
            number_of[held.places[i]] = i;
        numbers_put(task, number_of, &held);
    }
    free(is_there);
    free(number_of);
    held.task.n_kept = 0;
    held.task.answers = held.answers;
    held.task.asked = held.asked;
    held.task.groups = held.groups;
    held.task.held = NULL;
    held.task.labels = NULL;
    if (ok)
        *ret_held = held;
    else
        lk_held_clear(&held);
    return ok ? LINKD_OK : lk_fail_nomem(err);
}

float *lk_held_rows(const lk_held *held, const linkd_model_sample *sample)
{
    size_t row = sample->dim * sizeof(float);
    float *rows = lk_alloc_aligned(held->task.n_anchors, row);

    for (size_t i = 0; rows != NULL && i < held->task.n_anchors; i++)
        memcpy(rows + i * sample->dim,
               sample->anchors + held->places[i] * sample->dim, row);
    return rows;
}
