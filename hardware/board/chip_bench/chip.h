/* The chip: an ATmega328P at 16 MHz that runs the firmware, its pins and its EEPROM.
 *
 * Time is cycles since power-on, whatever resets the chip met.
 */
#ifndef CHIP_H
#define CHIP_H

#include <stdbool.h>
#include <stdint.h>

#define CYCLES_PER_US 16

/* Power on. Ends the process, with a reason on stderr, where the firmware cannot be read. */
void chip_start(const char *elf_path, const char *edges_path, const char *eeprom_path);

uint64_t chip_cycle(void);

/* Run for about this many cycles, at least one instruction. False: the program has stopped. */
bool chip_run(uint64_t cycles);

/* The reset line: outputs float, memory stays. */
void chip_reset(void);

/* How often the valve has opened. */
unsigned chip_openings(void);

/* From now on the main loop hangs where it is; interrupts go on. */
void chip_jam(void);

/* Overwrite a byte of memory, `NAME=VALUE` or `NAME+OFFSET=VALUE` for a variable, or `@ADDRESS=VALUE`: what a fault would do. */
void chip_poke(const char *what);

/* Drive an input by its name: a level, or millivolts where it is measured. False: no such input. */
bool chip_input(const char *name, int value);

/* A byte on the line to the chip; begins now. */
void chip_receive(uint8_t byte);
uint64_t chip_cycles_per_byte(void);

/* Called with every byte that the chip sends. */
void chip_on_byte(void (*take)(uint8_t byte));

/* Power off: every output low, and on file so. */
void chip_stop(void);

/* Bring the EEPROM file up to date, so that it outlives this process however it ends. */
void chip_keep_eeprom(void);

#endif
