/* The chip's clock beside the computer's: the pace of real time, and what could not be kept of it. */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>

/* From now on; the chip's clock is this much too fast. `lost` takes a line for every time that the
 * pace was lost; NULL: nobody asks. */
void pace_start(double drift_ppm, const char *lost);

/* By how much the chip is behind, ns. What a slow computer has lost is not caught up with: the
 * chip's clock has stood still, because to the chip its host would have been silent. */
int64_t pace_behind_ns(void);

/* Something happens on the chip that much later than it should have. */
void pace_late_ns(int64_t late_ns);

/* Cycle at which the computer's clock (CLOCK_MONOTONIC) is or was at a time. */
uint64_t pace_cycle_at(int64_t t_ns);

#endif
