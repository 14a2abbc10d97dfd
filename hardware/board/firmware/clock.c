#include "clock.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

static volatile uint32_t wraps;

void clock_start(void) {
    TCCR1A = 0;
    /* prescaler 8; captures the frame TTL on its rising edge, through the noise canceller */
    TCCR1B = _BV(ICNC1) | _BV(ICES1) | _BV(CS11);
    TIMSK1 = _BV(TOIE1) | _BV(OCIE1A) | _BV(OCIE1B); /* the latter: valve.c and gate.c */
}

ISR(TIMER1_OVF_vect) { wraps++; }

/* The interrupt of an overflow may be waiting while this reads. */
static uint32_t wraps_at(uint16_t low) {
    uint32_t counted = wraps;
    if ((TIFR1 & _BV(TOV1)) && low < 0x8000) {
        counted++;
    }
    return counted;
}

uint32_t clock_ticks(void) {
    uint16_t low = TCNT1;
    return wraps_at(low) << 16 | low;
}

uint32_t clock_stamp(uint16_t low) {
    uint32_t now = clock_ticks();
    return now - (uint16_t)((uint16_t)now - low);
}

static uint64_t ticks_64(void) {
    uint16_t low;
    uint32_t high;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        low = TCNT1;
        high = wraps_at(low);
    }
    return (uint64_t)high << 16 | low;
}

uint64_t clock_us(void) { return ticks_64() / TICKS_PER_US; }

uint64_t clock_us_at(uint32_t stamp) {
    uint64_t now = ticks_64();
    return (now - (uint32_t)((uint32_t)now - stamp)) / TICKS_PER_US;
}
