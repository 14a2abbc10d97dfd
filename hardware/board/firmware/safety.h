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

/* Whether the outputs really were low when they were to be, since reset. */
extern bool safety_sound;

#endif
