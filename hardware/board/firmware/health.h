/* The self-test: what can be found wrong without moving anything. */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdint.h>

/* MCUSR as the last reset left it: 1 power on, 2 reset line, 4 brown-out, 8 hardware watchdog. */
extern uint8_t reset_cause;

/* Look again and tell. Takes 1 ms. */
void health_tell(uint8_t answered);

#endif
