/* Inputs: lick sensor, wheel, frame clock, two spares. Stamped in interrupts, told by the main loop. */
#ifndef INPUTS_H
#define INPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"

void inputs_start(void);

/* Keep a change until it is told. Interrupts off. */
void inputs_push(enum input kind, uint32_t stamp, int32_t value);

/* The analog lick sensor went up or down. From an interrupt. */
void inputs_lick(bool up);

/* Every millisecond, from an interrupt: a lick sensor that has come to rest. */
void inputs_tick(void);

/* Tell the host of one change, if there is one and room for it. */
void inputs_tell(void);

/* Every change so far, told or not. */
void inputs_count(struct counts *now);

/* A bit each: lick, wheel A, wheel B, frame TTL, spares 1 and 2. */
uint8_t inputs_levels(void);

/* The next frame TTL is number 0. */
void inputs_arm(void);

void inputs_set_lick_debounce(uint32_t us);
/* The sensor at A1 tells of licks, by inputs_lick, and not the pin. Interrupts off. */
void inputs_lick_is_analog(bool analog);
/* At most one event of the wheel in this time; 0: each edge. */
void inputs_set_wheel_interval(uint32_t us);

#endif
