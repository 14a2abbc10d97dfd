/* The values that SET changes, their defaults and their bounds. */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* All as they were kept, or at their defaults. False: what was kept is damaged. */
bool values_start(void);

/* Change one. False: there is no such key, or the value is above its bound, which *limit tells. */
bool values_set(uint8_t key, uint32_t value, uint32_t *limit);

/* Let all outlive a reset; they follow to the EEPROM by values_copy_on. */
void values_keep(void);
void values_copy_on(void);

#endif
