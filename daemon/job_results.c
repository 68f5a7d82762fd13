/* daemon/job_results.c — the rows that a job leaves behind. */
#include "daemon/job_results.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job_inputs.h"

static int results_fail(linkd_error *err)
{
    int code = lk_errno_code(errno);

    return lk_fail(err, code, "could not write the job's results: %s",
                   strerror(errno));
}

int lk_job_results_open(const char *dir, const char *header, lk_job_results *r,
                        linkd_error *err)
{
    int rc = lk_buf_printf(&r->path, err, "%s/results.csv", dir);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(&r->temporary, err, "%s/results.csv.tmp", dir);
    if (rc != LINKD_OK)
        return rc;
    r->file = fopen(r->temporary.data, "we");
    if (r->file == NULL || fputs(header, r->file) < 0)
        return results_fail(err);
    return LINKD_OK;
}

int lk_job_results_close(const char *dir, lk_job_results *r, int rc,
                         linkd_error *err)
{
    if (rc == LINKD_OK &&
        (fflush(r->file) != 0 || fsync(fileno(r->file)) != 0 ||
         rename(r->temporary.data, r->path.data) != 0))
        rc = results_fail(err);
    if (rc == LINKD_OK)
        rc = lk_job_dir_sync(dir, err);
    if (r->file != NULL)
        (void)fclose(r->file);
    if (rc != LINKD_OK && r->temporary.data != NULL)
        (void)unlink(r->temporary.data);
    lk_buf_clear(&r->path);
    lk_buf_clear(&r->temporary);
    return rc;
}

int lk_job_results_cell(lk_job_results *r, linkd_str cell, char after,
                        linkd_error *err)
{
    bool is_plain = true;

    for (size_t i = 0; i < cell.len && is_plain; i++)
        is_plain = cell.bytes[i] != ',' && cell.bytes[i] != '"' &&
                   cell.bytes[i] != '\r' && cell.bytes[i] != '\n';
    if (!is_plain)
        (void)fputc('"', r->file);
    for (size_t i = 0; i < cell.len; i++) {
        if (cell.bytes[i] == '"')
            (void)fputc('"', r->file);
        (void)fputc(cell.bytes[i], r->file);
    }
    if (!is_plain)
        (void)fputc('"', r->file);
    (void)fputc(after, r->file);
    return ferror(r->file) ? results_fail(err) : LINKD_OK;
}

int lk_job_results_number(lk_job_results *r, const char *text, linkd_error *err)
{
    return fputs(text, r->file) < 0 ? results_fail(err) : LINKD_OK;
}
