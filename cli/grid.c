/* cli/grid.c — a table for people: columns of equal width.
 *
 * Width is counted in characters: right for most scripts, and what a terminal
 * does with wide or combining ones is a matter of the terminal. */
#include "cli/grid.h"

#include <stdlib.h>
#include <string.h>

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += !is_continuation(*text);
    return n;
}

/* Bytes of the first `n` characters. */
static size_t prefix_len(linkd_str text, size_t n)
{
    size_t i = 0;

    while (i < text.len) {
        if (!is_continuation(text.bytes[i]) && n-- == 0)
            break;
        i++;
    }
    return i;
}

static char *cell_copy(lk_grid *grid, linkd_str text)
{
    static const char dots[] = "...";
    size_t n_dots = sizeof(dots) - 1;
    size_t len = text.len;
    char *copy;

    if (grid->cell_max > 0 && prefix_len(text, grid->cell_max) < text.len)
        len = prefix_len(text, grid->cell_max - n_dots);
    copy = lk_arena_alloc(&grid->arena, len + sizeof(dots));
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++)
        copy[i] = (unsigned char)text.bytes[i] < ' ' || text.bytes[i] == 0x7F
                      ? ' '
                      : text.bytes[i];
    memcpy(copy + len, len < text.len ? dots : "",
           len < text.len ? sizeof(dots) : 1);
    return copy;
}

int lk_grid_add(lk_grid *grid, linkd_str text, linkd_error *err)
{
    void *cells = grid->cells;
    char *copy = cell_copy(grid, text);
    int rc;

    if (copy == NULL)
        return lk_fail_nomem(err);
    rc = lk_grow(&cells, &grid->capacity, grid->n_cells + 1,
                 sizeof(*grid->cells), err);
    if (rc != LINKD_OK)
        return rc;
    grid->cells = cells;
    grid->cells[grid->n_cells++] = copy;
    return LINKD_OK;
}

int lk_grid_printf(lk_grid *grid, linkd_error *err, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return lk_grid_add(grid, (linkd_str){text, strlen(text)}, err);
}

int lk_grid_row(lk_grid *grid, const char *const *cells, size_t n,
                linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = lk_grid_add(grid, (linkd_str){cells[i], strlen(cells[i])}, err);
    return rc;
}

static void blanks(size_t n, FILE *out)
{
    (void)fprintf(out, "%*s", (int)n, "");
}

static void row_print(const lk_grid *grid, const char *const *cells,
                      const size_t *widths, FILE *out)
{
    size_t n = grid->n_columns;

    while (n > 0 && cells[n - 1][0] == '\0')
        n--; /* no blanks at the end */
    for (size_t i = 0; i < n; i++) {
        size_t space = widths[i] - width_of(cells[i]);

        if (grid->is_right[i])
            blanks(space, out);
        (void)fputs(cells[i], out);
        if (i + 1 < n)
            blanks((grid->is_right[i] ? 0 : space) + 2, out);
    }
    (void)fputc('\n', out);
}

void lk_grid_print(const lk_grid *grid, FILE *out)
{
    size_t widths[LK_GRID_COLUMNS_MAX] = {0};
    size_t n = grid->n_columns;

    LK_ASSERT(n > 0 && n <= LK_GRID_COLUMNS_MAX && grid->n_cells % n == 0);
    for (size_t i = 0; i < grid->n_cells; i++) {
        size_t width = width_of(grid->cells[i]);

        if (width > widths[i % n])
            widths[i % n] = width;
    }
    for (size_t i = 0; i < grid->n_cells; i += n)
        row_print(grid, &grid->cells[i], widths, out);
}

void lk_grid_clear(lk_grid *grid)
{
    free(grid->cells);
    lk_arena_clear(&grid->arena);
    *grid = (lk_grid){0};
}
