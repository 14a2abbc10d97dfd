#include "gate.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

#include "clock.h"
#include "limits.h"
#include "pins.h"

/* Edges due within this of each other are done in one interrupt. */
#define TOGETHER_TICKS 40

enum what { LIGHT_UP, LIGHT_DOWN, GATE_DOWN, EDGES };
struct edge { uint16_t ticks; enum what what; }; /* since the frame TTL */

static struct edge edges[EDGES];
static volatile uint8_t next = EDGES;
static volatile uint16_t t_frame; /* low bits of its tick */
static uint32_t t_before;         /* stamp of the frame TTL before */
static uint32_t shortest;         /* ticks between two frame TTLs that are obeyed */
static volatile bool seen, enabled, light_allowed;

static void lower(void) {
    /* the light before the gate that shields the PMT from it */
    lower_d(LIGHT);
    lower_d(GATE);
    next = EDGES;
}

static void raise_light(void) {
    /* the level of the gate's own pin, not what this program remembers of it */
    if (light_allowed && ((PIND & GATE) || !RULE(LIGHT_GUARD))) {
        raise_d(LIGHT);
    }
}

static void do_due(void) {
    while (next < EDGES && (uint16_t)(TCNT1 - t_frame) + TOGETHER_TICKS >= edges[next].ticks) {
        while ((uint16_t)(TCNT1 - t_frame) < edges[next].ticks) {
        }
        switch (edges[next].what) {
        case LIGHT_UP: raise_light(); break;
        case LIGHT_DOWN: lower_d(LIGHT); break;
        default: lower_d(LIGHT); lower_d(GATE); break;
        }
        next++;
    }
    if (next < EDGES) {
        OCR1B = t_frame + edges[next].ticks;
    }
}

/* Enabled always; a match that means nothing finds nothing due. */
ISR(TIMER1_COMPB_vect) { do_due(); }

void gate_frame(uint32_t stamp) {
    bool too_fast = seen && stamp - t_before < shortest;
    t_before = stamp;
    seen = true;
    lower();
    if (!enabled || (too_fast && RULE(FASTEST))) {
        return;
    }
    raise_d(GATE);
    t_frame = (uint16_t)stamp;
    next = 0;
    do_due();
}

void gate_enable(bool on) {
    enabled = on;
    if (!on) {
        lower();
    }
}

void gate_allow_light(bool on) {
    light_allowed = on;
    if (!on) {
        lower_d(LIGHT);
    }
}

void gate_off(void) {
    enabled = light_allowed = seen = false;
    lower();
}

static void put(uint8_t place, uint16_t us, enum what what) {
    edges[place].ticks = us * TICKS_PER_US;
    edges[place].what = what;
}

void gate_set_times(uint32_t period, uint16_t gate, uint16_t light_start, uint16_t light) {
    uint32_t fastest_us = period / 6 * 5 + period % 6 * 5 / 6; /* period / 1.2 */
    uint32_t longest = fastest_us / 1000 * HARD_MAX_GATE_PERMILLE;
    if (gate > longest && RULE(GATE_SHARE)) {
        gate = (uint16_t)longest;
    }
    uint32_t stop = (uint32_t)light_start + light;
    if (stop > gate) {
        stop = gate;
    }
    bool within = light_start < stop;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        lower();
        shortest = fastest_us * TICKS_PER_US;
        /* in the order in which they come; a light that begins after the gate comes last and
         * finds the gate down */
        put(within ? 0 : 2, light_start, LIGHT_UP);
        put(within ? 1 : 0, (uint16_t)stop, LIGHT_DOWN);
        put(within ? 2 : 1, gate, GATE_DOWN);
    }
}
