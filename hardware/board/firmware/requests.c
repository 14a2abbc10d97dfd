#include "requests.h"

#include <avr/pgmspace.h>
#include <stdbool.h>
#include <string.h>
#include <util/atomic.h>

#include "analog.h"
#include "clock.h"
#include "codes.h"
#include "duty.h"
#include "gate.h"
#include "health.h"
#include "inputs.h"
#include "limits.h"
#include "ring.h"
#include "safety.h"
#include "scope.h"
#include "tell.h"
#include "valve.h"
#include "values.h"

#define HEAD_BYTES 2

/* Length of each body, by type; type 0 is none. */
static const uint8_t lengths[] PROGMEM = {
    0, sizeof(struct hello), 0, sizeof(struct reward), 1, 1, 0, 0, sizeof(struct ask_ring), 1,
    sizeof(struct set), 1, 0, sizeof(struct name), 0, 0
};

static uint32_t session;
static uint8_t armed_by; /* sequence number of the ARM before; 0: none */

static enum reason greeting_fault(const struct hello *hello, uint32_t *limit) {
    if (hello->protocol != PROTOCOL_VERSION) {
        *limit = PROTOCOL_VERSION;
        return REASON_VERSION;
    }
    if (!safety_sound()) {
        *limit = 0;
        return REASON_SELF_TEST;
    }
    *limit = HARD_MAX_OPEN_US;
    if (hello->max_open_us < MIN_OPEN_US ||
        (hello->max_open_us > HARD_MAX_OPEN_US && RULE(HARD_LIMIT))) {
        return REASON_OUT_OF_RANGE;
    }
    *limit = MAX_DUTY_PERMILLE;
    if (hello->duty_permille == 0 || hello->duty_permille > MAX_DUTY_PERMILLE) {
        return REASON_OUT_OF_RANGE;
    }
    *limit = MAX_WATCHDOG_MS;
    if (hello->watchdog_ms < MIN_WATCHDOG_MS || hello->watchdog_ms > MAX_WATCHDOG_MS) {
        return REASON_OUT_OF_RANGE;
    }
    return REASON_NONE;
}

static void tell_identity(uint8_t answered) {
    const struct hello *now = &safety_greeting;
    struct identity identity = {
        answered, PROTOCOL_VERSION, session, ring_boot, ring_losses, FIRMWARE_VERSION,
        CAPABILITIES, HARD_MAX_OPEN_US, now->max_open_us, now->duty_permille, now->watchdog_ms,
        RING_SIZE, {0}
    };
    memcpy(identity.name, ring_name, NAME_BYTES);
    TELL(IDENTITY, identity);
}

static void obey_hello(uint8_t sequence, const struct hello *hello) {
    uint32_t limit;
    enum reason reason = greeting_fault(hello, &limit);
    if (reason != REASON_NONE) {
        tell_nack(sequence, HELLO, reason, limit);
        return;
    }
    safety_feed(); /* so that silence cannot end between here and READY */
    if (hello->session != session) {
        armed_by = 0; /* the numbers of another host begin anew: its ARM is none of before */
        if (RULE(NEW_SESSION)) {
            /* whoever spoke before is gone, and what it asked for goes with it */
            ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { safety_fall(REASON_NEW_SESSION); }
        }
    }
    safety_settle();
    session = hello->session;
    safety_leave(hello);
    tell_identity(sequence);
}

static enum reason why_not(const struct reward *reward) {
    if (reward->request_id == 0 || reward->pulses == 0 ||
        (reward->pulses > 1 && reward->gap_us < MIN_GAP_US)) {
        return REASON_OUT_OF_RANGE;
    }
    if (valve_state() != VALVE_IDLE && RULE(BUSY)) {
        return REASON_BUSY;
    }
    if ((reward->width_us < MIN_OPEN_US && RULE(MIN_OPEN)) ||
        (reward->width_us > safety_greeting.max_open_us && RULE(MAX_OPEN))) {
        return REASON_WIDTH;
    }
    if (!duty_allows(reward->width_us, reward->pulses, safety_greeting.duty_permille,
                     clock_us())) {
        return REASON_DUTY;
    }
    return REASON_NONE;
}

static void obey_reward(uint8_t sequence, const struct reward *reward) {
    uint32_t id = reward->request_id;
    if (!safety_ready() && RULE(SAFE_STATE)) {
        tell_nack(sequence, REWARD, REASON_SAFE_STATE, id);
        return;
    }
    if (ring_holds(session, id)) {
        tell_ack(sequence, REWARD, id);
        return;
    }
    enum reason reason = why_not(reward);
    if (reason != REASON_NONE) {
        tell_nack(sequence, REWARD, reason, id);
        return;
    }
    if (RULE(MARK)) {
        ring_begin(session, id);
    }
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        if (safety_ready() || !RULE(SAFE_STATE)) {
            valve_begin(id, reward->width_us, reward->pulses, reward->gap_us);
        } else {
            valve_begin_cut(id);
        }
    }
    ring_opened(valve_opened_us());
    tell_ack(sequence, REWARD, id);
}

static void tell_ring(uint8_t sequence, const struct ask_ring *ask) {
    struct ring_entry entry = {.answered = sequence, .nth = ask->nth};
    ring_look_up(session, ask->request_id, ask->nth, &entry);
    TELL(RING_ENTRY, entry);
}

static void obey_arm(uint8_t sequence, bool start) {
    if (sequence == armed_by) {
        return; /* the same request again: the scope is not triggered twice */
    }
    armed_by = sequence;
    inputs_arm();
    if (start) {
        scope_trigger();
    }
}

/* The patch is black or white now: take what the photodiode sees as that. */
static uint32_t learn(bool white) {
    uint32_t limit, seen = analog_photodiode();
    values_set(white ? PHOTODIODE_WHITE : PHOTODIODE_BLACK, seen, &limit);
    return seen;
}

/* What only a READY board does. Nothing of it lasts into SAFE. */
static void obey_switch(uint8_t type, uint8_t sequence, const uint8_t *body) {
    if (type != SET && type != KEEP && type != NAME && body[0] > 1) {
        tell_nack(sequence, type, REASON_OUT_OF_RANGE, 1);
        return;
    }
    const struct set *set = (const struct set *)body;
    uint32_t limit;
    if (type == SET && !values_set(set->key, set->value, &limit)) {
        tell_nack(sequence, type, REASON_OUT_OF_RANGE, limit);
        return;
    }
    uint32_t told = 0;
    if (type == LEARN) {
        told = learn(body[0]);
    } else if (type == KEEP) {
        values_keep();
    } else if (type == NAME) {
        ring_set_name(((const struct name *)body)->name);
    }
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        if (!safety_ready()) {
            /* silence ended while this was read: all is low and stays so */
        } else if (type == SET_LIGHT) {
            gate_allow_light(body[0]);
        } else if (type == SET_GATE) {
            gate_enable(body[0]);
        } else if (type == ARM) {
            obey_arm(sequence, body[0]);
        }
    }
    tell_ack(sequence, type, told);
}

void requests_obey(const uint8_t *payload, uint8_t n, uint32_t stamp) {
    uint8_t type = payload[0];
    uint8_t sequence = n > 1 ? payload[1] : 0;
    const uint8_t *body = payload + HEAD_BYTES;
    if (type == 0 || type >= sizeof lengths) {
        tell_nack(sequence, type, REASON_UNKNOWN_TYPE, 0);
        return;
    }
    if (n != HEAD_BYTES + pgm_read_byte(&lengths[type])) {
        tell_nack(sequence, type, REASON_LENGTH, 0);
        return;
    }
    safety_settle();
    if (!RULE(FEED)) {
        safety_feed();
    }
    switch (type) {
    case HELLO: obey_hello(sequence, (const struct hello *)body); break;
    case KEEP_ALIVE:
        safety_feed();
        safety_settle();
        if (!RULE(HELLO_ALONE)) {
            safety_leave(&safety_greeting);
        }
        safety_tell_status(sequence);
        break;
    case REWARD: obey_reward(sequence, (const struct reward *)body); break;
    case SAFE:
        ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { safety_fall(REASON_HOST_ASKED); }
        safety_settle();
        tell_ack(sequence, type, 0);
        break;
    case CLOCK: {
        struct clock_time time = {sequence, clock_us_at(stamp)};
        TELL(CLOCK_TIME, time);
        break;
    }
    case RING: tell_ring(sequence, (const struct ask_ring *)body); break;
    case COUNT: {
        struct counts counts = {.answered = sequence};
        inputs_count(&counts);
        TELL(COUNTS, counts);
        break;
    }
    case SELF_TEST: health_tell(sequence); break;
    default:
        if (safety_ready()) {
            obey_switch(type, sequence, body);
        } else {
            tell_nack(sequence, type, REASON_SAFE_STATE, 0);
        }
    }
}
