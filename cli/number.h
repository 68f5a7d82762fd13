/* cli/number.h — numbers as people read them. */
#ifndef LINKD_CLI_NUMBER_H
#define LINKD_CLI_NUMBER_H

#include "base/base.h"

/* Returned by value, so that it can stand in a call: lk_count(n).text */
typedef struct lk_number {
    char text[48];
} lk_number;

lk_number lk_count(uint64_t n); /* "50,797" */
/* "1 row", "2,500 rows" */
lk_number lk_counted(uint64_t n, const char *one, const char *many);
lk_number lk_bytes(double bytes);      /* "90.9 MB" */
lk_number lk_duration(double seconds); /* "0:07", "1:02:03" */
lk_number lk_per_second(double rate);  /* "1,399", "1.7" */
lk_number lk_utc_now(void);            /* "2026-11-24T16:30:50Z" */

#endif
