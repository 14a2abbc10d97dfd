/* What each request of the host does. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <stdint.h>

/* Obey one payload, whose last byte came in at a stamp. */
void requests_obey(const uint8_t *payload, uint8_t n, uint32_t stamp);

#endif
