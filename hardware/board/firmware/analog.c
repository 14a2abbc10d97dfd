#include "analog.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <stdbool.h>
#include <util/atomic.h>

#include "clock.h"
#include "codes.h"
#include "inputs.h"

/* Channels of the converter. One value takes 13 x 128 cycles, 104 us. */
#define PHOTODIODE_AT 0
#define LICK_AT 1
#define BANDGAP_AT 14
#define BANDGAP_MV 1100UL
#define SETTLING 8 /* values until the bandgap is true */
#define MEAN_LOG2 6

#define CONVERTER (_BV(ADEN) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0))

struct threshold { uint16_t low, high; bool above; };

static volatile struct threshold photodiode, lick;
static volatile bool inverted; /* white gives the lower value */
static volatile bool lick_on;
static volatile uint8_t channel;
static volatile uint16_t mean, lick_value;

static void begin(uint8_t next) {
    channel = next;
    ADMUX = _BV(REFS0) | next; /* against the supply */
    ADCSRA |= _BV(ADSC);
}

void analog_start(void) {
    DIDR0 = _BV(ADC0D) | _BV(ADC1D);
    ADCSRB = 0;
    ADCSRA = CONVERTER | _BV(ADIE);
    begin(PHOTODIODE_AT);
}

void analog_set_photodiode(uint16_t black, uint16_t white) {
    uint16_t least = black < white ? black : white;
    uint16_t third = (black < white ? white - black : black - white) / 3;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        photodiode.low = least + third;
        photodiode.high = least + 2 * third;
        inverted = white < black;
    }
}

void analog_set_lick(uint16_t threshold) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        lick.low = threshold - threshold / 8;
        lick.high = threshold - 1;
        lick.above = false;
        lick_on = threshold != 0;
        lick_value = 0;
        inputs_lick_is_analog(lick_on);
    }
}

/* Between low and high nothing changes, so that noise does not. */
static bool crossed(volatile struct threshold *at, uint16_t value) {
    if (at->above ? value >= at->low : value <= at->high) {
        return false;
    }
    at->above = !at->above;
    return true;
}

static void average(uint16_t value) {
    static uint16_t sum;
    static uint8_t n;
    sum += value; /* 64 values of 10 bits are 16 bits */
    if (++n == 1 << MEAN_LOG2) {
        mean = sum >> MEAN_LOG2;
        sum = 0;
        n = 0;
    }
}

ISR(ADC_vect) {
    uint16_t value = ADC;
    uint8_t measured = channel;
    begin(measured == PHOTODIODE_AT && lick_on ? LICK_AT : PHOTODIODE_AT);
    if (measured == PHOTODIODE_AT) {
        average(value);
        if (crossed(&photodiode, value)) {
            inputs_push(IN_PHOTODIODE, clock_ticks(), photodiode.above != inverted);
        }
    } else if (measured == LICK_AT && lick_on) {
        lick_value = value;
        if (crossed(&lick, value)) {
            inputs_lick(lick.above);
        }
    }
}

uint16_t analog_photodiode(void) {
    uint16_t value;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { value = mean; }
    return value;
}

uint16_t analog_lick(void) {
    uint16_t value;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { value = lick_value; }
    return value;
}

static uint16_t convert(uint8_t at) {
    begin(at);
    while (ADCSRA & _BV(ADSC)) {
    }
    return ADC;
}

uint16_t analog_supply_mv(void) {
    ADCSRA = CONVERTER;
    while (ADCSRA & _BV(ADSC)) {
    }
    uint16_t value = 0;
    for (uint8_t i = 0; i < SETTLING; i++) {
        value = convert(BANDGAP_AT);
    }
    /* the interrupt that comes of the last value finds a channel that it does not know */
    ADCSRA = CONVERTER | _BV(ADIE);
    if (!(ADCSRA & _BV(ADIF))) {
        begin(BANDGAP_AT);
    }
    return value ? (uint16_t)(BANDGAP_MV * 1024 / value) : 0;
}
