/* tests/daemon/service.h — what handlers work with, without a server: a real
 * store in a scratch directory and a model store with the model "tiny", whose
 * vocabulary is single characters. Handlers are called directly. */
#ifndef LINKD_TESTS_SERVICE_H
#define LINKD_TESTS_SERVICE_H

#include <jansson.h>

#include "daemon/handlers.h"
#include "daemon/service.h"

#define TINY_DIM 32

/* The answer to the last call. */
typedef struct answer {
    int status; /* 200 where the handler says none */
    lk_buf body;
    json_t *json; /* NULL: it is not JSON */
    json_t *headers;
    bool replayed;
} answer;

extern lk_service service;
extern lk_config config;
extern answer last;

/* cmocka group set-up and tear-down: scratch directory and models. */
int service_group_enter(void **state);
/* Another model, which differs from "tiny" in its weights. */
void model_make(const char *name, int seed);
/* The same with prompts: config_sentence_transformers.json's content. */
void prompted_model_make(const char *name, int seed, const char *prompts);
int service_group_leave(void **state);
/* cmocka set-up and tear-down: an empty store. */
int service_enter(void **state);
int service_leave(void **state);

typedef struct call {
    lk_handler *handler;
    const char *collection; /* first parameter of the route */
    const char *name;       /* second one */
    const char *body;       /* may be NULL */
    size_t body_len;        /* 0: body is a string */
    const char *query;
    const char *content_type; /* NULL: JSON */
    const char *key;          /* Idempotency-Key */
    const char *accept;
    bool is_over; /* the client is gone */
} call;

/* Runs the handler and reads its stream to the end, and makes a failure the
 * problem document that a client sees. Returns the status. */
int call_run(const call *c);
/* The same for a plain request. */
int call_json(lk_handler *handler, const char *collection, const char *body);

/* A header of the last answer; NULL: it is not there. */
const char *header_of(const char *name);
/* A value of the last answer: "hits.0.id". Fails if it is not there. */
const json_t *at(const char *path);
bool is_there(const char *path);
void assert_text_at(const char *path, const char *expected);
void assert_json_at(const char *path, const char *expected);
size_t size_at(const char *path);
/* That the last answer is a problem of this status. */
void assert_problem(int status, const char *code, const char *detail);

/* A collection of ready-made vectors of four numbers, or of model "tiny", and a
 * record in it, as JSON of its members. */
void collection_create(const char *name, const char *body);
void record_put(const char *collection, const char *record);

#endif
