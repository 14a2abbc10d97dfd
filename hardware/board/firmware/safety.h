/* SAFE and READY, the host's silence, and the way from any state to all outputs low. */
#ifndef SAFETY_H
#define SAFETY_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"

/* As the host greeted. */
extern struct hello safety_greeting;

bool safety_ready(void);

/* The host's loop turns. */
void safety_feed(void);

/* HELLO was accepted: READY. */
void safety_leave(const struct hello *greeting);

/* All outputs low, at once; READY becomes SAFE. safety_settle tells of it. Interrupts off. */
void safety_fall(enum reason reason);

/* Every millisecond, from an interrupt. */
void safety_tick(void);

/* Tell of, and remember, every pulse that ended and every fall since the last call. */
void safety_settle(void);

void safety_tell_status(uint8_t answered);

/* After a reset, before anything is driven: look at the outputs, mark the end of the stack. */
void safety_start(void);

/* What was found to be wrong since reset, bits of enum fault. */
extern uint8_t safety_faults;

/* Whether the board is fit to leave SAFE. */
bool safety_sound(void);

#endif
