#include "ring.h"

#include <avr/eeprom.h>
#include <stddef.h>
#include <string.h>

#include "frame.h"
#include "keep.h"
#include "limits.h"

#ifndef BOARD_NAME
#define BOARD_NAME "bci-board"
#endif

struct kept {
    uint32_t session, request_id, opened_us;
    uint8_t state;
    uint8_t order; /* up by one with each reward, to tell the newest after a loss of power */
    uint16_t crc;
} PACKED;

struct head { uint32_t boot; uint16_t losses; uint16_t crc; } PACKED;

#define EE_HEAD ((void *)KEEP_HEAD)
#define EE_NAME ((void *)KEEP_NAME)

uint32_t ring_boot;
uint16_t ring_losses;
char ring_name[NAME_BYTES];

static struct kept ring[RING_SIZE] __attribute__((section(".noinit")));
static uint64_t t_open[RING_SIZE], t_close[RING_SIZE]; /* us; they live as long as the boot */
static uint8_t newest;
static uint16_t to_copy; /* a bit for each place that differs from the EEPROM */
static uint8_t copied;   /* bytes of the lowest such place */
static bool naming;      /* the name differs from the EEPROM */
static uint8_t named;

static uint16_t crc_of(const struct kept *entry) {
    return frame_crc((const uint8_t *)entry, offsetof(struct kept, crc));
}

static void seal(uint8_t place) {
    ring[place].crc = crc_of(&ring[place]);
    to_copy |= (uint16_t)1 << place;
    copied = 0;
}

static bool whole(const struct kept *entry) { return entry->crc == crc_of(entry); }

static bool survived(void) {
    for (uint8_t i = 0; i < RING_SIZE; i++) {
        if (!whole(&ring[i])) {
            return false;
        }
    }
    return true;
}

static void fetch(void) {
    eeprom_read_block(ring, (void *)KEEP_RING, sizeof ring);
    for (uint8_t i = 0; i < RING_SIZE; i++) {
        if (!whole(&ring[i])) {
            memset(&ring[i], 0, sizeof ring[i]);
            seal(i);
        }
    }
}

static void find_newest(void) {
    bool any = false;
    for (uint8_t i = 0; i < RING_SIZE; i++) {
        if (ring[i].state == RING_ABSENT) {
            continue;
        }
        if (!any || (int8_t)(ring[i].order - ring[newest].order) > 0) {
            newest = i;
        }
        any = true;
    }
}

static void count_boot(bool lost) {
    struct head head;
    eeprom_read_block(&head, EE_HEAD, sizeof head);
    if (head.crc != frame_crc((uint8_t *)&head, offsetof(struct head, crc))) {
        memset(&head, 0, sizeof head);
        lost = true;
    }
    head.boot++;
    head.losses += lost;
    head.crc = frame_crc((uint8_t *)&head, offsetof(struct head, crc));
    /* before anything is answered, so that no loss is told twice under one number */
    eeprom_update_block(&head, EE_HEAD, sizeof head);
    ring_boot = head.boot;
    ring_losses = head.losses;
}

void ring_start(void) {
    bool lost = !survived();
    if (lost) {
        fetch();
    }
    count_boot(lost);
    find_newest();
    for (uint8_t i = 0; i < RING_SIZE; i++) {
        if (ring[i].state == RING_RUNNING) {
            ring[i].state = RING_INTERRUPTED;
            seal(i);
        }
    }
    eeprom_read_block(ring_name, EE_NAME, NAME_BYTES);
    if ((uint8_t)ring_name[0] == 0xFF) {
        strncpy(ring_name, BOARD_NAME, NAME_BYTES);
    }
}

/* Place of a request, or RING_SIZE. */
static uint8_t place_of(uint32_t session, uint32_t request_id) {
    for (uint8_t i = 0; i < RING_SIZE; i++) {
        if (ring[i].state != RING_ABSENT && ring[i].request_id == request_id &&
            ring[i].session == session) {
            return i;
        }
    }
    return RING_SIZE;
}

bool ring_holds(uint32_t session, uint32_t request_id) {
    return RULE(ONCE) && place_of(session, request_id) < RING_SIZE;
}

void ring_begin(uint32_t session, uint32_t request_id) {
    uint8_t order = ring[newest].order + 1;
    newest = (newest + 1) % RING_SIZE;
    ring[newest] = (struct kept){session, request_id, 0, RING_RUNNING, order, 0};
    t_open[newest] = t_close[newest] = 0;
    seal(newest);
}

void ring_opened(uint64_t t_us) { t_open[newest] = t_us; }

void ring_end(enum ring_state state, uint32_t opened_us, uint64_t t_close_us) {
    ring[newest].state = state;
    ring[newest].opened_us = opened_us;
    t_close[newest] = t_close_us;
    seal(newest);
}

void ring_look_up(uint32_t session, uint32_t request_id, uint8_t nth, struct ring_entry *answer) {
    uint8_t place = RING_SIZE;
    if (request_id) {
        place = place_of(session, request_id);
    } else if (nth < RING_SIZE) {
        place = (newest + RING_SIZE - nth) % RING_SIZE;
    }
    answer->session = session;
    answer->request_id = request_id;
    if (place == RING_SIZE || ring[place].state == RING_ABSENT) {
        return;
    }
    answer->session = ring[place].session;
    answer->request_id = ring[place].request_id;
    answer->state = ring[place].state;
    answer->opened_us = ring[place].opened_us;
    answer->t_open_us = t_open[place];
    answer->t_close_us = t_close[place];
}

void ring_set_name(const char *name) {
    memcpy(ring_name, name, NAME_BYTES);
    named = 0;
    naming = true;
}

void ring_copy_on(void) {
    naming = naming && keep_on(ring_name, KEEP_NAME, NAME_BYTES, &named);
    if (!to_copy) {
        return;
    }
    uint8_t place = 0;
    while (!(to_copy >> place & 1)) {
        place++;
    }
    uint16_t to = KEEP_RING + place * sizeof(struct kept);
    if (!keep_on(&ring[place], to, sizeof(struct kept), &copied)) {
        to_copy &= ~((uint16_t)1 << place);
        copied = 0;
    }
}
