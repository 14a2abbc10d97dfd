#include "chip.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_adc.h>
#include <simavr/avr_eeprom.h>
#include <simavr/avr_extint.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#include "symbols.h"

#define EEPROM_BYTES 1024
#define SUPPLY_MV 5000

struct output { const char *name; char port; uint8_t bit; int level; };
struct input { const char *name; char port; uint8_t bit; };

/* In the order in which they go down where all go at once. */
static struct output outputs[] = {
    {"valve", 'B', 1, 0}, {"light", 'D', 4, 0}, {"gate", 'D', 5, 0}, {"scope", 'D', 6, 0},
    {"sync", 'D', 7, 0},
};
#define OUTPUTS (sizeof outputs / sizeof *outputs)

static const struct input inputs[] = {
    {"frame_ttl", 'B', 0}, {"lick", 'B', 2}, {"aux_1", 'B', 3}, {"aux_2", 'B', 4},
    {"wheel_a", 'D', 2}, {"wheel_b", 'D', 3},
};
#define INPUTS (sizeof inputs / sizeof *inputs)
/* By their channels of the converter; driven in mV. */
static const char *const measured[] = {"photodiode", "lick_analog"};
#define MEASURED (sizeof measured / sizeof *measured)

#define IN_B 0x1D
#define IN_D 0x0C

static avr_t *avr;
static const char *elf;
static avr_irq_t *uart_in;
static FILE *edges;
static uint64_t before_reset; /* cycles of the lives before this one */
static avr_cycle_count_t reached;
static uint32_t request_id_address;
static uint8_t *kept; /* the EEPROM file */
static bool jam;
static unsigned openings;
static uint8_t driven_b, driven_d;
static void (*take_byte)(uint8_t byte);

static void fail(const char *what, const char *path) {
    fprintf(stderr, "chip bench: %s: %s\n", what, path);
    exit(2);
}

static int64_t ns_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t chip_cycle(void) { return before_reset + avr->cycle; }

static uint32_t request_id(void) {
    const uint8_t *at = avr->data + request_id_address;
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_edge(struct output *output, int level) {
    if (output->level == level) {
        return;
    }
    output->level = level;
    openings += output == outputs && level;
    uint64_t cycle = chip_cycle();
    fprintf(edges,
            "{\"t_wall_ns\": %lld, \"t_perf_ns\": %lld, \"t_device_us\": %llu, \"pin\": \"%s\", "
            "\"level\": %d, \"request_id\": %u, \"cycle\": %llu}\n",
            (long long)ns_of(CLOCK_REALTIME), (long long)ns_of(CLOCK_MONOTONIC),
            (unsigned long long)(cycle / CYCLES_PER_US), output->name, level,
            output == outputs ? request_id() : 0, (unsigned long long)cycle);
    fflush(edges);
}

static void on_output(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    put_edge(param, value != 0);
}

static void on_uart(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    (void)param;
    if (take_byte) {
        take_byte((uint8_t)value);
    }
}

static void all_low(void) {
    for (size_t i = 0; i < OUTPUTS; i++) {
        put_edge(&outputs[i], 0);
    }
}

/* A sleeping chip is woken for nothing but a timer, so the end of a run is one. */
static avr_cycle_count_t wake(avr_t *chip, avr_cycle_count_t when, void *param) {
    (void)chip;
    (void)when;
    (void)param;
    return 0;
}

/* simavr would wait here; the clock of this program is kept by whoever calls chip_run. */
static void sleep_not(avr_t *chip, avr_cycle_count_t cycles) {
    (void)chip;
    (void)cycles;
}

static void quiet(avr_t *chip, const int level, const char *format, va_list arguments) {
    (void)chip;
    if (level <= LOG_ERROR) {
        vfprintf(stderr, format, arguments);
    }
}

static void connect_pins(void) {
    for (size_t i = 0; i < OUTPUTS; i++) {
        avr_irq_register_notify(
            avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(outputs[i].port), outputs[i].bit),
            on_output, &outputs[i]);
    }
    /* the low level of a pin is no interrupt before the firmware has asked for its edges */
    avr_extint_set_strict_lvl_trig(avr, 0, 0);
    avr_extint_set_strict_lvl_trig(avr, 1, 0);
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    uart_in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_uart, NULL);
}

/* An input keeps its level against the pull-up, and over a reset. */
static void hold_inputs(void) {
    avr_ioport_external_t b = {.name = 'B', .mask = IN_B, .value = driven_b};
    avr_ioport_external_t d = {.name = 'D', .mask = IN_D, .value = driven_d};
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('B'), &b);
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('D'), &d);
    for (size_t i = 0; i < INPUTS; i++) {
        uint8_t levels = inputs[i].port == 'B' ? driven_b : driven_d;
        avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(inputs[i].port), inputs[i].bit),
                      levels >> inputs[i].bit & 1);
    }
}

static void load_eeprom(const char *path) {
    int file = open(path, O_RDWR | O_CREAT, 0644);
    struct stat about;
    if (file < 0 || fstat(file, &about) || ftruncate(file, EEPROM_BYTES)) {
        fail("cannot write", path);
    }
    kept = mmap(NULL, EEPROM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (kept == MAP_FAILED) {
        fail("cannot map", path);
    }
    if (about.st_size != EEPROM_BYTES) {
        memset(kept, 0xFF, EEPROM_BYTES); /* as it leaves the factory */
    }
    avr_eeprom_desc_t all = {.ee = kept, .offset = 0, .size = EEPROM_BYTES};
    avr_ioctl(avr, AVR_IOCTL_EEPROM_SET, &all);
}

void chip_start(const char *elf_path, const char *edges_path, const char *eeprom_path) {
    avr_global_logger_set(quiet);
    elf_firmware_t firmware = {0};
    if (access(elf_path, R_OK) || elf_read_firmware(elf_path, &firmware)) {
        fail("no firmware in", elf_path);
    }
    elf = elf_path;
    request_id_address = symbol_address(elf_path, "valve_request_id");
    edges = fopen(edges_path, "a");
    if (!edges) {
        fail("cannot write", edges_path);
    }
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    firmware.frequency = CYCLES_PER_US * 1000000;
    firmware.vcc = firmware.avcc = firmware.aref = SUPPLY_MV;
    avr_load_firmware(avr, &firmware);
    avr->frequency = firmware.frequency;
    avr->sleep = sleep_not;
    load_eeprom(eeprom_path);
    connect_pins();
    hold_inputs();
}

static void note_reset(void) {
    if (avr->cycle < reached) {
        before_reset += reached;
        all_low();
        hold_inputs();
    }
    reached = avr->cycle;
}

/* Overwrites the next instruction outside an interrupt with a jump to itself. */
static void jam_if_told(void) {
    if (jam && avr->sreg[S_I]) {
        avr->flash[avr->pc] = 0xFF;
        avr->flash[avr->pc + 1] = 0xCF;
        jam = false;
    }
}

void chip_jam(void) { jam = true; }

unsigned chip_openings(void) { return openings; }

bool chip_run(uint64_t cycles) {
    uint64_t end = chip_cycle() + cycles;
    avr_cycle_timer_register(avr, cycles, wake, NULL);
    do {
        int state = avr_run(avr);
        note_reset();
        jam_if_told();
        if (state == cpu_Done || state == cpu_Crashed) {
            return false;
        }
    } while (chip_cycle() < end);
    return true;
}

void chip_reset(void) {
    reached = avr->cycle;
    all_low();
    avr_reset(avr);
    note_reset();
    hold_inputs();
}

bool chip_input(const char *name, int value) {
    for (int i = 0; i < (int)MEASURED; i++) {
        if (!strcmp(name, measured[i])) {
            avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0 + i), value);
            return true;
        }
    }
    for (size_t i = 0; i < INPUTS; i++) {
        if (!strcmp(name, inputs[i].name)) {
            uint8_t *driven = inputs[i].port == 'B' ? &driven_b : &driven_d;
            uint8_t bit = (uint8_t)(1 << inputs[i].bit);
            *driven = value ? *driven | bit : *driven & ~bit;
            hold_inputs();
            return true;
        }
    }
    return false;
}

void chip_poke(const char *what) {
    char name[32];
    unsigned address, value, offset = 0;
    if (sscanf(what, "@%u=%u", &address, &value) != 2) {
        if (sscanf(what, "%31[^=+]+%u=%u", name, &offset, &value) != 3 &&
            sscanf(what, "%31[^=+]=%u", name, &value) != 2) {
            fail("poke NAME=VALUE, NAME+OFFSET=VALUE or @ADDRESS=VALUE, not", what);
        }
        address = symbol_address(elf, name) + offset;
    }
    avr->data[(uint16_t)address] = (uint8_t)value;
}

void chip_receive(uint8_t byte) { avr_raise_irq(uart_in, byte); }

uint64_t chip_cycles_per_byte(void) {
    uint16_t divisor = avr->data[0xC4] | avr->data[0xC5] << 8; /* UBRR0 */
    bool doubled = avr->data[0xC0] & 2;                        /* U2X0 */
    return (uint64_t)(divisor + 1) * (doubled ? 8 : 16) * 10;
}

void chip_on_byte(void (*take)(uint8_t byte)) { take_byte = take; }

void chip_keep_eeprom(void) {
    avr_eeprom_desc_t all = {.ee = NULL, .offset = 0, .size = EEPROM_BYTES};
    avr_ioctl(avr, AVR_IOCTL_EEPROM_GET, &all);
    if (all.ee && memcmp(kept, all.ee, EEPROM_BYTES)) {
        memcpy(kept, all.ee, EEPROM_BYTES);
    }
}

void chip_stop(void) {
    all_low();
    chip_keep_eeprom();
    fclose(edges);
}
