/* linkage/assign.c — which candidates become links.
 *
 * All modes but the exact one-to-one look only at each row's best candidate:
 *
 *   many-to-one   best of its left row          one-to-many  best of its right
 *   reciprocal    best of both                  many-to-many any
 *
 * Candidates below the threshold are never chosen, but they need no special
 * care: if a row's best is below it, so are its others. Of equal scores the
 * lower row wins, which candidates in sorted order give by themselves. */
#include "linkage/assign.h"

#include <stdlib.h>
#include <string.h>

#define CANDIDATE_NONE SIZE_MAX

/* The number of the best candidate of every row of one side. */
static int best_find(const lk_assign_input *input, bool by_left, size_t n_rows,
                     size_t **ret_best, linkd_error *err)
{
    size_t *best = lk_alloc_aligned(n_rows + 1, sizeof(*best));

    if (best == NULL)
        return lk_fail_nomem(err);
    for (size_t row = 0; row < n_rows; row++)
        best[row] = CANDIDATE_NONE;
    for (size_t i = 0; i < input->n; i++) {
        const linkd_pair *pair = &input->candidates[i];
        size_t row = by_left ? pair->left : pair->right;

        if (best[row] == CANDIDATE_NONE ||
            pair->score > input->candidates[best[row]].score)
            best[row] = i;
    }
    *ret_best = best;
    return LINKD_OK;
}

static int choose_by_best(const lk_assign_input *input, linkd_assign mode,
                          bool *ret_chosen, linkd_error *err)
{
    size_t *of_left = NULL;
    size_t *of_right = NULL;
    int rc = best_find(input, true, input->n_left, &of_left, err);

    if (rc == LINKD_OK)
        rc = best_find(input, false, input->n_right, &of_right, err);
    for (size_t i = 0; i < input->n && rc == LINKD_OK; i++) {
        bool left_wants = of_left[input->candidates[i].left] == i;
        bool right_wants = of_right[input->candidates[i].right] == i;

        ret_chosen[i] = (left_wants || mode == LINKD_ASSIGN_ONE_TO_MANY) &&
                        (right_wants || mode == LINKD_ASSIGN_MANY_TO_ONE);
    }
    free(of_right);
    free(of_left);
    return rc;
}

int lk_assign(const lk_assign_input *input, linkd_assign mode,
              linkd_pair *ret_pairs, size_t *ret_n, linkd_error *err)
{
    bool *chosen = calloc(input->n + 1, sizeof(*chosen));
    size_t n = 0;
    int rc = LINKD_OK;

    if (chosen == NULL)
        return lk_fail_nomem(err);
    if (mode == LINKD_ASSIGN_MANY_TO_MANY)
        memset(chosen, true, input->n * sizeof(*chosen));
    else if (mode == LINKD_ASSIGN_ONE_TO_ONE)
        rc = lk_assign_one_to_one(input, chosen, err);
    else
        rc = choose_by_best(input, mode, chosen, err);
    if (rc == LINKD_OK) {
        for (size_t i = 0; i < input->n; i++)
            if (chosen[i] && input->candidates[i].score >= input->threshold)
                ret_pairs[n++] = input->candidates[i];
        *ret_n = n;
    }
    free(chosen);
    return rc;
}
