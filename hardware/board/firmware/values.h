/* The values that SET changes, their defaults and their bounds. */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* All at their defaults. */
void values_start(void);

/* Change one. False: there is no such key, or the value is above its bound, which *limit tells. */
bool values_set(uint8_t key, uint32_t value, uint32_t *limit);

#endif
