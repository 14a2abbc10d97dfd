/* Time since reset: timer 1 counts ticks of 0.5 us and is never stopped or set.
 *
 * Interrupts stamp with the low 32 bits of the tick count, which turn over after 36 min; whoever
 * reads a stamp does so within that time and makes 64-bit microseconds of it.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define TICKS_PER_US 2

void clock_start(void);

/* Ticks now, low 32 bits. Interrupts must be off. */
uint32_t clock_ticks(void);

/* The stamp of an event whose low 16 bits timer 1 held at most 32 ms ago. Interrupts off. */
uint32_t clock_stamp(uint16_t low);

/* Microseconds since reset, now and at a stamp. For the main loop. */
uint64_t clock_us(void);
uint64_t clock_us_at(uint32_t stamp);

#endif
