#include "valve.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

#include "clock.h"
#include "limits.h"
#include "pins.h"

/* The interrupt comes this much early. All others together take less. */
#define LEAD_US 80UL
/* Between reading the timer and having set its compare register. */
#define MARGIN_TICKS 32
#define WRAP_US_LOG2 15 /* 65536 ticks are 2^15 us */

volatile uint32_t valve_request_id __attribute__((used, externally_visible));

static volatile enum valve_state state;
static volatile uint32_t rounds;  /* turns of the timer before the match that counts */
static volatile uint16_t due;     /* low bits of the tick of the next edge */
static volatile uint8_t left;     /* pulses not yet over */
static uint32_t width, gap;       /* us */
static volatile uint32_t opened;  /* us, of pulses that are over */
static volatile uint32_t t_first, t_up, t_close; /* stamps */
static uint64_t first_us;
static uint16_t up_ms, longest_ms; /* how long the pin is and may be up, counted apart from above */

static inline bool is_up(void) { return PORTB & VALVE; }

/* Next edge in us after the tick from. Interrupts are off. */
static void schedule(uint16_t from, uint32_t us) {
    uint32_t skip = us - LEAD_US;
    uint32_t turns = skip >> WRAP_US_LOG2;
    uint16_t low = (uint16_t)skip * TICKS_PER_US;
    due = from + (uint16_t)us * TICKS_PER_US;
    uint16_t soonest = TCNT1 - from + MARGIN_TICKS;
    if (low < soonest) {
        if (turns) {
            /* the match of this turn comes too soon to be sure of: let it pass, uncounted */
            while ((uint16_t)(TCNT1 - from) <= low + 4) {
            }
            turns--;
        } else {
            low = soonest;
        }
    }
    rounds = turns;
    OCR1A = from + low;
    if (TIFR1 & _BV(OCF1A)) {
        TIFR1 = _BV(OCF1A); /* a match of the tick before, which must not be counted */
    }
}

static void open_at(uint32_t stamp) {
    t_up = stamp;
    schedule((uint16_t)stamp, width);
}

/* Enabled always, lest a match of long ago be waiting when a pulse begins. */
ISR(TIMER1_COMPA_vect) {
    if (state != VALVE_RUNNING) {
        return;
    }
    if (rounds) {
        rounds--;
        return;
    }
    uint16_t tick = due;
    while ((int16_t)(TCNT1 - tick) < 0) {
    }
    if (!is_up()) {
        PORTB |= VALVE;
        open_at(clock_stamp(tick));
        return;
    }
    PORTB &= (uint8_t)~VALVE;
    opened += width;
    t_close = clock_stamp(tick);
    if (--left) {
        schedule(tick, gap);
        return;
    }
    state = VALVE_OVER;
}

enum valve_state valve_state(void) { return state; }

void valve_begin(uint32_t request_id, uint32_t width_us, uint8_t pulses, uint32_t gap_us) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        valve_request_id = request_id;
        width = width_us;
        gap = gap_us;
        longest_ms = (uint16_t)(width_us / 1000) + 2;
        left = pulses;
        opened = 0;
        state = VALVE_RUNNING;
        uint16_t tick = TCNT1;
        PORTB |= VALVE;
        t_first = clock_stamp(tick);
        open_at(t_first);
    }
    first_us = clock_us_at(t_first);
}

void valve_begin_cut(uint32_t request_id) {
    valve_request_id = request_id;
    opened = 0;
    t_close = clock_ticks();
    first_us = clock_us_at(t_close);
    state = VALVE_CUT;
}

void valve_cut(void) {
    bool was_up = is_up();
    PORTB &= (uint8_t)~VALVE;
    if (state != VALVE_RUNNING) {
        return;
    }
    uint32_t now = clock_ticks();
    if (was_up) {
        opened += (now - t_up) / TICKS_PER_US;
    }
    t_close = now;
    state = VALVE_CUT;
}

uint64_t valve_opened_us(void) { return first_us; }

bool valve_tick(void) {
    up_ms = is_up() ? up_ms + 1 : 0;
    return up_ms > longest_ms && RULE(STUCK);
}

struct valve_end valve_take_end(void) {
    struct valve_end end = {
        .whole = state == VALVE_OVER, .opened_us = opened, .t_open_us = first_us,
        .t_close_us = clock_us_at(t_close),
    };
    state = VALVE_IDLE;
    valve_request_id = 0;
    return end;
}
