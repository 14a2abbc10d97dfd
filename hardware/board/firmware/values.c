#include "values.h"

#include <avr/pgmspace.h>

#include "codes.h"
#include "gate.h"
#include "inputs.h"
#include "limits.h"
#include "photodiode.h"
#include "sync.h"

struct bounds { uint32_t usual, most; };

static const struct bounds bounds[SET_KEYS] PROGMEM = {
    [LICK_DEBOUNCE_US] = {2000, 1000000},
    [FRAME_PERIOD_US] = {32342, 10000000},
    [GATE_US] = {7000, HARD_MAX_GATE_US},
    [LIGHT_START_US] = {500, HARD_MAX_GATE_US},
    [LIGHT_US] = {6000, HARD_MAX_GATE_US},
    [WHEEL_INTERVAL_US] = {10000, 10000000},
    [PHOTODIODE_BLACK] = {200, 1023},
    [PHOTODIODE_WHITE] = {800, 1023},
    [SYNC_PERIOD_MS] = {0, 60000},
};

static uint32_t values[SET_KEYS];

static void apply(uint8_t key) {
    switch (key) {
    case LICK_DEBOUNCE_US: inputs_set_lick_debounce(values[key]); break;
    case WHEEL_INTERVAL_US: inputs_set_wheel_interval(values[key]); break;
    case SYNC_PERIOD_MS: sync_set((uint16_t)values[key]); break;
    case PHOTODIODE_BLACK:
    case PHOTODIODE_WHITE:
        photodiode_set((uint16_t)values[PHOTODIODE_BLACK], (uint16_t)values[PHOTODIODE_WHITE]);
        break;
    default:
        gate_set_times(values[FRAME_PERIOD_US], (uint16_t)values[GATE_US],
                       (uint16_t)values[LIGHT_START_US], (uint16_t)values[LIGHT_US]);
    }
}

void values_start(void) {
    for (uint8_t key = 1; key < SET_KEYS; key++) {
        values[key] = pgm_read_dword(&bounds[key].usual);
    }
    for (uint8_t key = 1; key < SET_KEYS; key++) {
        apply(key);
    }
}

bool values_set(uint8_t key, uint32_t value, uint32_t *limit) {
    *limit = key;
    if (key == 0 || key >= SET_KEYS) {
        return false;
    }
    *limit = pgm_read_dword(&bounds[key].most);
    if (value > *limit) {
        return false;
    }
    values[key] = value;
    apply(key);
    return true;
}
