#include "uart.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "clock.h"

#ifndef BAUD
#define BAUD 115200
#endif
#define BAUD_TOL 3
#include <util/setbaud.h>

/* Sizes of powers of two, so that indices turn over by themselves or by a mask. */
#define IN_SIZE 128
#define STAMPS 32
#define OUT_SIZE 256

static volatile uint8_t in[IN_SIZE];
static volatile uint8_t in_head, in_tail;
static volatile uint32_t stamps[STAMPS];
static volatile uint8_t stamp_head, stamp_tail;
static volatile uint8_t out[OUT_SIZE];
static volatile uint8_t out_head, out_tail;

void uart_start(void) {
#if USE_2X
    UCSR0A = _BV(U2X0);
#else
    UCSR0A = 0;
#endif
    UBRR0 = UBRR_VALUE;
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
}

ISR(USART_RX_vect) {
    static uint8_t before;
    uint8_t byte = UDR0;
    uint8_t next = (in_head + 1) & (IN_SIZE - 1);
    if (byte == 0) {
        if (before == 0) {
            return; /* an empty frame, which says nothing */
        }
        uint8_t following = (stamp_head + 1) & (STAMPS - 1);
        if (next == in_tail || following == stamp_tail) {
            return; /* the two frames that run together here fail their CRC */
        }
        stamps[stamp_head] = clock_ticks();
        stamp_head = following;
    } else if (next == in_tail) {
        return;
    }
    before = byte;
    in[in_head] = byte;
    in_head = next;
}

ISR(USART_UDRE_vect) {
    if (out_head == out_tail) {
        UCSR0B &= (uint8_t)~_BV(UDRIE0);
        return;
    }
    UDR0 = out[out_tail++];
}

bool uart_take(uint8_t *byte) {
    if (in_head == in_tail) {
        return false;
    }
    *byte = in[in_tail];
    in_tail = (in_tail + 1) & (IN_SIZE - 1);
    return true;
}

uint32_t uart_stamp(void) {
    uint32_t stamp = stamps[stamp_tail];
    stamp_tail = (stamp_tail + 1) & (STAMPS - 1);
    return stamp;
}

uint8_t uart_room(void) { return (uint8_t)(out_tail - out_head - 1); }

void uart_put(const uint8_t *bytes, uint8_t n) {
    while (n--) {
        out[out_head] = *bytes++;
        out_head++;
    }
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { UCSR0B |= _BV(UDRIE0); }
}
