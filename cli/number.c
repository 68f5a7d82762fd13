/* cli/number.c — numbers as people read them: digits in groups, decimal byte
 * units, clock-like durations. Never depends on the locale. */
#include "cli/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

lk_number lk_count(uint64_t n)
{
    char digits[24];
    lk_number number = {""};
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
    char *to = number.text;

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return number;
}

lk_number lk_counted(uint64_t n, const char *one, const char *many)
{
    lk_number number;

    (void)snprintf(number.text, sizeof(number.text), "%.26s %.20s",
                   lk_count(n).text, n == 1 ? one : many);
    return number;
}

lk_number lk_bytes(double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    lk_number number;
    size_t unit = 0;

    while (bytes >= 999.95 && unit + 1 < sizeof(units) / sizeof(*units)) {
        bytes /= 1000;
        unit++;
    }
    (void)snprintf(number.text, sizeof(number.text), "%.*f %s",
                   unit == 0 ? 0 : 1, bytes, units[unit]);
    return number;
}

lk_number lk_duration(double seconds)
{
    lk_number number;
    uint64_t whole = seconds > 0 ? (uint64_t)llround(seconds) : 0;
    unsigned minutes = (unsigned)(whole / 60 % 60);
    unsigned rest = (unsigned)(whole % 60);

    if (whole < 3600)
        (void)snprintf(number.text, sizeof(number.text), "%u:%02u", minutes,
                       rest);
    else
        (void)snprintf(number.text, sizeof(number.text),
                       "%" PRIu64 ":%02u:%02u", whole / 3600, minutes, rest);
    return number;
}

lk_number lk_per_second(double rate)
{
    lk_number number;

    if (rate >= 10)
        return lk_count((uint64_t)llround(rate));
    (void)snprintf(number.text, sizeof(number.text), "%.1f", rate);
    return number;
}

lk_number lk_utc_now(void)
{
    lk_number number = {""};
    struct tm parts;
    time_t now = time(NULL);

    if (gmtime_r(&now, &parts) != NULL)
        (void)strftime(number.text, sizeof(number.text), "%Y-%m-%dT%H:%M:%SZ",
                       &parts);
    return number;
}
