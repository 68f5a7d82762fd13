/* cli/progress.h — tells a person how far a run is. */
#ifndef LINKD_CLI_PROGRESS_H
#define LINKD_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/base.h"

typedef enum lk_meter_style {
    LK_METER_SILENT,
    LK_METER_LINES,    /* one line for each step when it ends, unless it took no
                          time to speak of */
    LK_METER_TERMINAL, /* a line redrawn in place, too */
} lk_meter_style;

typedef struct lk_meter {
    FILE *out;
    lk_meter_style style;
    uint64_t (*now_ns)(void);
    char step[24]; /* "" between steps */
    uint64_t done;
    uint64_t total;
    uint64_t start_ns;
    uint64_t report_ns; /* the last one */
    uint64_t idle_ns;   /* before this no step begins */
    uint64_t drawn_ns;
    uint64_t sample_ns;   /* when, and at which count, the rate was */
    uint64_t sample_done; /* last looked at */
    double rate;          /* units per second over the recent past */
    double left_seconds;  /* below 0: not known yet */
    bool is_drawn;        /* the cursor stands behind a drawn line */
} lk_meter;

/* `now_ns` is lk_clock_ns outside of tests. */
void lk_meter_init(lk_meter *meter, FILE *out, lk_meter_style style,
                   uint64_t (*now_ns)(void));

/* What libraries are given; it never asks them to stop. */
linkd_progress lk_meter_progress(lk_meter *meter);

/* Ends the current step, if there is one. The next begins no earlier. */
void lk_meter_finish(lk_meter *meter);

/* Takes the drawn line away, for an error message to stand alone. */
void lk_meter_erase(lk_meter *meter);

#endif
