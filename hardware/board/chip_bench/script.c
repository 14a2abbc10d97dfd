#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip.h"
#include "line.h"
#include "pace.h"

#define APART_CYCLES (500 * CYCLES_PER_US)

struct act { uint64_t cycle; char *what; char *value; };

static struct act *acts;
static size_t n_acts, room, played;

static void fault(const char *line) {
    fprintf(stderr, "chip bench: not a line of a script: %s\n", line);
    exit(2);
}

/* A pin that is driven by the computer's clock: changes told of late must not fall into one. */
static uint64_t seen_apart(const char *what, uint64_t cycle) {
    static struct { char what[32]; uint64_t cycle; } last[8];
    size_t i = 0;
    while (i < sizeof last / sizeof *last - 1 && last[i].what[0] && strcmp(last[i].what, what)) {
        i++;
    }
    strcpy(last[i].what, what);
    uint64_t soonest = last[i].cycle ? last[i].cycle + APART_CYCLES : 0;
    uint64_t now = chip_cycle();
    if (cycle < now) {
        pace_late_ns((int64_t)((now - cycle) * 1000 / CYCLES_PER_US));
        cycle = now;
    }
    last[i].cycle = cycle > soonest ? cycle : soonest;
    return last[i].cycle;
}

void script_add(const char *line) {
    char what[32], time[32];
    char *value = malloc(strlen(line) + 1);
    value[0] = 0;
    if (sscanf(line, "%31s %31s %s", time, what, value) < 2) {
        fault(line);
    }
    uint64_t cycle = strtoull(time, NULL, 10) * CYCLES_PER_US;
    if (time[0] == '+') {
        cycle += chip_cycle();
    } else if (time[0] == '@') {
        cycle = seen_apart(what, pace_cycle_at(strtoll(time + 1, NULL, 10)));
    }
    if (n_acts == room) {
        room = room ? 2 * room : 64;
        acts = realloc(acts, room * sizeof *acts);
    }
    size_t at = n_acts++;
    /* keep the order of time; equal times in the order in which they were told */
    while (at > played && acts[at - 1].cycle > cycle) {
        acts[at] = acts[at - 1];
        at--;
    }
    acts[at] = (struct act){cycle, strdup(what), value};
}

void script_load(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(2);
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        if (line[0] != '\n' && line[0] != '#') {
            script_add(line);
        }
    }
    free(line);
    fclose(file);
}

static void send_hex(const char *hex) {
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        uint8_t one = (uint8_t)byte;
        line_put(&one, 1);
        if (!hex[1]) {
            break;
        }
    }
}

static void play(const struct act *act) {
    if (!strcmp(act->what, "uart")) {
        send_hex(act->value);
    } else if (!strcmp(act->what, "reset")) {
        chip_reset();
    } else if (!strcmp(act->what, "poke")) {
        chip_poke(act->value);
    } else if (!strcmp(act->what, "jam")) {
        chip_jam();
    } else if (!chip_input(act->what, atoi(act->value))) {
        fault(act->what);
    }
}

uint64_t script_play(void) {
    while (played < n_acts && acts[played].cycle <= chip_cycle()) {
        play(&acts[played++]);
    }
    return played < n_acts ? acts[played].cycle - chip_cycle() : UINT64_MAX;
}
