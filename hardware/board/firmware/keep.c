#include "keep.h"

#include <avr/eeprom.h>

bool keep_on(const void *from, uint16_t to, uint8_t n, uint8_t *copied) {
    if (!eeprom_is_ready()) {
        return true;
    }
    const uint8_t *bytes = from;
    while (*copied < n) {
        uint8_t i = (*copied)++;
        if (eeprom_read_byte((const uint8_t *)(to + i)) != bytes[i]) {
            eeprom_write_byte((uint8_t *)(to + i), bytes[i]);
            return true;
        }
    }
    return false;
}
