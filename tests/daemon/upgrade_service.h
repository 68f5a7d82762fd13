/* tests/daemon/upgrade_service.h — job_service.h with a collection "firms" of
 * records "r0", "r1", … and two more models, "other" and "third". */
#ifndef LINKD_TESTS_UPGRADE_SERVICE_H
#define LINKD_TESTS_UPGRADE_SERVICE_H

#include "daemon/upgrade.h"
#include "tests/daemon/job_service.h"

#define N_RECORDS 240

/* cmocka group set-up. */
int upgrade_group_enter(void **state);

/* The name of record i. */
void name_write(int i, char *ret_name, size_t size);
void records_put(const char *collection, int from, int to);
/* Makes the collection, with N_RECORDS. */
void firms_make(void);

/* Runs the job of a route to its end, whatever that is; its number. */
uint64_t upgrade_run(lk_handler *handler, const char *body);
/* The same, and it has to be done. */
void upgrade_do(lk_handler *handler, const char *body);
/* Gives the collection another model. */
void start(const char *model);
/* Searches for the name of record i; options begin with a comma. */
void search_for(int i, const char *options);
/* That the store has no fault. */
void store_check(void);

/* That every record in [from, to) is the first answer to its own text, within a
 * generation and by a way. */
void assert_found(int from, int to, int generation, const char *way);
/* All answers to the names of the first 20 records: ids, scores, order. Freed with
 * free(). */
char *first_answers(const char *options);
/* Attaches a record with the name of record i. */
void attach_one(const char *id, int i);
/* That there is one generation, and no fault. */
void assert_untouched(void);
/* Changes a byte of a blob as a disk may, and forgets what was read of it. */
void blob_flip(uint32_t generation, uint8_t kind, uint32_t other);

/* A sample with the queries of the job, as soon as they are made: its anchors are
 * r0 to r119, and these again if more are wanted. Always to be cleared. */
#define N_NAMES (N_RECORDS / 2)
int sample_make(const lk_job_spec *spec, size_t n_anchors,
                lk_upgrade_sample *ret_sample, linkd_error *err);

/* Takes a model out of the model store, and puts it back. */
void model_hide(const char *model);
void model_show(const char *model);

#endif
