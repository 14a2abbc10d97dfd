#include "duty.h"

#include "limits.h"

#define SLOT_US 500000UL
#define SLOTS (DUTY_WINDOW_US / SLOT_US + 1)

static uint32_t slots[SLOTS]; /* us open, of openings that ended in it */
static uint8_t now;
static uint32_t newest; /* number of the slot of now */

static void turn_to(uint64_t t_us) {
    uint32_t slot = (uint32_t)(t_us / SLOT_US);
    for (uint8_t i = 0; i < SLOTS && newest != slot; i++) {
        newest++;
        now = (uint8_t)(now + 1) < SLOTS ? now + 1 : 0;
        slots[now] = 0;
    }
    newest = slot;
}

bool duty_allows(uint32_t width_us, uint8_t pulses, uint16_t permille, uint64_t t_us) {
    if (!RULE(DUTY)) {
        return true;
    }
    turn_to(t_us);
    uint32_t sum = width_us * pulses; /* at most 255 s */
    for (uint8_t i = 0; i < SLOTS; i++) {
        sum += slots[i];
    }
    return sum <= permille * (DUTY_WINDOW_US / 1000);
}

void duty_book(uint32_t open_us, uint64_t t_us) {
    turn_to(t_us);
    slots[now] += open_us;
}
