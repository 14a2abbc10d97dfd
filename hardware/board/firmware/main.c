/* Firmware of the board: valve, light, PMT gate, scope trigger, sync line, inputs.
 *
 * Whatever must happen on time happens in interrupts: the edges of the valve, the gate and the
 * light, the host's silence, the stamps of the inputs. The main loop talks to the host and writes
 * the EEPROM; if it hangs, the hardware watchdog resets the chip, and all outputs are low.
 */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "analog.h"
#include "clock.h"
#include "frame.h"
#include "health.h"
#include "inputs.h"
#include "limits.h"
#include "pins.h"
#include "requests.h"
#include "ring.h"
#include "safety.h"
#include "sync.h"
#include "uart.h"
#include "values.h"

#define HANG WDTO_120MS
#define TICK_STEPS 250 /* of 4 us: 1 ms */

/* Before variables are set up: all outputs low. */
void outputs_low(void) __attribute__((naked, used, section(".init3")));
void outputs_low(void) {
    PORTB = 0;
    PORTD = 0;
    DDRB = OUTPUTS_B;
    DDRD = OUTPUTS_D;
    reset_cause = MCUSR;
    MCUSR = 0;
    if (RULE(HANG)) {
        wdt_enable(HANG);
    } else {
        wdt_disable();
    }
    clock_start(); /* so that time 0 is the reset */
}

/* An interrupt that nobody asked for: the program is not to be trusted any more. */
ISR(BADISR_vect) {
    if (!RULE(STRAY)) {
        return;
    }
    PORTB = 0;
    PORTD = 0;
    for (;;) {
    }
}

ISR(TIMER2_COMPA_vect) {
    safety_tick();
    inputs_tick();
    sync_tick();
}

static void tick_start(void) {
    TCCR2A = _BV(WGM21);
    TCCR2B = _BV(CS22);
    OCR2A = TICK_STEPS - 1;
    TIMSK2 = _BV(OCIE2A);
}

static void listen(void) {
    uint8_t byte;
    while (uart_take(&byte)) {
        uint32_t stamp = byte == 0 ? uart_stamp() : 0;
        uint8_t n = frame_take(byte);
        if (n) {
            requests_obey(frame_payload, n, stamp);
        }
        wdt_reset();
    }
}

int main(void) {
    safety_start();
    ring_start();
    if (!values_start()) {
        safety_faults |= FAULT_VALUES;
    }
    inputs_start();
    analog_start();
    tick_start();
    uart_start();
    set_sleep_mode(SLEEP_MODE_IDLE);
    sei();
    safety_tell_status(0);
    for (;;) {
        wdt_reset();
        listen();
        safety_settle();
        inputs_tell();
        ring_copy_on();
        values_copy_on();
        sleep_mode(); /* until the next interrupt, which is 0.1 ms away at most */
    }
}
