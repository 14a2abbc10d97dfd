#include "safety.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

#include "clock.h"
#include "duty.h"
#include "frame.h"
#include "gate.h"
#include "limits.h"
#include "pins.h"
#include "ring.h"
#include "tell.h"
#include "valve.h"

/* The first byte past all variables. The stack comes down to meet it, and may not reach it. */
extern uint8_t __heap_start;
#define stack_mark (*(volatile uint8_t *)&__heap_start)
#define MARK 0xC5
#define UNUSABLE (FAULT_OUTPUTS | FAULT_STACK)

struct hello safety_greeting;
uint8_t safety_faults;

static volatile bool ready, fell;
static volatile enum reason reason = REASON_RESET;
static volatile uint16_t silent_ms, watchdog_ms;

bool safety_ready(void) { return ready; }
bool safety_sound(void) { return !(safety_faults & UNUSABLE); }

void safety_feed(void) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { silent_ms = 0; }
}

void safety_leave(const struct hello *greeting) {
    safety_greeting = *greeting;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        watchdog_ms = greeting->watchdog_ms;
        silent_ms = 0;
        reason = REASON_NONE;
        ready = true;
    }
}

void safety_fall(enum reason why) {
    valve_cut();
    if (RULE(FALL)) {
        gate_off();
    }
    lower_d(SCOPE);
    lower_d(SYNC);
    if (ready) {
        ready = false;
        reason = why;
        fell = true;
    }
}

void safety_tick(void) {
    if (valve_tick()) {
        safety_fall(REASON_SELF_TEST);
    }
    if (ready && ++silent_ms >= watchdog_ms && RULE(WATCHDOG)) {
        safety_fall(REASON_HOST_SILENT);
    }
}

static void settle_reward(void) {
    uint32_t request_id = valve_request_id;
    enum valve_state state = valve_state();
    if (state != VALVE_OVER && state != VALVE_CUT) {
        return;
    }
    struct valve_end end = valve_take_end();
    duty_book(end.opened_us, clock_us());
    ring_end(end.whole ? RING_DONE : RING_INTERRUPTED, end.opened_us, end.t_close_us);
    if (end.whole) {
        struct done done = {request_id, end.opened_us, end.t_open_us, end.t_close_us};
        TELL(DONE, done);
    } else {
        struct cut cut = {request_id, reason, end.opened_us, end.t_close_us};
        TELL(CUT, cut);
    }
}

void safety_start(void) {
    stack_mark = MARK;
    safety_faults = (PINB & OUTPUTS_B) || (PIND & OUTPUTS_D) ? FAULT_OUTPUTS : 0;
}

static void look_at_stack(void) {
    if (stack_mark == MARK || !RULE(STACK)) {
        return;
    }
    safety_faults |= FAULT_STACK;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { safety_fall(REASON_SELF_TEST); }
}

void safety_settle(void) {
    look_at_stack();
    bool to_tell = fell; /* looked at first: what it cut is told before it */
    settle_reward();
    if (to_tell) {
        fell = false;
        safety_tell_status(0);
    }
}

static uint8_t levels(void) {
    return (PORTB & VALVE ? 1 : 0) | (PORTD & LIGHT ? 2 : 0) | (PORTD & GATE ? 4 : 0) |
           (PORTD & SCOPE ? 8 : 0) | (PORTD & SYNC ? 16 : 0);
}

void safety_tell_status(uint8_t answered) {
    enum reason why = safety_sound() ? reason : REASON_SELF_TEST;
    struct status status = {answered, ready, why, levels(), frame_bad, clock_us()};
    TELL(STATUS, status);
}
