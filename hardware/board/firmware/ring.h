/* What the board remembers through a reset: the newest rewards, boot counter, losses, name.
 *
 * The ring lives in memory that the start-up code leaves alone, each entry with a CRC; it survives
 * every reset but a loss of power. A copy follows to the EEPROM, one byte (3.4 ms) at a time.
 */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"

#define RING_SIZE 16

extern uint32_t ring_boot;
extern uint16_t ring_losses;
extern char ring_name[NAME_BYTES];

/* After a reset: count it, close what was running. Takes up to 50 ms. */
void ring_start(void);

bool ring_holds(uint32_t session, uint32_t request_id);

/* Mark a reward as running, before the valve opens. */
void ring_begin(uint32_t session, uint32_t request_id);

/* When the newest reward opened; what became of it. */
void ring_opened(uint64_t t_us);
void ring_end(enum ring_state state, uint32_t opened_us, uint64_t t_close_us);

/* Fill the answer with the entry of a request id, or with the nth newest where the id is 0. */
void ring_look_up(uint32_t session, uint32_t request_id, uint8_t nth, struct ring_entry *answer);

/* Name of the board, filled up with zeros; it follows to the EEPROM. */
void ring_set_name(const char *name);

/* Go on copying to the EEPROM, without ever waiting for it. */
void ring_copy_on(void);

#endif
