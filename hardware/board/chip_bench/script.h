/* What happens to the pins, by time. One act a line:
 *
 *     T_US PIN VALUE        lick 1 · wheel_a 0 · frame_ttl 1 · aux_1 1 · photodiode 3000 (mV)
 *                           · lick_analog 3000 (mV)
 *     T_US uart HEX         bytes for the chip, as fast as the line carries them
 *     T_US reset            the reset line
 *     T_US jam              the main loop hangs; interrupts go on
 *     T_US poke NAME=VALUE  a byte of memory is overwritten; NAME+OFFSET and @ADDRESS as well
 *
 * T_US counts from power-on, in order; `+T_US` counts from when the line is read; `@T_NS` is a time
 * of the computer (CLOCK_MONOTONIC). What is told of too late for its time is done at once, each
 * change of a pin long enough after the one before to be seen.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdint.h>

/* Read a whole file, or one line. A fault ends the process and names the line. */
void script_load(const char *path);
void script_add(const char *line);

/* Do what is due. Returns cycles until the next act, or UINT64_MAX. */
uint64_t script_play(void);

#endif
