/* What the board says: numbered, framed, and dropped by rank where the line is too slow. */
#ifndef TELL_H
#define TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"

/* Send one message. An EVENT is dropped first where there is little room, then a STATUS; anything
 * else waits for room, at most for the length of the buffer. */
void tell(enum answer type, const void *body, uint8_t n);
#define TELL(type, body) tell(type, &(body), sizeof(body))

/* Whether a message of this type would be sent now. */
bool tell_has_room(enum answer type);

/* An event that never got as far as a message uses up its number all the same. */
void tell_skipped(void);

void tell_ack(uint8_t answered, uint8_t request, uint32_t argument);
void tell_nack(uint8_t answered, uint8_t request, enum reason reason, uint32_t argument);

#endif
