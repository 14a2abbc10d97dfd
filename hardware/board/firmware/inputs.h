/* Inputs: lick sensor, wheel, frame clock, two spares. Stamped in interrupts, told by the main loop. */
#ifndef INPUTS_H
#define INPUTS_H

#include <stdint.h>

#include "codes.h"

void inputs_start(void);

/* Keep a change until it is told. Interrupts off. */
void inputs_push(enum input kind, uint32_t stamp, int32_t value);

/* Every millisecond, from an interrupt: a lick sensor that has come to rest. */
void inputs_tick(void);

/* Tell the host of one change, if there is one. */
void inputs_tell(void);

/* The next frame TTL is number 0. */
void inputs_arm(void);

void inputs_set_lick_debounce(uint32_t us);
/* At most one event of the wheel in this time; 0: each edge. */
void inputs_set_wheel_interval(uint32_t us);

#endif
