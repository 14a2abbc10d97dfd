/* Numbers and layouts of the protocol: docs/board-protocol.md. Little-endian, as this chip is. */
#ifndef CODES_H
#define CODES_H

#include <stdint.h>

#define PROTOCOL_VERSION 1
#define FIRMWARE_VERSION 0x0101
#define NAME_BYTES 12

enum request {
    HELLO = 0x01, KEEP_ALIVE, REWARD, SET_LIGHT, SET_GATE, SAFE, CLOCK, RING, ARM, SET, LEARN, KEEP, NAME,
    COUNT, SELF_TEST
};
enum answer {
    IDENTITY = 0x81, ACK, NACK, DONE, CUT, EVENT, STATUS, RING_ENTRY, CLOCK_TIME, COUNTS,
    HEALTH
};
enum reason {
    REASON_NONE, REASON_RESET, REASON_HOST_SILENT, REASON_HOST_ASKED, REASON_NEW_SESSION,
    REASON_SAFE_STATE, REASON_BUSY, REASON_WIDTH, REASON_DUTY, REASON_UNKNOWN_TYPE,
    REASON_LENGTH, REASON_OUT_OF_RANGE, REASON_VERSION, REASON_SELF_TEST
};
enum ring_state { RING_ABSENT, RING_RUNNING, RING_DONE, RING_INTERRUPTED };
enum input { IN_LICK = 1, IN_WHEEL, IN_FRAME_TTL, IN_PHOTODIODE, IN_SYNC, IN_AUX_1, IN_AUX_2 };
/* bits of health.faults: what was not as it must be */
enum fault { FAULT_OUTPUTS = 1, FAULT_STACK = 2, FAULT_SUPPLY = 4, FAULT_VALUES = 8 };
enum set_key {
    LICK_DEBOUNCE_US = 1, FRAME_PERIOD_US, GATE_US, LIGHT_START_US, LIGHT_US,
    WHEEL_INTERVAL_US, PHOTODIODE_BLACK, PHOTODIODE_WHITE, SYNC_PERIOD_MS,
    LICK_THRESHOLD, SET_KEYS
};

/* bits: valve, light, gate, lick, wheel, frame TTL, photodiode, scope, sync, spare inputs */
#define CAPABILITIES 0x03FF

#define PACKED __attribute__((packed))

struct hello {
    uint8_t protocol; uint32_t session; uint32_t max_open_us; uint16_t duty_permille;
    uint16_t watchdog_ms;
} PACKED;
struct reward { uint32_t request_id; uint32_t width_us; uint8_t pulses; uint32_t gap_us; } PACKED;
struct ask_ring { uint32_t request_id; uint8_t nth; } PACKED;
struct set { uint8_t key; uint32_t value; } PACKED;
struct name { char name[NAME_BYTES]; } PACKED;

struct identity {
    uint8_t answered, protocol; uint32_t session, boot; uint16_t losses, firmware, capabilities;
    uint32_t hard_max_open_us, max_open_us; uint16_t duty_permille, watchdog_ms;
    uint8_t ring_size; char name[NAME_BYTES];
} PACKED;
struct ack { uint8_t answered, request_type; uint32_t argument; } PACKED;
struct nack { uint8_t answered, request_type, reason; uint32_t argument; } PACKED;
struct done { uint32_t request_id, opened_us; uint64_t t_open_us, t_close_us; } PACKED;
struct cut { uint32_t request_id; uint8_t reason; uint32_t opened_us; uint64_t t_us; } PACKED;
struct event { uint8_t kind; uint64_t t_us; int32_t value; } PACKED;
struct status {
    uint8_t answered, state, reason, outputs; uint16_t bad_frames; uint64_t t_us;
} PACKED;
struct ring_entry {
    uint8_t answered, nth; uint32_t session, request_id; uint8_t state; uint32_t opened_us;
    uint64_t t_open_us, t_close_us;
} PACKED;
struct clock_time { uint8_t answered; uint64_t t_us; } PACKED;
struct counts {
    uint8_t answered; uint32_t frames, licks, photodiode, aux_1, aux_2; int32_t wheel;
    uint32_t unheard;
} PACKED;
struct health {
    uint8_t answered, faults, reset_cause, inputs; uint16_t supply_mv, photodiode, lick;
} PACKED;

#endif
