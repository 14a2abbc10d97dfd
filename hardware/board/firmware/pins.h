/* Pins of the board, by their names on an Arduino Uno or Nano.
 *
 * The valve is the only output of port B, so no write to another output can touch it.
 *
 *   D9  PB1  valve            out      D8  PB0  frame TTL (ICP1)   in
 *   D4  PD4  light            out      D10 PB2  lick sensor        in
 *   D5  PD5  PMT gate         out      D11 PB3  spare input 1      in
 *   D6  PD6  scope trigger    out      D12 PB4  spare input 2      in
 *   D7  PD7  sync line        out      D2  PD2  wheel, phase A     in
 *   A0  PC0  photodiode       in       D3  PD3  wheel, phase B     in
 *   A1  PC1  analog lick sensor, in place of the one at D10        in
 *
 * Every output needs a resistor to ground (10 kOhm): the chip's pins float while it is in reset.
 * Digital inputs have the chip's pull-ups, because an open line must not chatter.
 */
#ifndef PINS_H
#define PINS_H

#include <avr/io.h>

#define VALVE _BV(PB1)
#define FRAME_TTL _BV(PB0)
#define LICK _BV(PB2)
#define AUX_1 _BV(PB3)
#define AUX_2 _BV(PB4)

#define WHEEL_A _BV(PD2)
#define WHEEL_B _BV(PD3)
#define LIGHT _BV(PD4)
#define GATE _BV(PD5)
#define SCOPE _BV(PD6)
#define SYNC _BV(PD7)

#define OUTPUTS_B VALVE
#define OUTPUTS_D (LIGHT | GATE | SCOPE | SYNC)

/* Each is one instruction on one bit, so no interrupt can come between. */
static inline void raise_d(uint8_t pin) { PORTD |= pin; }
static inline void lower_d(uint8_t pin) { PORTD &= (uint8_t)~pin; }

#endif
