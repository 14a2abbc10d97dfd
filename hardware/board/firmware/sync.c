#include "sync.h"

#include <util/atomic.h>

#include "clock.h"
#include "codes.h"
#include "inputs.h"
#include "pins.h"
#include "safety.h"

static volatile uint16_t half_ms, left_ms;

/* Galois register of 16 bits: 65535 values before the first comes again. */
static uint16_t draw(void) {
    static uint16_t bits = 0xACE1;
    bits = (bits >> 1) ^ (bits & 1 ? 0xB400 : 0);
    return bits;
}

void sync_set(uint16_t period_ms) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        half_ms = period_ms / 2;
        left_ms = half_ms;
        lower_d(SYNC);
    }
}

void sync_tick(void) {
    if (!half_ms || !safety_ready() || left_ms-- > 1) {
        return;
    }
    /* 0.5 to 1.5 times half the mean period */
    left_ms = half_ms / 2 + (uint16_t)((uint32_t)draw() * half_ms >> 16) + 1;
    if (PORTD & SYNC) {
        lower_d(SYNC);
    } else {
        raise_d(SYNC);
    }
    inputs_push(IN_SYNC, clock_ticks(), PORTD & SYNC ? 1 : 0);
}
