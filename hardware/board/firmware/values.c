#include "values.h"

#include <avr/eeprom.h>
#include <avr/pgmspace.h>
#include <stddef.h>
#include <string.h>

#include "analog.h"
#include "codes.h"
#include "frame.h"
#include "gate.h"
#include "inputs.h"
#include "keep.h"
#include "limits.h"
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
    [LICK_THRESHOLD] = {0, 1023},
};

struct kept_values { uint32_t values[SET_KEYS]; uint16_t crc; } PACKED;

static uint32_t values[SET_KEYS];
static struct kept_values kept;
static bool keeping;
static uint8_t copied;

static void apply(uint8_t key) {
    switch (key) {
    case LICK_DEBOUNCE_US: inputs_set_lick_debounce(values[key]); break;
    case WHEEL_INTERVAL_US: inputs_set_wheel_interval(values[key]); break;
    case LICK_THRESHOLD: analog_set_lick((uint16_t)values[key]); break;
    case SYNC_PERIOD_MS: sync_set((uint16_t)values[key]); break;
    case PHOTODIODE_BLACK:
    case PHOTODIODE_WHITE:
        analog_set_photodiode((uint16_t)values[PHOTODIODE_BLACK],
                              (uint16_t)values[PHOTODIODE_WHITE]);
        break;
    default:
        gate_set_times(values[FRAME_PERIOD_US], (uint16_t)values[GATE_US],
                       (uint16_t)values[LIGHT_START_US], (uint16_t)values[LIGHT_US]);
    }
}

static uint16_t crc_of_kept(void) {
    return frame_crc((const uint8_t *)&kept, offsetof(struct kept_values, crc));
}

/* Whether a value was ever kept: EEPROM comes from the factory full of ones. */
static bool blank(void) {
    const uint8_t *byte = (const uint8_t *)&kept;
    for (uint8_t i = 0; i < sizeof kept; i++) {
        if (byte[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

bool values_start(void) {
    eeprom_read_block(&kept, (const void *)KEEP_VALUES, sizeof kept);
    bool whole = kept.crc == crc_of_kept();
    for (uint8_t key = 1; key < SET_KEYS; key++) {
        bool sound = whole && kept.values[key] <= pgm_read_dword(&bounds[key].most);
        values[key] = sound ? kept.values[key] : pgm_read_dword(&bounds[key].usual);
    }
    for (uint8_t key = 1; key < SET_KEYS; key++) {
        apply(key);
    }
    return whole || blank();
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

void values_keep(void) {
    memcpy(kept.values, values, sizeof values);
    kept.crc = crc_of_kept();
    copied = 0;
    keeping = true;
}

void values_copy_on(void) {
    keeping = keeping && keep_on(&kept, KEEP_VALUES, sizeof kept, &copied);
}
