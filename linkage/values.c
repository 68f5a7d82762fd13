/* linkage/values.c — numbers and dates as people write them in tables, to
 * numbers that can be subtracted.
 *
 * A cell is a number or it is not: there is no number found within a text. What
 * is ambiguous is decided by what is usual, cell by cell:
 *
 *   1,299      a comma before three digits separates thousands    1299
 *   1.299      a point before three digits does not               1.299
 *   1.299,00   of two kinds of marks the last is the decimal one  1299
 *   0,299      nobody writes thousands after a zero               0.299
 *   12,34,567  groups of two before one of three are Indian       1234567
 *
 * Of 04/05/2001 a cell cannot tell whether it is May or April. A column can, as
 * soon as one of its cells has a day above 12 (lk_date_order_see).
 *
 * Numbers are put together from 19 digits and a power of ten: what strtod()
 * gives but for the last bit, and whatever the locale. */
#include <math.h>
#include <string.h>

#include "linkage/similarity.h"
#include "linkage/text.h"

enum {
    CELL_MAX = 64,   /* bytes of a number or a date: a guess */
    DIGITS_MAX = 19, /* as many as a uint64_t holds */
    EXPONENT_MAX = 9999,
    EXACT_POWER = 22, /* 10^22 is the last power of ten that is a double */
    YEAR_MAX = 9999,
    /* Eight digits in a row are a date only if the year is likely. */
    COMPACT_YEAR_MIN = 1000,
    COMPACT_YEAR_MAX = 2999,
};

/* ---- what is read from left to right ------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The next byte, or 0 at the end. */
static char peek(linkd_str rest)
{
    return rest.len > 0 ? rest.bytes[0] : '\0';
}

static void skip(linkd_str *rest, size_t n)
{
    rest->bytes += n;
    rest->len -= n;
}

static bool take(linkd_str *rest, const char *text)
{
    size_t len = strlen(text);

    if (rest->len < len || memcmp(rest->bytes, text, len) != 0)
        return false;
    skip(rest, len);
    return true;
}

/* One of several texts of UTF-8; the list ends in NULL. */
static bool take_any(linkd_str *rest, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        if (take(rest, *texts))
            return true;
    }
    return false;
}

static void skip_blanks(linkd_str *rest)
{
    while (take(rest, " "))
        ;
}

/* Up to `max` digits; how many there were. */
static size_t take_digits(linkd_str *rest, size_t max, uint32_t *ret_value)
{
    size_t n = 0;
    uint32_t value = 0;

    for (; n < max && is_digit(peek(*rest)); n++) {
        value = value * 10 + (uint32_t)(rest->bytes[0] - '0');
        skip(rest, 1);
    }
    *ret_value = value;
    return n;
}

/* ---- numbers ------------------------------------------------------------ */

/* Space, no-break space, narrow no-break space, thin space. */
static const char *const blanks[] = {" ", "\xC2\xA0", "\xE2\x80\xAF",
                                     "\xE2\x80\x89", NULL};
/* Cent, pound, currency, yen; euro, rupee, won, rouble, lira, dong. */
static const char *const currencies[] = {"$",
                                         "\xC2\xA2",
                                         "\xC2\xA3",
                                         "\xC2\xA4",
                                         "\xC2\xA5",
                                         "\xE2\x82\xAC",
                                         "\xE2\x82\xB9",
                                         "\xE2\x82\xA9",
                                         "\xE2\x82\xBD",
                                         "\xE2\x82\xBA",
                                         "\xE2\x82\xAB",
                                         NULL};
static const char *const percents[] = {"%", "\xE2\x80\xB0", NULL};
static const char *const apostrophes[] = {"'", "\xE2\x80\x99", NULL};

/* The digits of a number with one byte for each mark between them:
 *   "$ 1 299.00"  ─►  "1_299.00"      _ a blank, ' an apostrophe */
typedef struct shape {
    char text[CELL_MAX + 1];
    size_t n;
    bool is_negative;
    long exponent;
} shape;

static bool sign_read(linkd_str *rest, bool *is_negative)
{
    if (take(rest, "-") || take(rest, "\xE2\x88\x92")) { /* minus */
        *is_negative = true;
        return true;
    }
    return take(rest, "+");
}

/* Signs of all kinds before the first digit: each kind at most once. */
static void front_read(linkd_str *rest, bool *is_negative)
{
    bool has_sign = sign_read(rest, is_negative);

    skip_blanks(rest);
    if (take_any(rest, currencies))
        skip_blanks(rest);
    if (!has_sign)
        (void)sign_read(rest, is_negative);
}

static char mark_read(linkd_str *rest)
{
    if (take_any(rest, blanks))
        return '_';
    if (take_any(rest, apostrophes))
        return '\'';
    if (take(rest, ","))
        return ',';
    return take(rest, ".") ? '.' : '\0';
}

/* Digits and marks, up to what is neither. A blank or an apostrophe is a mark
 * only between digits. */
static bool digits_read(linkd_str *rest, shape *of)
{
    bool has_digit = false;

    while (rest->len > 0) {
        linkd_str before = *rest;
        char mark;

        if (is_digit(peek(*rest))) {
            of->text[of->n++] = rest->bytes[0];
            has_digit = true;
            skip(rest, 1);
            continue;
        }
        mark = mark_read(rest);
        if (mark == '\0')
            break;
        if ((mark == '_' || mark == '\'') && !is_digit(peek(*rest))) {
            *rest = before;
            break;
        }
        of->text[of->n++] = mark;
    }
    return has_digit;
}

static bool exponent_read(linkd_str *rest, long *ret_exponent)
{
    bool is_negative = false;
    uint32_t value;

    if (!take(rest, "e") && !take(rest, "E"))
        return true;
    (void)sign_read(rest, &is_negative);
    if (take_digits(rest, 4, &value) == 0 || value > EXPONENT_MAX)
        return false;
    *ret_exponent = is_negative ? -(long)value : (long)value;
    return true;
}

static bool shape_read(linkd_str cell, shape *ret_shape)
{
    linkd_str rest = lk_str_trim(cell);

    if (rest.len > CELL_MAX)
        return false;
    *ret_shape = (shape){.n = 0};
    front_read(&rest, &ret_shape->is_negative);
    if (!digits_read(&rest, ret_shape) ||
        !exponent_read(&rest, &ret_shape->exponent))
        return false;
    (void)take_any(&rest, blanks);
    if (!take_any(&rest, percents))
        (void)take_any(&rest, currencies);
    return rest.len == 0;
}

static size_t digits_from(const shape *of, size_t at)
{
    size_t n = 0;

    while (at + n < of->n && is_digit(of->text[at + n]))
        n++;
    return n;
}

/* Do the marks before `end` separate thousands? All are the same then, and cut
 * the digits into groups of three, or of two before the last one. */
static bool is_grouped(const shape *of, size_t end)
{
    size_t first = digits_from(of, 0);
    size_t at = first, length = 0;

    if (first == 0 || first > 3 || of->text[0] == '0')
        return false;
    while (at < end) {
        size_t n = digits_from(of, at + 1);
        bool is_last = at + 1 + n == end;

        if (of->text[at] != of->text[first] || n < 2 || n > 3 ||
            (is_last && n != 3) || (!is_last && length != 0 && n != length))
            return false;
        if (!is_last)
            length = n;
        at += 1 + n;
    }
    return at == end && (length != 2 || (first <= 2 && of->text[first] == ','));
}

/* Where the decimal mark is, of->n if there is none; false if the marks make no
 * sense. */
static bool decimal_find(const shape *of, size_t *ret_at)
{
    size_t n_marks = 0, last = of->n;
    bool is_same = true;

    for (size_t i = 0; i < of->n; i++) {
        if (is_digit(of->text[i]))
            continue;
        is_same = is_same && (n_marks == 0 || of->text[i] == of->text[last]);
        n_marks++;
        last = i;
    }
    *ret_at = of->n;
    if (n_marks == 0)
        return true;
    if (is_same && (n_marks > 1 || of->text[last] != '.') &&
        is_grouped(of, of->n))
        return true;
    *ret_at = last;
    if (of->text[last] != '.' && of->text[last] != ',')
        return false;
    return n_marks == 1 ||
           (!is_same && is_grouped(of, last) && digits_from(of, 0) < last);
}

static double scaled(uint64_t digits, long power)
{
    static const double exact[EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double value = (double)digits;

    if (digits == 0 || power == 0)
        return value;
    if (power > 0 && power <= EXACT_POWER)
        return value * exact[power];
    if (power < 0 && power >= -EXACT_POWER)
        return value / exact[-power];
    return value * pow(10.0, (double)power);
}

bool lk_number_parse(linkd_str cell, double *ret_number)
{
    shape of;
    size_t decimal;
    uint64_t digits = 0;
    long power;
    double value;

    if (!shape_read(cell, &of) || !decimal_find(&of, &decimal))
        return false;
    power = of.exponent;
    for (size_t i = 0, n = 0; i < of.n; i++) {
        if (!is_digit(of.text[i]))
            continue;
        if (n < DIGITS_MAX) {
            digits = digits * 10 + (uint64_t)(of.text[i] - '0');
            n += digits != 0;
            power -= i > decimal;
        } else {
            power += i < decimal;
        }
    }
    value = scaled(digits, power);
    if (!isfinite(value))
        return false;
    *ret_number = of.is_negative ? -value : value;
    return true;
}

float lk_number_closeness(double a, double b, double width)
{
    if (a == b)
        return 1.0F;
    return width > 0.0 ? (float)exp(-fabs(a - b) / width) : 0.0F;
}

/* ---- dates -------------------------------------------------------------- */

/* Year, and two numbers of which one is the month. */
typedef struct date {
    uint32_t year;
    uint32_t parts[2]; /* as written; month, day where the form says it */
    bool is_open;      /* the form does not say which is the month */
} date;

static const char *const months[] = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

static bool is_leap(uint32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_day(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31};

    return year >= 1 && year <= YEAR_MAX && month >= 1 && month <= 12 &&
           day >= 1 &&
           day <= days[month - 1] + (uint32_t)(month == 2 && is_leap(year));
}

/* 1970-01-01 is day 719162 from 0001-01-01. */
static int64_t day_number(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint16_t before[] = {0,   31,  59,  90,  120, 151,
                                      181, 212, 243, 273, 304, 334};
    int64_t y = (int64_t)year - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + before[month - 1] +
           (month > 2 && is_leap(year)) + (int64_t)day - 1 - 719162;
}

/* A month's name or its beginning, three letters at least, with or without a
 * full stop. */
static bool month_read(linkd_str *rest, uint32_t *ret_month)
{
    size_t n = 0;

    while (n < rest->len && is_letter(rest->bytes[n]))
        n++;
    if (n < 3)
        return false;
    for (uint32_t i = 0; i < 12; i++) {
        size_t k = 0;

        while (k < n && months[i][k] == lower(rest->bytes[k]))
            k++;
        if (k < n)
            continue;
        skip(rest, n);
        (void)take(rest, ".");
        *ret_month = i + 1;
        return true;
    }
    return false;
}

static bool year_read(linkd_str *rest, uint32_t *ret_year)
{
    return take_digits(rest, 4, ret_year) == 4 && !is_digit(peek(*rest));
}

/* 2001-02-28, 2001/2/28, 20010228; `rest` begins with a digit. */
static bool year_first_read(linkd_str *rest, date *ret_date)
{
    const char *mark = rest->bytes + 4;
    uint32_t *month = &ret_date->parts[0], *day = &ret_date->parts[1];

    if (take_digits(rest, 4, &ret_date->year) != 4)
        return false;
    if (is_digit(peek(*rest)))
        return take_digits(rest, 2, month) == 2 &&
               take_digits(rest, 2, day) == 2 && !is_digit(peek(*rest)) &&
               ret_date->year >= COMPACT_YEAR_MIN &&
               ret_date->year <= COMPACT_YEAR_MAX;
    if (!take(rest, "-") && !take(rest, "/") && !take(rest, "."))
        return false;
    if (take_digits(rest, 2, month) == 0 || peek(*rest) != *mark)
        return false;
    skip(rest, 1);
    return take_digits(rest, 2, day) > 0 && !is_digit(peek(*rest));
}

/* 28.02.2001, 02/28/2001, 28 Feb 2001, 28-Feb-2001. */
static bool year_last_read(linkd_str *rest, date *ret_date)
{
    char mark;

    if (take_digits(rest, 2, &ret_date->parts[0]) == 0)
        return false;
    mark = peek(*rest);
    if (mark != '-' && mark != '/' && mark != '.' && mark != ' ')
        return false;
    skip(rest, 1);
    skip_blanks(rest);
    if (is_letter(peek(*rest))) {
        ret_date->parts[1] = ret_date->parts[0];
        if (!month_read(rest, &ret_date->parts[0]))
            return false;
        (void)(take(rest, "-") || take(rest, "/") || take(rest, ","));
        skip_blanks(rest);
        return year_read(rest, &ret_date->year);
    }
    ret_date->is_open = true;
    if (mark == ' ' || take_digits(rest, 2, &ret_date->parts[1]) == 0 ||
        peek(*rest) != mark)
        return false;
    skip(rest, 1);
    return year_read(rest, &ret_date->year);
}

/* February 28, 2001. */
static bool month_first_read(linkd_str *rest, date *ret_date)
{
    if (!month_read(rest, &ret_date->parts[0]))
        return false;
    skip_blanks(rest);
    if (take_digits(rest, 2, &ret_date->parts[1]) == 0)
        return false;
    if (!take(rest, ",") && peek(*rest) != ' ')
        return false;
    skip_blanks(rest);
    return year_read(rest, &ret_date->year);
}

/* Z, UTC, GMT, +01:00, +0100, +01. */
static bool zone_read(linkd_str *rest)
{
    uint32_t hours, minutes = 0;

    skip_blanks(rest);
    if (rest->len == 0 || take(rest, "Z") || take(rest, "UTC") ||
        take(rest, "GMT"))
        return true;
    if (!take(rest, "+") && !take(rest, "-"))
        return false;
    if (take_digits(rest, 2, &hours) != 2 || hours > 14)
        return false;
    if (take(rest, ":") || rest->len > 0)
        return take_digits(rest, 2, &minutes) == 2 && minutes < 60;
    return true;
}

/* 12:34, 12:34:56, 12:34:56.789, each also with AM or PM and a zone. */
static bool clock_read(linkd_str *rest)
{
    static const char *const halves[] = {"AM", "PM", "am", "pm", NULL};
    uint32_t hours, minutes, seconds = 0;

    if (take_digits(rest, 2, &hours) == 0 || !take(rest, ":") ||
        take_digits(rest, 2, &minutes) != 2)
        return false;
    if (take(rest, ":")) {
        if (take_digits(rest, 2, &seconds) != 2)
            return false;
        if (take(rest, ".") || take(rest, ","))
            while (is_digit(peek(*rest)))
                skip(rest, 1);
    }
    if (hours > 24 || minutes > 59 || seconds > 60)
        return false;
    skip_blanks(rest);
    (void)take_any(rest, halves);
    return zone_read(rest);
}

/* Nothing more, or a time of day. */
static bool end_read(linkd_str *rest)
{
    if (rest->len == 0)
        return true;
    if (!take(rest, "T") && !take(rest, "t") && !take(rest, ", ") &&
        !take(rest, " "))
        return false;
    skip_blanks(rest);
    return clock_read(rest) && rest->len == 0;
}

/* The order of month and day is still open where the form leaves it open. */
static bool date_read(linkd_str cell, date *ret_date)
{
    linkd_str rest = lk_str_trim(cell), again = rest;

    *ret_date = (date){.year = 0};
    if (rest.len < 8 || rest.len > CELL_MAX)
        return false;
    if (is_letter(peek(rest)))
        return month_first_read(&rest, ret_date) && end_read(&rest);
    if (!is_digit(peek(rest)))
        return false;
    if (year_first_read(&rest, ret_date))
        return end_read(&rest);
    return year_last_read(&again, ret_date) && end_read(&again);
}

static bool is_date(const date *of, bool month_first)
{
    bool is_swapped = of->is_open && !month_first;

    return is_day(of->year, of->parts[is_swapped], of->parts[!is_swapped]);
}

bool lk_date_parse(linkd_str cell, bool month_first, int64_t *ret_days)
{
    date of;
    bool is_swapped;

    if (!date_read(cell, &of) || !is_date(&of, month_first))
        return false;
    is_swapped = of.is_open && !month_first;
    *ret_days =
        day_number(of.year, of.parts[is_swapped], of.parts[!is_swapped]);
    return true;
}

void lk_date_order_see(lk_date_order *order, linkd_str cell)
{
    date of;
    bool day_first, month_first;

    if (!date_read(cell, &of))
        return;
    day_first = is_date(&of, false);
    month_first = is_date(&of, true);
    order->n_either += day_first && month_first;
    order->n_day_first += day_first && !month_first;
    order->n_month_first += month_first && !day_first;
}
