/* daemon/job_scales.c — see job_scales.h. */
#include "daemon/job_scales.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- writing ----------------------------------------------------------------- */

static int bytes_write(const char *path, const lk_buf *bytes, linkd_error *err)
{
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL &&
                      fwrite(bytes->data, 1, bytes->len, file) == bytes->len &&
                      fflush(file) == 0 && fsync(fileno(file)) == 0;
    int code = errno;

    if (file != NULL)
        (void)fclose(file);
    return is_written
               ? LINKD_OK
               : lk_fail(err, lk_errno_code(code),
                         "could not write a job's scales: %s", strerror(code));
}

int lk_job_scales_save(const char *path, const linkd_bridges *bridges,
                       linkd_view *view, uint32_t serving, linkd_error *err)
{
    linkd_pair_scales *scales = NULL;
    lk_buf bytes = {0};
    int rc = linkd_pair_scales_make(bridges, view, serving, &scales, err);

    if (rc == LINKD_OK)
        rc = linkd_pair_scales_encode(scales, &bytes, err);
    if (rc == LINKD_OK)
        rc = bytes_write(path, &bytes, err);
    lk_buf_clear(&bytes);
    linkd_pair_scales_free(scales);
    return rc;
}

/* ---- reading ----------------------------------------------------------------- */

static int bytes_read(const char *path, lk_buf *ret_bytes, linkd_error *err)
{
    FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t n;
    int rc = LINKD_OK;

    while (file != NULL && rc == LINKD_OK &&
           (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        rc = lk_buf_append(ret_bytes, chunk, n, err);
    if (rc == LINKD_OK && (file == NULL || ferror(file) != 0))
        rc = lk_fail(err, lk_errno_code(errno),
                     "could not read a job's scales: %s", strerror(errno));
    if (file != NULL)
        (void)fclose(file);
    return rc;
}

static int scales_read(const char *path, linkd_pair_scales **ret_scales,
                       linkd_error *err)
{
    lk_buf bytes = {0};
    int rc = bytes_read(path, &bytes, err);

    if (rc == LINKD_OK)
        rc = linkd_pair_scales_decode((linkd_str){bytes.data, bytes.len},
                                      ret_scales, err);
    lk_buf_clear(&bytes);
    return rc;
}

static size_t column_of(const lk_job_tables *t, size_t side, size_t i)
{
    return side == 0 ? t->columns[i].left : t->columns[i].right;
}

/* The text by which the row's vector is looked for. */
static int row_text(const lk_job_tables *t, size_t side, size_t row,
                    linkd_cell *cells, size_t *positions, lk_buf *text,
                    linkd_error *err)
{
    size_t n = 0;

    lk_buf_reset(text);
    for (size_t i = 0; i < t->n_columns; i++) {
        size_t column = column_of(t, side, i);

        if (column == LINKD_COLUMN_NONE)
            continue;
        cells[n] = linkd_table_cell(t->tables[side], row, column);
        positions[n] = n;
        n++;
    }
    return linkd_record_text(cells, n, positions, n, text, err);
}

static int origins_find(const lk_job_tables *t, size_t side,
                        const lk_known *known, uint32_t *origins,
                        linkd_error *err)
{
    linkd_cell *cells = calloc(t->n_columns + 1, sizeof(*cells));
    size_t *positions = calloc(t->n_columns + 1, sizeof(*positions));
    size_t n_rows = linkd_table_n_rows(t->tables[side]);
    lk_buf text = {0};
    int rc = cells == NULL || positions == NULL ? lk_fail_nomem(err) : LINKD_OK;

    for (size_t row = 0; row < n_rows && rc == LINKD_OK; row++) {
        float mark = 0.0F;

        rc = row_text(t, side, row, cells, positions, &text, err);
        if (rc == LINKD_OK && text.len > 0 &&
            lk_known_find(known, (linkd_str){text.data, text.len}, &mark))
            origins[row] = (uint32_t)mark;
    }
    lk_buf_clear(&text);
    free(positions);
    free(cells);
    return rc;
}

static float pair_score(const void *ctx, size_t left, size_t right,
                        float cosine)
{
    const lk_job_scales *s = ctx;

    return linkd_pair_scales_score(s->scales, s->origins[0][left],
                                   s->origins[1][right], cosine);
}

static int sides_find(const char *dir, lk_buf *scales, lk_buf origins[2],
                      linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++) {
        rc = lk_job_input_origins(dir, side, &origins[side], err);
        if (rc == LINKD_OK && scales->len == 0)
            rc = lk_job_input_scales(dir, side, scales, err);
    }
    return rc;
}

static int marks_read(const lk_job_tables *t, const lk_buf paths[2],
                      lk_job_scales *s, linkd_error *err)
{
    const char *names[2] = {paths[0].len > 0 ? paths[0].data : NULL,
                            paths[1].len > 0 ? paths[1].data : NULL};
    lk_known *known = NULL;
    int rc = lk_known_open(names, 2, 1, NULL, &known, err);

    for (size_t side = 0; side < t->spec->n_sides && rc == LINKD_OK; side++) {
        s->origins[side] = calloc(linkd_table_n_rows(t->tables[side]) + 1,
                                  sizeof(*s->origins[side]));
        rc = s->origins[side] == NULL
                 ? lk_fail_nomem(err)
                 : origins_find(t, side, known, s->origins[side], err);
    }
    if (t->spec->n_sides == 1)
        s->origins[1] = s->origins[0];
    lk_known_close(known);
    return rc;
}

int lk_job_scales_open(const char *dir, const lk_job_tables *tables,
                       lk_job_scales *ret_scales, linkd_error *err)
{
    lk_job_scales *s = ret_scales;
    lk_buf scales = {0};
    lk_buf origins[2] = {{0}, {0}};
    int rc = sides_find(dir, &scales, origins, err);

    *s = (lk_job_scales){.rescoring = {.score = pair_score, .ctx = s}};
    if (rc == LINKD_OK && scales.len > 0)
        rc = scales_read(scales.data, &s->scales, err);
    if (rc == LINKD_OK && scales.len > 0)
        rc = marks_read(tables, origins, s, err);
    lk_buf_clear(&scales);
    lk_buf_clear(&origins[0]);
    lk_buf_clear(&origins[1]);
    if (rc != LINKD_OK)
        lk_job_scales_clear(s);
    return rc;
}

void lk_job_scales_clear(lk_job_scales *s)
{
    if (s->origins[1] != s->origins[0])
        free(s->origins[1]);
    free(s->origins[0]);
    linkd_pair_scales_free(s->scales);
    *s = (lk_job_scales){0};
}
