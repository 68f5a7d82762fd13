/* daemon/main.c — linkd: options, log, data directory, then the server.
 *
 * Whatever is made here is taken down in the reverse order after the server's
 * last worker ended: the jobs use the models, and both use the store. Its parts
 * are made by service_load() on a thread of the server, so that /healthz
 * answers meanwhile; nobody looks at them before it returned.
 *
 * Exit codes: 0 ended by a signal, 1 failed, 2 wrong options. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bridges.h"
#include "daemon/data_dir.h"
#include "daemon/hits.h"
#include "daemon/jobs.h"
#include "daemon/listener.h"
#include "daemon/models.h"
#include "daemon/roles.h"
#include "daemon/server.h"
#include "daemon/upgrade.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

static void store_log(void *ctx, linkd_store_event event, const char *message)
{
    static const lk_log_level levels[] = {
        [LINKD_STORE_INFO] = LK_LOG_INFO,
        [LINKD_STORE_DAMAGED] = LK_LOG_WARN,
        [LINKD_STORE_FAILED] = LK_LOG_ERROR,
    };

    (void)ctx;
    lk_log(levels[event], "%s", message);
}

/* It may be put there later, so this is no error. */
static void default_model_look(const char *name)
{
    linkd_error why;

    if (lk_models_look((linkd_str){name, strlen(name)}, &why) != LINKD_OK)
        lk_log(LK_LOG_WARN, "%s: collections that name none cannot be made",
               why.message);
}

static int service_load(lk_service *service, linkd_error *err)
{
    const lk_config *config = service->config;
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    uint64_t start_ns = lk_clock_ns();
    int rc;

    options.map_bytes = config->map_bytes;
    options.n_build_threads = config->n_build_threads;
    options.exact_below = config->exact_below;
    options.event_cb = store_log;
    rc = linkd_store_open(config->data, &options, &service->store, err);
    if (rc == LINKD_OK)
        rc = lk_upgrade_models_check(service, err);
    if (rc == LINKD_OK)
        rc = lk_upgrade_models_look(service, err);
    if (rc == LINKD_OK)
        rc = lk_data_dir_make(config->data, "files", &service->upload_dir, err);
    if (rc == LINKD_OK)
        rc = lk_jobs_new(service, &service->jobs, err);
    if (rc == LINKD_OK)
        default_model_look(config->model);
    if (rc == LINKD_OK)
        lk_log(LK_LOG_INFO, "loaded %s in %.2f s", config->data,
               lk_clock_seconds_since(start_ns));
    return rc;
}

static void service_clear(lk_service *service)
{
    lk_jobs_free(service->jobs);
    lk_models_free(service->models);
    lk_bridge_cache_free(service->bridges);
    linkd_rates_free(service->rates);
    lk_hits_free(service->hits);
    lk_throttle_clear(&service->cascades);
    linkd_store_close(service->store);
    lk_metrics_free(service->metrics);
    free(service->upload_dir);
}

static int service_run(const lk_config *config, linkd_error *err)
{
    lk_service service = {.config = config, .phase = LK_PHASE_LOADING};
    int rc = lk_metrics_new(&service.metrics, err);

    lk_throttle_init(&service.cascades, config->cascade_rate, lk_clock_ns());
    if (rc == LINKD_OK)
        rc = lk_models_new(config->n_encode_threads, service.metrics,
                           &service.models, err);
    if (rc == LINKD_OK)
        rc = lk_bridge_cache_new(&service.bridges, err);
    if (rc == LINKD_OK)
        rc = linkd_rates_new(&service.rates, err);
    if (rc == LINKD_OK)
        rc = lk_hits_new(&service.hits, err);
    if (rc == LINKD_OK)
        rc = lk_server_run(&service, service_load, err);
    service_clear(&service);
    return rc;
}

/* What the system has to say to the options, asked before anything is made;
 * the server asks again. */
static int options_check(const lk_config *config, linkd_error *err)
{
    lk_roles *roles = NULL;
    int rc = lk_roles_new(config, &roles, err);

    lk_roles_free(roles);
    return rc == LINKD_OK ? lk_listeners_check(config, err) : rc;
}

static int daemon_run(const lk_config *config, linkd_error *err)
{
    int lock = -1;
    int rc = options_check(config, err);

    if (rc == LINKD_OK)
        rc = lk_log_open(config->log_file, config->log_json, err);
    if (rc != LINKD_OK)
        return rc;
    lk_log_init("linkd", (lk_log_level)config->log_level);
    lk_log(LK_LOG_INFO, "linkd %s starts", LINKD_VERSION);
    rc = lk_data_dir_lock(config->data, &lock, err);
    if (rc == LINKD_OK)
        rc = service_run(config, err);
    if (rc == LINKD_OK)
        lk_log(LK_LOG_INFO, "ended");
    else if (config->log_file != NULL) /* main() tells standard error */
        lk_log(LK_LOG_ERROR, "%s", err->message);
    if (lock >= 0)
        (void)close(lock);
    lk_log_close();
    return rc;
}

/* What many threads allocate and free in turn must not stay behind in an arena
 * each: a 20 minute soak grew by 0.5 MB a minute (2026-11-24). Bodies of some MB
 * go back to the system when they are freed; a search's table of visited nodes,
 * a byte a vector, is kept. */
static void memory_set_up(void)
{
    (void)mallopt(M_ARENA_MAX, 4);
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

/* A file must not become a standard descriptor because it was closed: what is
 * said there would end up in it. */
static bool std_descriptors_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* the lowest free one, which is this */
        if (open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd)
            return false;
    }
    return true;
}

static int help_flush(linkd_error *err)
{
    if (fflush(stdout) != 0)
        return lk_fail(err, LINKD_E_IO,
                       "could not write to standard output: %s",
                       strerror(errno));
    return LINKD_OK;
}

int main(int argc, char **argv)
{
    lk_config config = {0};
    linkd_error err = {0};
    bool is_help = false;
    int rc;

    memory_set_up();
    if (!std_descriptors_fill())
        return EXIT_FAILED;
    lk_log_init("linkd", LK_LOG_ERROR);
    rc = lk_config_read_args(argc, argv, &config, &is_help, &err);
    if (rc == LINKD_OK)
        rc = is_help ? help_flush(&err) : daemon_run(&config, &err);
    lk_config_clear(&config);
    if (rc == LINKD_OK)
        return EXIT_DONE;
    lk_log(LK_LOG_ERROR, "%s", err.message);
    return rc == LINKD_E_ARG ? EXIT_USAGE : EXIT_FAILED;
}
