/* cli/output.h — a file that appears under its name only when it is whole. */
#ifndef LINKD_CLI_OUTPUT_H
#define LINKD_CLI_OUTPUT_H

#include <stdbool.h>

#include "base/base.h"

typedef struct lk_output lk_output;

/* Starts to write `path` ("-": standard output), which must not be one of the
 * files `inputs` [n_inputs]. LINKD_E_ARG: it is. LINKD_E_IO: it cannot be
 * written there. */
LINKD_MUST_CHECK int lk_output_open(const char *path, const char *const *inputs,
                                    size_t n_inputs, lk_output **ret_output,
                                    linkd_error *err);

/* Removes what was written unless it was committed. NULL is fine. */
void lk_output_close(lk_output *output);

/* LINKD_E_IO: "could not write pairs.csv: No space left on device". */
LINKD_MUST_CHECK int lk_output_write(lk_output *output, const void *bytes,
                                     size_t len, linkd_error *err);

/* Overwrites bytes that were written before. Only where lk_output_is_file. */
LINKD_MUST_CHECK int lk_output_patch(lk_output *output, uint64_t offset,
                                     const void *bytes, size_t len,
                                     linkd_error *err);

/* False for standard output, pipes and devices: they take bytes once. */
bool lk_output_is_file(const lk_output *output);

/* Puts all outputs under their final names, or none if the disk cannot take
 * one of them. NULL among them is skipped. */
LINKD_MUST_CHECK int lk_output_commit(lk_output *const *outputs,
                                      size_t n_outputs, linkd_error *err);

#endif
