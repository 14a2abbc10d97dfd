#include "faults.h"

#include <string.h>

#define ACK 0x82
#define FLIP 0x55

static size_t spoil(const struct faults *faults, uint8_t *bytes, size_t n, unsigned *count) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        ++*count;
        if (faults->lose_byte_every && *count % faults->lose_byte_every == 0) {
            continue;
        }
        bool flip = faults->corrupt_byte_every && *count % faults->corrupt_byte_every == 0;
        bytes[left++] = flip ? bytes[i] ^ FLIP : bytes[i];
    }
    return left;
}

size_t faults_outbound(const struct faults *faults, const uint8_t *frame, size_t n, uint8_t *out) {
    static unsigned frames, sent;
    /* the first byte is of COBS; the type, never zero, comes next */
    if (faults->no_ack && n > 1 && frame[1] == ACK) {
        return 0;
    }
    memcpy(out, frame, n);
    frames++;
    if (faults->duplicate_frame_every && frames % faults->duplicate_frame_every == 0) {
        memcpy(out + n, frame, n);
        n *= 2;
    }
    return spoil(faults, out, n, &sent);
}

size_t faults_inbound(const struct faults *faults, uint8_t *bytes, size_t n) {
    static unsigned received;
    return faults->both_ways ? spoil(faults, bytes, n, &received) : n;
}
