/* The photodiode on the screen's patch: black and white told apart with hysteresis. */
#ifndef PHOTODIODE_H
#define PHOTODIODE_H

#include <stdint.h>

void photodiode_start(void);

/* ADC values (0 to 1023) of the black and of the white patch, in either order. */
void photodiode_set(uint16_t black, uint16_t white);

#endif
