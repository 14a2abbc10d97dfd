#include "health.h"

#include "analog.h"
#include "codes.h"
#include "inputs.h"
#include "limits.h"
#include "safety.h"
#include "tell.h"

uint8_t reset_cause __attribute__((section(".noinit")));

void health_tell(uint8_t answered) {
    uint16_t supply_mv = analog_supply_mv();
    bool sound = supply_mv >= MIN_SUPPLY_MV && supply_mv <= MAX_SUPPLY_MV;
    struct health health = {
        answered, safety_faults | (sound ? 0 : FAULT_SUPPLY), reset_cause, inputs_levels(),
        supply_mv, analog_photodiode(), analog_lick()
    };
    TELL(HEALTH, health);
}
