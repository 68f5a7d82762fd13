/* daemon/handlers.h — private: one function per route (routes.c), in
 * handle_<noun>.c. See docs/http-api.md for what each takes and answers. */
#ifndef LK_DAEMON_HANDLERS_H
#define LK_DAEMON_HANDLERS_H

#include "daemon/routes.h"

/* handle_collections.c */
lk_handler lk_handle_list_collections;
lk_handler lk_handle_create_collection;
lk_handler lk_handle_get_collection;
lk_handler lk_handle_drop_collection;
/* handle_records.c */
lk_handler lk_handle_put_records;
lk_handler lk_handle_scroll_records;
lk_handler lk_handle_delete_records;
lk_handler lk_handle_get_record;
lk_handler lk_handle_delete_record;
/* handle_search.c */
lk_handler lk_handle_search;
/* The options that a search of bare vectors has in the URL, as a body of JSON has
 * them; NULL ends the list. */
extern const char *const lk_search_parameters[];
/* handle_attach.c */
lk_handler lk_handle_attach;
lk_handler lk_handle_get_entity;
lk_handler lk_handle_list_events;
/* handle_jobs.c */
lk_handler lk_handle_submit_job;
lk_handler lk_handle_list_jobs;
lk_handler lk_handle_get_job;
lk_handler lk_handle_watch_job;
lk_handler lk_handle_cancel_job;
lk_handler lk_handle_get_results;
lk_handler lk_handle_delete_job;
lk_handler lk_handle_upload_file;
lk_handler lk_handle_backup;
lk_handler lk_handle_fsck;
/* handle_models.c */
lk_handler lk_handle_embeddings;
lk_handler lk_handle_list_models;
lk_handler lk_handle_get_model;
/* handle_upgrade.c */
lk_handler lk_handle_get_upgrade;
lk_handler lk_handle_upgrade_estimate;
lk_handler lk_handle_upgrade_probe;
lk_handler lk_handle_upgrade_start;
lk_handler lk_handle_upgrade_backfill;
lk_handler lk_handle_upgrade_rollback;
lk_handler lk_handle_upgrade_gc;
/* handle_status.c */
lk_handler lk_handle_healthz;
lk_handler lk_handle_readyz;
lk_handler lk_handle_metrics;
lk_handler lk_handle_openapi;
lk_handler lk_handle_version;

#endif
