/* PMT gate and light of each frame; the light is never raised unless the gate is up.
 *
 *   TTL   |
 *   gate  ----------------____   0 ... GATE_US
 *   light __-----------_______   LIGHT_START_US ... LIGHT_START_US + LIGHT_US, within the gate
 *
 * The gate follows a frame TTL from its interrupt; every other edge is a compare match of timer 1.
 */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>
#include <stdint.h>

/* Gate on every frame TTL, or not at all and low at once. Interrupts off. */
void gate_enable(bool on);

/* Light within the gate from the next frame, or none from now. Interrupts off. */
void gate_allow_light(bool on);

/* Both low, light forbidden, gate off. Interrupts off. */
void gate_off(void);

/* From the interrupt of a frame TTL, with its stamp. */
void gate_frame(uint32_t stamp);

/* Times in us, of effect from the next frame. */
void gate_set_times(uint32_t period, uint16_t gate, uint16_t light_start, uint16_t light);

#endif
