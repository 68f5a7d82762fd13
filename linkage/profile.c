/* linkage/profile.c — what a column holds, so that its cells are compared as
 * what they are: 1,299.00 is near 1,300 and 12-34-56 is not near 12-34-57.
 *
 * Two passes over the column, all rows, one row at a time. The first counts: how
 * many cells are filled, parse as numbers, as dates in either order, look like
 * codes; and how often each value occurs, in a hash set:
 *
 *   slots  [ hash:u64 first:u32 count:u32 ] …     count == 0: free
 *
 * A value is the hash of its words; of a million different ones two are taken
 * for one with a chance of one in 30 million, which no decision depends on. The
 * set is at most 2/3 full: 48 bytes a value at worst. The second pass, for
 * numbers and dates alone, sorts the values for their percentiles.
 *
 * Of the types the first that fits is taken:
 *
 *   date      80 % are dates
 *   number    80 % are numbers that measure something
 *   category  few values, and each repeats
 *   code      80 % are digits and letters that are no words
 *   name      short
 *   text      the rest
 *
 * Numbers that measure nothing (telephone, postcode, EAN) are codes. No cell
 * says that of itself; a column does, by zeros in front, by digits that are as
 * many in every cell, or by too many digits. A column of salaries between 10,000
 * and 99,999 written without any mark is taken for codes: known and left, since
 * codes that are taken for quantities do more harm (neighbours look alike). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "linkage/similarity.h"
#include "linkage/text.h"
#include "linkage/texts.h"

enum {
    FIRST_SLOTS = 64,
    CATEGORIES_MAX = 50,
    /* A name that is in both tables, or twice in one, is no category. */
    CATEGORY_REPEATS = 4,
    NUMBER_CHARS_MAX = 12,
    NAME_CHARS_MAX = 40,
    CODE_BYTES_MAX = 40,       /* holds a UUID */
    CODE_LETTERS_MAX = 4,      /* in a row; more are a word */
    CODE_DIGITS_MIN = 5,       /* years have 4 */
    CODE_ZEROS_DIGITS_MIN = 3, /* months and hours have 2 */
    LENGTHS = 32,
};

/* Guesses, but for the first, which the prototype was measured with. */
static const double TYPE_SHARE = 0.8;
static const double FRACTION_SHARE = 0.5; /* of numbers that may be long */
static const double EQUAL_LENGTH_SHARE = 0.9;
static const double ZEROS_SHARE = 0.02;
static const double SINGLES_SHARE = 0.01; /* slips among categories */
static const double LOG_RATIO = 20.0;

/* Quantiles of a normal distribution that are one deviation apart. */
static const double QUARTILES_TO_DEVIATION = 1.35;
static const double TAILS_TO_DEVIATION = 3.29;

const char *const linkd_holds_words[LINKD_N_HOLDS] = {
    "empty", "name", "text", "code", "number", "date", "category"};

/* One or two columns as one. */
typedef struct cells {
    const linkd_table *tables[2];
    size_t columns[2];
    size_t n_rows[2]; /* 0 where there is no column */
} cells;

typedef struct value {
    uint64_t hash;
    uint32_t first; /* cell */
    uint32_t count;
} value;

typedef struct tally {
    value *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n;
} tally;

/* What the first pass counts. */
typedef struct counts {
    uint64_t n_filled;
    uint64_t n_chars;
    uint64_t n_words;
    uint64_t n_numbers;
    uint64_t n_fractions;      /* numbers with a decimal point */
    uint64_t n_zeros;          /* digits alone that begin with 0 */
    uint64_t lengths[LENGTHS]; /* of cells of digits alone */
    uint64_t n_codes;
    lk_date_order dates;
    tally values;
} counts;

/* ---- cells -------------------------------------------------------------- */

static cells cells_of(const linkd_table *const tables[2],
                      const size_t columns[2])
{
    cells all = {{tables[0], tables[1]}, {columns[0], columns[1]}, {0, 0}};

    for (size_t i = 0; i < 2; i++) {
        if (tables[i] != NULL && columns[i] != LINKD_COLUMN_NONE)
            all.n_rows[i] = linkd_table_n_rows(tables[i]);
    }
    return all;
}

static size_t cells_n(const cells *all)
{
    return all->n_rows[0] + all->n_rows[1];
}

/* Trimmed; empty where nothing is. */
static linkd_str cells_get(const cells *all, size_t i)
{
    size_t side = i >= all->n_rows[0];
    linkd_cell cell =
        linkd_table_cell(all->tables[side], side == 0 ? i : i - all->n_rows[0],
                         all->columns[side]);

    if (cell.kind == LINKD_CELL_MISSING)
        return (linkd_str){NULL, 0};
    return lk_str_trim((linkd_str){cell.bytes, cell.len});
}

/* ---- values and how often they occur ------------------------------------ */

static value *slot_find(value *slots, size_t n_slots, uint64_t hash)
{
    size_t at = (size_t)hash & (n_slots - 1);

    while (slots[at].count > 0 && slots[at].hash != hash)
        at = (at + 1) & (n_slots - 1);
    return &slots[at];
}

static int tally_grow(tally *values, linkd_error *err)
{
    size_t n_slots = values->n_slots == 0 ? FIRST_SLOTS : values->n_slots * 2;
    value *slots = calloc(n_slots, sizeof(*slots));

    if (slots == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < values->n_slots; i++) {
        if (values->slots[i].count > 0)
            *slot_find(slots, n_slots, values->slots[i].hash) =
                values->slots[i];
    }
    free(values->slots);
    values->slots = slots;
    values->n_slots = n_slots;
    return LINKD_OK;
}

static int tally_add(tally *values, linkd_str text, size_t cell,
                     linkd_error *err)
{
    uint64_t hash = XXH3_64bits(text.bytes, text.len);
    value *slot;

    if (values->n >= values->n_slots / 3 * 2) {
        int rc = tally_grow(values, err);

        if (rc != LINKD_OK)
            return rc;
    }
    slot = slot_find(values->slots, values->n_slots, hash);
    if (slot->count == 0) {
        LK_ASSERT(cell < UINT32_MAX); /* as many as there are row numbers */
        *slot = (value){hash, (uint32_t)cell, 0};
        values->n++;
    }
    slot->count++;
    return LINKD_OK;
}

/* The most frequent; of several the first. */
static value tally_most(const tally *values)
{
    value most = {0};

    for (size_t i = 0; i < values->n_slots; i++) {
        const value *slot = &values->slots[i];

        if (slot->count > most.count ||
            (slot->count == most.count && slot->first < most.first))
            most = *slot;
    }
    return most;
}

static size_t tally_n_singles(const tally *values)
{
    size_t n = 0;

    for (size_t i = 0; i < values->n_slots; i++)
        n += values->slots[i].count == 1;
    return n;
}

/* ---- the first pass ----------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of any script, and marks beyond ASCII with them. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0xC0;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0U) == 0x80;
}

static uint64_t count_chars(linkd_str text)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += !is_continuation(text.bytes[i]);
    return n;
}

/* Words have one space between them. */
static uint64_t count_words(linkd_str words)
{
    uint64_t n = words.len > 0;

    for (size_t i = 0; i < words.len; i++)
        n += words.bytes[i] == ' ';
    return n;
}

static void digits_count(linkd_str cell, counts *of)
{
    for (size_t i = 0; i < cell.len; i++) {
        if (!is_digit(cell.bytes[i]))
            return;
    }
    if (cell.len < LENGTHS)
        of->lengths[cell.len]++;
    of->n_zeros += cell.len >= CODE_ZEROS_DIGITS_MIN && cell.bytes[0] == '0';
}

/* Digits, and between them no more letters in a row than a code has: "SW1A 1AA",
 * "KX-TG1034S", "(555) 123-4567", but not "12 Main Street". */
static bool is_code(linkd_str cell)
{
    size_t n_letters = 0;
    bool has_digit = false;

    if (cell.len > CODE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < cell.len; i++) {
        if (is_continuation(cell.bytes[i]))
            continue;
        n_letters = is_letter(cell.bytes[i]) ? n_letters + 1 : 0;
        if (n_letters > CODE_LETTERS_MAX)
            return false;
        has_digit = has_digit || is_digit(cell.bytes[i]);
    }
    return has_digit;
}

/* `words` is scratch. */
static int cell_count(linkd_str cell, size_t i, lk_buf *words, counts *of,
                      linkd_error *err)
{
    linkd_str text;
    double number;
    int rc;

    lk_buf_reset(words);
    rc = lk_words_append(cell, words, err);
    if (rc != LINKD_OK)
        return rc;
    text = words->len > 0 ? (linkd_str){words->data, words->len} : cell;
    of->n_filled++;
    of->n_chars += count_chars(text);
    of->n_words += words->len > 0 ? count_words(text) : 0;
    if (lk_number_parse(cell, &number)) {
        of->n_numbers++;
        of->n_fractions += memchr(cell.bytes, '.', cell.len) != NULL;
    }
    digits_count(cell, of);
    of->n_codes += is_code(cell);
    lk_date_order_see(&of->dates, cell);
    return tally_add(&of->values, text, i, err);
}

static int cells_count(const cells *all, counts *of, linkd_error *err)
{
    lk_buf words = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < cells_n(all) && rc == LINKD_OK; i++) {
        linkd_str cell = cells_get(all, i);

        if (cell.len > 0)
            rc = cell_count(cell, i, &words, of, err);
    }
    lk_buf_clear(&words);
    return rc;
}

/* ---- types -------------------------------------------------------------- */

static bool is_share(const counts *of, uint64_t n, double share)
{
    return (double)n >= share * (double)of->n_filled;
}

static bool is_month_first(const counts *of)
{
    return of->dates.n_month_first > of->dates.n_day_first;
}

static uint64_t n_dates(const counts *of)
{
    return of->dates.n_either + (is_month_first(of) ? of->dates.n_month_first
                                                    : of->dates.n_day_first);
}

static double mean_chars(const counts *of)
{
    return (double)of->n_chars / (double)of->n_filled;
}

static bool is_category(const counts *of)
{
    uint64_t n = of->values.n;

    return n <= CATEGORIES_MAX && n * CATEGORY_REPEATS <= of->n_filled &&
           (double)tally_n_singles(&of->values) <=
               SINGLES_SHARE * (double)of->n_filled;
}

/* Numbers that are none: nobody adds them up. */
static bool is_numbering(const counts *of)
{
    uint64_t most = 0;

    for (size_t i = CODE_DIGITS_MIN; i < LENGTHS; i++)
        most = of->lengths[i] > most ? of->lengths[i] : most;
    return (of->n_zeros > 0 && is_share(of, of->n_zeros, ZEROS_SHARE)) ||
           is_share(of, most, EQUAL_LENGTH_SHARE) ||
           (mean_chars(of) > NUMBER_CHARS_MAX &&
            !is_share(of, of->n_fractions, FRACTION_SHARE));
}

static linkd_holds type_of(const counts *of)
{
    if (of->n_filled == 0)
        return LINKD_HOLDS_EMPTY;
    if (is_share(of, n_dates(of), TYPE_SHARE))
        return LINKD_HOLDS_DATE;
    if (is_share(of, of->n_numbers, TYPE_SHARE) && !is_numbering(of))
        return LINKD_HOLDS_NUMBER;
    if (is_category(of))
        return LINKD_HOLDS_CATEGORY;
    if (is_share(of, of->n_codes, TYPE_SHARE))
        return LINKD_HOLDS_CODE;
    return mean_chars(of) <= NAME_CHARS_MAX ? LINKD_HOLDS_NAME
                                            : LINKD_HOLDS_TEXT;
}

/* ---- the second pass ---------------------------------------------------- */

static int number_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool value_read(linkd_str cell, const linkd_column_profile *profile,
                       double *ret_value)
{
    int64_t days;

    if (profile->type == LINKD_HOLDS_NUMBER)
        return lk_number_parse(cell, ret_value);
    if (!lk_date_parse(cell, profile->month_first, &days))
        return false;
    *ret_value = (double)days;
    return true;
}

/* The value below which that share of the sorted ones is. */
static double quantile(const double *sorted, size_t n, double share)
{
    return sorted[(size_t)(share * (double)(n - 1) + 0.5)];
}

static void range_fill(const double *sorted, size_t n,
                       linkd_column_profile *profile)
{
    profile->low = quantile(sorted, n, 0.05);
    profile->high = quantile(sorted, n, 0.95);
    profile->spread = (quantile(sorted, n, 0.75) - quantile(sorted, n, 0.25)) /
                      QUARTILES_TO_DEVIATION;
    /* where one value is that of most rows */
    if (profile->spread <= 0.0)
        profile->spread = (profile->high - profile->low) / TAILS_TO_DEVIATION;
    profile->logarithmic = profile->type == LINKD_HOLDS_NUMBER &&
                           sorted[0] > 0.0 &&
                           profile->high / profile->low > LOG_RATIO;
}

static int range_make(const cells *all, linkd_column_profile *profile,
                      linkd_error *err)
{
    double *values = malloc((size_t)profile->n_filled * sizeof(*values));
    size_t n = 0;

    if (values == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < cells_n(all); i++) {
        linkd_str cell = cells_get(all, i);

        n += cell.len > 0 && value_read(cell, profile, &values[n]);
    }
    qsort(values, n, sizeof(*values), number_compare);
    range_fill(values, n, profile);
    free(values);
    return LINKD_OK;
}

/* ---- profiles ----------------------------------------------------------- */

static void profile_fill(const cells *all, const counts *of,
                         linkd_column_profile *profile)
{
    value most;

    profile->type = type_of(of);
    profile->n_filled = of->n_filled;
    profile->n_distinct = of->values.n;
    if (of->n_filled == 0)
        return;
    profile->mean_chars = mean_chars(of);
    profile->mean_words = (double)of->n_words / (double)of->n_filled;
    profile->month_first =
        profile->type == LINKD_HOLDS_DATE && is_month_first(of);
    most = tally_most(&of->values);
    profile->common = cells_get(all, most.first);
    profile->n_common = most.count;
}

int linkd_field_profile_make(const linkd_table *const tables[2],
                             const size_t columns[2],
                             linkd_column_profile *ret_profile,
                             linkd_error *err)
{
    cells all = cells_of(tables, columns);
    size_t named = columns[0] != LINKD_COLUMN_NONE ? 0 : 1;
    linkd_column_profile profile = {
        .name = linkd_table_column(tables[named], columns[named]),
        .n_rows = cells_n(&all)};
    counts of = {0};
    int rc = cells_count(&all, &of, err);

    if (rc == LINKD_OK)
        profile_fill(&all, &of, &profile);
    if (rc == LINKD_OK && (profile.type == LINKD_HOLDS_NUMBER ||
                           profile.type == LINKD_HOLDS_DATE))
        rc = range_make(&all, &profile, err);
    if (rc == LINKD_OK)
        *ret_profile = profile;
    free(of.values.slots);
    return rc;
}

int linkd_column_profile_make(const linkd_table *table, size_t column,
                              linkd_column_profile *ret_profile,
                              linkd_error *err)
{
    const linkd_table *const tables[2] = {table, NULL};
    const size_t columns[2] = {column, LINKD_COLUMN_NONE};

    return linkd_field_profile_make(tables, columns, ret_profile, err);
}
