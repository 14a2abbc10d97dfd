#include "pace.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "chip.h"

#define BEHIND_NS 100000000 /* more than this is not caught up with */
#define TOLD_NS 20000000

static double speed = 1.0;
static int64_t t_zero; /* of cycle 0, on the chip's clock in ns */
static FILE *lost_file;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t chip_ns(int64_t t_ns) { return (int64_t)((double)t_ns * speed); }

static int64_t passed_ns(void) { return (int64_t)(chip_cycle() * 1000 / CYCLES_PER_US); }

void pace_start(double drift_ppm, const char *lost) {
    speed = 1 + drift_ppm * 1e-6;
    t_zero = chip_ns(now_ns()) - passed_ns();
    if (lost && !(lost_file = fopen(lost, "a"))) {
        perror(lost);
        exit(2);
    }
}

void pace_late_ns(int64_t late_ns) {
    if (lost_file && late_ns > TOLD_NS) {
        fprintf(lost_file, "{\"t_perf_ns\": %lld, \"ms\": %.1f}\n", (long long)now_ns(),
                (double)late_ns * 1e-6);
        fflush(lost_file);
    }
}

int64_t pace_behind_ns(void) {
    static bool told; /* once, and not again while it catches up; what is lost for good, always */
    int64_t behind = chip_ns(now_ns()) - t_zero - passed_ns();
    if (!told || behind > BEHIND_NS) {
        pace_late_ns(behind);
    }
    told = behind > TOLD_NS && behind <= BEHIND_NS;
    if (behind <= BEHIND_NS) {
        return behind;
    }
    t_zero += behind;
    return 0;
}

uint64_t pace_cycle_at(int64_t t_ns) {
    int64_t at = chip_ns(t_ns) - t_zero;
    return at > 0 ? (uint64_t)at * CYCLES_PER_US / 1000 : 0;
}
