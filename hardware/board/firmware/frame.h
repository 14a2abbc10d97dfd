/* Frames of the line: COBS around payload and CRC-16, ended by a zero byte. */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

#define MAX_PAYLOAD 48
#define CRC_BYTES 2
#define MAX_ENCODED (MAX_PAYLOAD + CRC_BYTES + 1)
#define MAX_FRAME (MAX_ENCODED + 1)

/* Stretches dropped since reset, modulo 65536. */
extern uint16_t frame_bad;

uint16_t frame_crc(const uint8_t *bytes, uint8_t n);

/* Take one byte from the line. Returns the length of the payload that it completes, which then
 * stands in frame_payload until the next call, or 0. */
uint8_t frame_take(uint8_t byte);
extern uint8_t frame_payload[MAX_ENCODED];

/* Make a frame of n <= MAX_PAYLOAD bytes, which have room for the CRC behind them. Returns its
 * length, end included. */
uint8_t frame_encode(uint8_t *payload, uint8_t n, uint8_t frame[MAX_FRAME]);

#endif
