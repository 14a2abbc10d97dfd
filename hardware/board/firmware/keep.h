/* The EEPROM: who has which part of it, and copies to it that nobody waits for. */
#ifndef KEEP_H
#define KEEP_H

#include <stdbool.h>
#include <stdint.h>

#define KEEP_HEAD 0    /* boot counter, losses */
#define KEEP_NAME 16
#define KEEP_RING 32   /* 16 entries of 16 bytes */
#define KEEP_VALUES 320

/* Write the first byte that differs, of n that belong at an address; false: none differs any more.
 * A byte takes 3.4 ms, so while one is being written this returns at once. */
bool keep_on(const void *from, uint16_t to, uint8_t n, uint8_t *copied);

#endif
