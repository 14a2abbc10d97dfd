/* What is measured: photodiode, lick sensor where it is analog, supply. */
#ifndef ANALOG_H
#define ANALOG_H

#include <stdint.h>

void analog_start(void);

/* ADC values (0 to 1023) of the black and of the white patch, in either order. */
void analog_set_photodiode(uint16_t black, uint16_t white);

/* ADC value from which on the sensor at A1 is a lick; 0: the sensor is the digital one. */
void analog_set_lick(uint16_t threshold);

/* Mean of the photodiode's last 64 values. */
uint16_t analog_photodiode(void);

/* Newest value of the lick sensor; 0 where it is digital. */
uint16_t analog_lick(void);

/* The chip's supply, by its own 1.1 V. Takes 1 ms, in which nothing else is measured. */
uint16_t analog_supply_mv(void);

#endif
