/* Bytes to and from the host, through buffers that the interrupts of the UART fill and empty. */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

void uart_start(void);

/* The next byte received; false: there is none. */
bool uart_take(uint8_t *byte);

/* For a zero byte just taken: when it came in, in ticks. */
uint32_t uart_stamp(void);

/* Places free in the buffer to the host. */
uint8_t uart_room(void);

/* Send bytes for which there is room. */
void uart_put(const uint8_t *bytes, uint8_t n);

#endif
