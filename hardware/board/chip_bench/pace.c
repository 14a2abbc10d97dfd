#include "pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "chip.h"

#define BEHIND_NS 100000000 /* more than this is not caught up with */

static double speed = 1.0;
static int64_t t_zero; /* of cycle 0, on the chip's clock in ns */
static FILE *stood_file;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t chip_ns(int64_t t_ns) { return (int64_t)((double)t_ns * speed); }

static int64_t passed_ns(void) { return (int64_t)(chip_cycle() * 1000 / CYCLES_PER_US); }

void pace_start(double drift_ppm, const char *stood) {
    speed = 1 + drift_ppm * 1e-6;
    t_zero = chip_ns(now_ns()) - passed_ns();
    if (stood && !(stood_file = fopen(stood, "a"))) {
        perror(stood);
        exit(2);
    }
}

int64_t pace_behind_ns(void) {
    int64_t t_ns = now_ns();
    int64_t behind = chip_ns(t_ns) - t_zero - passed_ns();
    if (behind <= BEHIND_NS) {
        return behind;
    }
    t_zero += behind;
    if (stood_file) {
        fprintf(stood_file, "{\"t_perf_ns\": %lld, \"ms\": %.1f}\n", (long long)t_ns,
                (double)behind * 1e-6);
        fflush(stood_file);
    }
    return 0;
}

uint64_t pace_cycle_at(int64_t t_ns) {
    int64_t at = chip_ns(t_ns) - t_zero;
    return at > 0 ? (uint64_t)at * CYCLES_PER_US / 1000 : 0;
}
