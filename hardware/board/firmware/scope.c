#include "scope.h"

#include <avr/interrupt.h>

#include "pins.h"

#define PULSE_STEPS 250 /* of 4 us */

void scope_trigger(void) {
    raise_d(SCOPE);
    TCCR0A = 0;
    TCNT0 = 0;
    OCR0A = PULSE_STEPS - 1;
    TIFR0 = _BV(OCF0A);
    TIMSK0 = _BV(OCIE0A);
    TCCR0B = _BV(CS01) | _BV(CS00);
}

ISR(TIMER0_COMPA_vect) {
    lower_d(SCOPE);
    TCCR0B = 0;
    TIMSK0 = 0;
}
