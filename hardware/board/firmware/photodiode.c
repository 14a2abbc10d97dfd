#include "photodiode.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <stdbool.h>
#include <util/atomic.h>

#include "clock.h"
#include "codes.h"
#include "inputs.h"

static volatile uint16_t low, high; /* thresholds: a third and two thirds of the way */
static volatile bool inverted;      /* white gives the lower value */
static volatile bool above;

void photodiode_start(void) {
    ADMUX = _BV(REFS0); /* channel 0 against the supply */
    DIDR0 = _BV(ADC0D);
    ADCSRB = 0;
    /* free running: one value in 13 x 128 cycles, 104 us */
    ADCSRA = _BV(ADEN) | _BV(ADSC) | _BV(ADATE) | _BV(ADIE) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0);
}

void photodiode_set(uint16_t black, uint16_t white) {
    uint16_t least = black < white ? black : white;
    uint16_t third = (black < white ? white - black : black - white) / 3;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        low = least + third;
        high = least + 2 * third;
        inverted = white < black;
    }
}

ISR(ADC_vect) {
    uint16_t value = ADC;
    if (above ? value >= low : value <= high) {
        return;
    }
    above = !above;
    inputs_push(IN_PHOTODIODE, clock_ticks(), above != inverted);
}
