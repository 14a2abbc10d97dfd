/* What the line does wrong, by count, so that a run can be repeated. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
    unsigned lose_byte_every, corrupt_byte_every, duplicate_frame_every; /* 0: none */
    bool no_ack, both_ways;
    unsigned unplug_in_reward, reset_in_reward; /* as the valve opens for the nth time; 0: never */
    double clock_drift_ppm; /* the chip's clock is this much too fast */
};

/* What is left of a frame of the chip; `out` takes twice its length. Returns the bytes left. */
size_t faults_outbound(const struct faults *faults, const uint8_t *frame, size_t n, uint8_t *out);

/* What reaches the chip of these bytes, in place. */
size_t faults_inbound(const struct faults *faults, uint8_t *bytes, size_t n);

#endif
