#include "inputs.h"

#include <avr/interrupt.h>
#include <avr/pgmspace.h>
#include <stdbool.h>
#include <util/atomic.h>

#include "clock.h"
#include "gate.h"
#include "pins.h"
#include "safety.h"
#include "tell.h"

#define QUEUE 24
/* Places that frames and wheel, whose values are counts, leave to what would be lost for good. */
#define SPARED 8

struct change { uint8_t kind; uint32_t stamp; int32_t value; };

static volatile struct change queue[QUEUE];
static volatile uint8_t head, tail;
static volatile uint8_t lost;
static volatile uint32_t unheard;
static volatile uint32_t counts[IN_AUX_2 + 1]; /* changes of each input since reset */

static volatile uint32_t frames;
static volatile uint8_t levels_b; /* of lick sensor and spares, as last told */
static volatile uint32_t t_lick, lick_debounce;
static volatile bool lick_analog;
static volatile uint8_t analog_level; /* LICK or 0 */
static volatile int32_t position;
static volatile uint32_t t_wheel;
static volatile bool wheel_each;
static uint8_t phase;
static uint32_t wheel_interval, t_wheel_told;
static int32_t position_told;

void inputs_start(void) {
    PORTB |= LICK | AUX_1 | AUX_2;
    PORTD |= WHEEL_A | WHEEL_B;
    EICRA = _BV(ISC00) | _BV(ISC10); /* both edges of both phases */
    EIFR = _BV(INTF0) | _BV(INTF1);
    EIMSK = _BV(INT0) | _BV(INT1);
    PCMSK0 = LICK | AUX_1 | AUX_2;
    PCICR = _BV(PCIE0);
    TIMSK1 |= _BV(ICIE1);
    levels_b = PINB;
    phase = (PIND >> 2) & 3;
}

static uint8_t places(void) {
    uint8_t held = head >= tail ? head - tail : head + QUEUE - tail;
    return QUEUE - 1 - held;
}

void inputs_push(enum input kind, uint32_t stamp, int32_t value) {
    counts[kind]++;
    uint8_t needed = kind == IN_FRAME_TTL || kind == IN_WHEEL ? SPARED + 1 : 1;
    if (places() < needed) {
        lost += lost < 0xFF;
        unheard++;
        return;
    }
    uint8_t next = head + 1 < QUEUE ? head + 1 : 0;
    queue[head].kind = kind;
    queue[head].stamp = stamp;
    queue[head].value = value;
    head = next;
}

ISR(TIMER1_CAPT_vect) {
    uint32_t stamp = clock_stamp(ICR1);
    if (safety_ready()) {
        gate_frame(stamp);
    }
    inputs_push(IN_FRAME_TTL, stamp, (int32_t)frames++);
}

static void lick_changed(uint32_t stamp) {
    if (stamp - t_lick < lick_debounce) {
        return; /* inputs_tick looks again when it has come to rest */
    }
    t_lick = stamp;
    levels_b ^= LICK;
    inputs_push(IN_LICK, stamp, levels_b & LICK ? 1 : 0);
}

void inputs_lick(bool up) {
    analog_level = up ? LICK : 0;
    if ((analog_level ^ levels_b) & LICK) {
        lick_changed(clock_ticks());
    }
}

ISR(PCINT0_vect) {
    uint8_t changed = PINB ^ levels_b;
    uint32_t stamp = clock_ticks();
    if ((changed & LICK) && !lick_analog) {
        lick_changed(stamp);
    }
    if (changed & AUX_1) {
        levels_b ^= AUX_1;
        inputs_push(IN_AUX_1, stamp, levels_b & AUX_1 ? 1 : 0);
    }
    if (changed & AUX_2) {
        levels_b ^= AUX_2;
        inputs_push(IN_AUX_2, stamp, levels_b & AUX_2 ? 1 : 0);
    }
}

void inputs_tick(void) {
    uint32_t now = clock_ticks();
    if (now - t_lick >= 0x80000000) {
        t_lick = now - 0x40000000; /* long ago, however often the stamps turned over since */
    }
    if (((lick_analog ? analog_level : PINB) ^ levels_b) & LICK) {
        lick_changed(now);
    }
}

/* Steps by the phases before (bits 3, 2) and now (1, 0); a jump of two is no step. */
static const int8_t steps[16] PROGMEM = {0, 1, -1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 0, -1, 1, 0};

static inline void wheel_changed(void) {
    uint8_t now = (PIND >> 2) & 3;
    int8_t step = (int8_t)pgm_read_byte(&steps[phase << 2 | now]);
    phase = now;
    if (!step) {
        return;
    }
    position += step;
    t_wheel = clock_ticks();
    if (wheel_each) {
        inputs_push(IN_WHEEL, t_wheel, position);
    }
}

ISR(INT0_vect) { wheel_changed(); }
ISR(INT1_vect, ISR_ALIASOF(INT0_vect));

static void look_at_wheel(void) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        uint32_t now = clock_ticks();
        if (!wheel_each && position != position_told && now - t_wheel_told >= wheel_interval) {
            position_told = position;
            t_wheel_told = now;
            inputs_push(IN_WHEEL, t_wheel, position);
        }
    }
}

void inputs_tell(void) {
    look_at_wheel();
    if (!tell_has_room(EVENT)) {
        return; /* what waits here is kept; what comes may find no place */
    }
    struct change change = {0, 0, 0};
    uint8_t skipped;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        skipped = lost;
        lost = 0;
        if (head != tail) {
            change = queue[tail];
            tail = tail + 1 < QUEUE ? tail + 1 : 0;
        }
    }
    while (skipped--) {
        tell_skipped();
    }
    if (change.kind) {
        struct event event = {change.kind, clock_us_at(change.stamp), change.value};
        TELL(EVENT, event);
    }
}

void inputs_arm(void) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { frames = 0; }
}

void inputs_count(struct counts *now) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        now->frames = frames;
        now->licks = counts[IN_LICK];
        now->photodiode = counts[IN_PHOTODIODE];
        now->aux_1 = counts[IN_AUX_1];
        now->aux_2 = counts[IN_AUX_2];
        now->wheel = position;
        now->unheard = unheard;
    }
}

uint8_t inputs_levels(void) {
    uint8_t b = PINB, d = PIND;
    return (levels_b & LICK ? 1 : 0) | (d & WHEEL_A ? 2 : 0) | (d & WHEEL_B ? 4 : 0) |
           (b & FRAME_TTL ? 8 : 0) | (b & AUX_1 ? 16 : 0) | (b & AUX_2 ? 32 : 0);
}

void inputs_lick_is_analog(bool analog) {
    lick_analog = analog;
    analog_level = 0;
}

void inputs_set_lick_debounce(uint32_t us) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { lick_debounce = us * TICKS_PER_US; }
}

void inputs_set_wheel_interval(uint32_t us) {
    wheel_interval = us * TICKS_PER_US;
    wheel_each = us == 0;
}
