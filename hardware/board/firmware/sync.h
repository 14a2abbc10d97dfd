/* The sync line: pseudo-random edges, by which the records of two devices are laid together. */
#ifndef SYNC_H
#define SYNC_H

#include <stdint.h>

/* Mean period in ms; 0: off, and low. */
void sync_set(uint16_t period_ms);

/* Every millisecond, from an interrupt. */
void sync_tick(void);

#endif
