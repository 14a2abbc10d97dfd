/* The valve: pulses and trains, each edge on its tick of 0.5 us, whatever else goes on.
 *
 * Timer 1 interrupts a little before an edge and waits there for the exact tick, with all other
 * interrupts off. Nothing but this module writes the valve's port.
 */
#ifndef VALVE_H
#define VALVE_H

#include <stdbool.h>
#include <stdint.h>

enum valve_state { VALVE_IDLE, VALVE_RUNNING, VALVE_OVER, VALVE_CUT };

/* Request behind the pulse that runs; 0: none. Read by whoever watches the chip's memory. */
extern volatile uint32_t valve_request_id;

enum valve_state valve_state(void);

/* Open now. Widths of at least 100 us, gaps of at least 1000 us. */
void valve_begin(uint32_t request_id, uint32_t width_us, uint8_t pulses, uint32_t gap_us);

/* A reward that was accepted and must not open any more counts as cut. */
void valve_begin_cut(uint32_t request_id);

/* Shut at once. For interrupts, or with interrupts off. */
void valve_cut(void);

/* Once every millisecond from an interrupt: whether the valve is open for longer than it
 * was asked, which it can be only where timer 1 has failed. */
bool valve_tick(void);

/* Time of the first opening of the newest reward. */
uint64_t valve_opened_us(void);

struct valve_end { bool whole; uint32_t opened_us; uint64_t t_open_us, t_close_us; };

/* What became of a reward that is over or was cut; the valve is idle afterwards. */
struct valve_end valve_take_end(void);

#endif
