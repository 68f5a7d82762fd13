/* tests/index/scratch_store.h — a store in a scratch directory, and short forms
 * of what tests of the write path do with it. Everything that must succeed is
 * asserted to. */
#ifndef LINKD_TESTS_SCRATCH_STORE_H
#define LINKD_TESTS_SCRATCH_STORE_H

#include "index/parts.h"

#define DIM ((size_t)4)

extern linkd_store *store;
extern linkd_error err;

/* cmocka set-up and tear-down: a store with the collection "people" of DIM
 * numbers in the directory "data" of an empty scratch directory. */
int scratch_store_enter(void **state);
int scratch_store_leave(void **state);

void scratch_store_open(uint64_t map_bytes); /* 0: the default */
void scratch_store_close(void);
void scratch_store_reopen(void);

linkd_str str_of(const char *text);

/* Puts one record without fields; `vector` may be NULL. */
linkd_write_result put_one(const char *id, const float *vector);
linkd_write_result delete_one(const char *id);

/* ---- what is on disk, past all the code that writes it ------------------- */

linkd_collection_info info_of(const char *collection);
/* LINKD_ID_NONE: there is none. */
uint64_t number_of(const char *id);
uint64_t slot_of(const char *id);
uint64_t entity_of(const char *id);
uint64_t meta_of(const char *name);
uint64_t count_of(lk_table table);
bool is_dead(uint64_t slot);
/* The vector in a slot, copied; false: no chunk has it. */
bool vector_read(uint64_t slot, float *ret_vector);
/* A record's row; strings live until the store is closed. */
lk_record_row record_of(const char *id);

#endif
