#include "tell.h"

#include <string.h>

#include "frame.h"
#include "uart.h"

static uint8_t sequence;

void tell_skipped(void) { sequence = sequence == 0xFF ? 1 : sequence + 1; }

bool tell_has_room(enum answer type) {
    uint8_t reserve = type == EVENT ? 3 * MAX_FRAME : type == STATUS ? MAX_FRAME : 0;
    return uart_room() >= reserve;
}

void tell(enum answer type, const void *body, uint8_t n) {
    uint8_t payload[MAX_PAYLOAD + CRC_BYTES], frame[MAX_FRAME];
    tell_skipped();
    if (!tell_has_room(type)) {
        return;
    }
    payload[0] = type;
    payload[1] = sequence;
    memcpy(payload + 2, body, n);
    uint8_t length = frame_encode(payload, n + 2, frame);
    /* 4.4 ms at most on a line that carries; on one that does not the watchdog ends it */
    while (uart_room() < length) {
    }
    uart_put(frame, length);
}

void tell_ack(uint8_t answered, uint8_t request, uint32_t argument) {
    struct ack ack = {answered, request, argument};
    TELL(ACK, ack);
}

void tell_nack(uint8_t answered, uint8_t request, enum reason reason, uint32_t argument) {
    struct nack nack = {answered, request, reason, argument};
    TELL(NACK, nack);
}
