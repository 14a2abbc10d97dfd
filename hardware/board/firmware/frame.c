#include "frame.h"

#include <stdbool.h>
#include <util/crc16.h>

#include "limits.h"

uint16_t frame_bad;
uint8_t frame_payload[MAX_ENCODED];
static uint8_t held;
static bool overlong;

uint16_t frame_crc(const uint8_t *bytes, uint8_t n) {
    uint16_t crc = 0xFFFF;
    while (n--) {
        crc = _crc_xmodem_update(crc, *bytes++);
    }
    return crc;
}

/* COBS undone in place: what is written never overtakes what is read. Returns the length, or 0. */
static uint8_t decode(uint8_t *bytes, uint8_t n) {
    uint8_t from = 0, to = 0;
    while (from < n) {
        uint8_t distance = bytes[from++];
        if (distance == 0 || from + distance - 1 > n) {
            return 0;
        }
        for (uint8_t i = 1; i < distance; i++) {
            bytes[to++] = bytes[from++];
        }
        if (from < n && distance != 0xFF) {
            bytes[to++] = 0;
        }
    }
    return to;
}

static uint8_t checked(void) {
    uint8_t n = overlong ? 0 : decode(frame_payload, held);
    if (n <= CRC_BYTES) {
        return 0;
    }
    n -= CRC_BYTES;
    uint16_t told = frame_payload[n] | (uint16_t)frame_payload[n + 1] << 8;
    if (told != frame_crc(frame_payload, n) && RULE(CRC)) {
        return 0;
    }
    return n;
}

uint8_t frame_take(uint8_t byte) {
    if (byte != 0) {
        if (held == MAX_ENCODED) {
            overlong = true;
        } else {
            frame_payload[held++] = byte;
        }
        return 0;
    }
    uint8_t n = 0;
    if (held != 0) {
        n = checked();
        frame_bad += n == 0;
    }
    held = 0;
    overlong = false;
    return n;
}

uint8_t frame_encode(uint8_t *payload, uint8_t n, uint8_t frame[MAX_FRAME]) {
    uint16_t crc = frame_crc(payload, n);
    payload[n++] = (uint8_t)crc;
    payload[n++] = (uint8_t)(crc >> 8);
    uint8_t to = 1, mark = 0;
    for (uint8_t i = 0; i < n; i++) {
        if (payload[i] == 0) {
            frame[mark] = to - mark;
            mark = to++;
        } else {
            frame[to++] = payload[i];
        }
    }
    frame[mark] = to - mark;
    frame[to++] = 0;
    return to;
}
