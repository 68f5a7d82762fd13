/* daemon/bridges.h — private: bridges between generations that many requests
 * share, and the queries of older models. */
#ifndef LK_DAEMON_BRIDGES_H
#define LK_DAEMON_BRIDGES_H

#include "daemon/models.h"
#include "daemon/service.h"

LINKD_MUST_CHECK int lk_bridge_cache_new(lk_bridge_cache **ret_cache,
                                         linkd_error *err);
/* Nobody may hold bridges any more. */
void lk_bridge_cache_free(lk_bridge_cache *cache);

/* The bridges of the view's collection; *ret_bridges is NULL where its model
 * was never changed. Given back with lk_bridges_release(). */
LINKD_MUST_CHECK int lk_bridges_get(lk_bridge_cache *cache, linkd_view *view,
                                    const linkd_bridges **ret_bridges,
                                    linkd_error *err);
void lk_bridges_release(lk_bridge_cache *cache, const linkd_bridges *bridges);
/* Names the collection in what says that something of it is damaged; `rc` again. */
int lk_damage_name(int rc, linkd_str collection, linkd_error *err);

/* Texts under the models of the older generations in which records are alive,
 * as far as those models are there. */
typedef struct lk_homes {
    size_t n;
    uint32_t generations[LINKD_GENERATIONS_MAX];
    size_t dims[LINKD_GENERATIONS_MAX];
    const float *vectors[LINKD_GENERATIONS_MAX]; /* [n_texts, dim] */
} lk_homes;

/* Whether the store's fingerprint is the model's. */
bool lk_fingerprint_is(linkd_str stored, const char *fingerprint);
/* LINKD_E_CONFLICT unless it is: the model of the store is not the collection's. */
LINKD_MUST_CHECK int lk_fingerprint_check(linkd_str stored,
                                          const char *fingerprint,
                                          linkd_str model, linkd_str collection,
                                          linkd_error *err);

/* As linkd_view_generations() of a view of its own; strings live in the arena. */
LINKD_MUST_CHECK int lk_generations_list(linkd_store *store,
                                         linkd_str collection, lk_arena *arena,
                                         linkd_generation *ret_generations,
                                         size_t *ret_n, linkd_error *err);
/* The way in which older records are searched, unless a request says. */
LINKD_MUST_CHECK int lk_way_find(linkd_store *store, linkd_str collection,
                                 linkd_way *ret_way, linkd_error *err);
/* Whether a generation's model is in the model store, and still the one that its
 * vectors are of. */
bool lk_generation_model(lk_service *service,
                         const linkd_generation *generation,
                         lk_model **ret_model);

/* The older models of a collection, as embedders that stop with the request:
 * ret_homes [LINKD_GENERATIONS_MAX] borrow `storage` of as many. */
LINKD_MUST_CHECK int lk_homes_find(lk_service *service, lk_request *request,
                                   linkd_str collection,
                                   lk_model_embedder *storage,
                                   linkd_home *ret_homes, size_t *ret_n,
                                   linkd_error *err);

/* Encodes the texts; arrays live in the request's arena. A model that is gone
 * is no error: its generation has no home, and queries are aligned. */
LINKD_MUST_CHECK int lk_homes_embed(lk_service *service, lk_request *request,
                                    linkd_str collection,
                                    const linkd_str *texts, size_t n,
                                    lk_homes *ret_homes, linkd_error *err);
/* Adds what the homes have for text `i` to a query. */
void lk_homes_add(const lk_homes *homes, size_t i, linkd_mixed_query *query);

#endif
