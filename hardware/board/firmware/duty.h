/* The limit on how long the valve is open in any 10 s: 21 slots of 0.5 s of open time. */
#ifndef DUTY_H
#define DUTY_H

#include <stdbool.h>
#include <stdint.h>

bool duty_allows(uint32_t width_us, uint8_t pulses, uint16_t permille, uint64_t t_us);
void duty_book(uint32_t open_us, uint64_t t_us);

#endif
