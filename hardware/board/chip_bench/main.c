/* The chip bench: runs the compiled firmware instruction by instruction in simavr.
 *
 *     chip_bench --elf board.elf --edges board-edges.jsonl --eeprom board-eeprom.bin
 *
 * Keeps the pace of real time, or with --fast --until-us N runs as fast as it can to that moment.
 * Prints one JSON line with its port and its terminal when the board is on, then reads lines of a
 * script from stdin. It ends, all outputs low, when stdin closes, its parent dies or SIGTERM comes.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "chip.h"
#include "faults.h"
#include "line.h"
#include "pace.h"
#include "script.h"

#define STRIDE_CYCLES (200 * CYCLES_PER_US) /* between two looks at the line */
#define WAIT_NS 150000
#define KEEP_CYCLES (1000 * CYCLES_PER_US)

static volatile sig_atomic_t ending;
static struct faults faults;

static void end(int number) {
    (void)number;
    ending = 1;
}

/* Run to a cycle, doing on the way what is due on the line and in the script. */
static bool run_to(uint64_t end_cycle) {
    while (chip_cycle() < end_cycle) {
        uint64_t next = end_cycle - chip_cycle();
        uint64_t act = script_play(), byte = line_feed();
        next = act < next ? act : next;
        next = byte < next ? byte : next;
        if (!chip_run(next ? next : 1)) {
            fprintf(stderr, "chip bench: the firmware stopped\n");
            return false;
        }
    }
    return true;
}

static void keep(void) {
    static uint64_t kept_at;
    if (chip_cycle() - kept_at > KEEP_CYCLES) {
        kept_at = chip_cycle();
        chip_keep_eeprom();
    }
}

/* Once each, as the valve has opened for that reward: a time would depend on the computer. */
static void misbehave(void) {
    static bool was_reset, unplugged;
    if (faults.reset_in_reward && chip_openings() >= faults.reset_in_reward && !was_reset) {
        was_reset = true;
        chip_reset();
    }
    if (faults.unplug_in_reward && chip_openings() >= faults.unplug_in_reward && !unplugged) {
        unplugged = true;
        line_hang_up();
    }
}

static void read_script(void) {
    static char text[4096];
    static size_t n;
    ssize_t got = read(STDIN_FILENO, text + n, sizeof text - 1 - n);
    if (got <= 0) {
        ending = 1;
        return;
    }
    n += (size_t)got;
    text[n] = 0;
    for (char *stop; (stop = strchr(text, '\n'));) {
        *stop = 0;
        script_add(text);
        n -= (size_t)(stop + 1 - text);
        memmove(text, stop + 1, n + 1);
    }
}

/* Wait for the line, a script or the time. */
static void wait_ns(long ns) {
    struct pollfd fds[LINE_FDS + 1];
    size_t n = line_wait_for(fds);
    fds[n] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec time = {0, ns};
    if (ppoll(fds, n + 1, &time, NULL) > 0 && fds[n].revents) {
        read_script();
    }
}

static bool run_paced(void) {
    while (!ending) {
        line_serve();
        misbehave();
        keep();
        int64_t behind = pace_behind_ns();
        /* in lumps: a chip that runs at every microsecond takes a whole core for itself */
        wait_ns(behind < WAIT_NS ? WAIT_NS - behind : 0);
        if (behind >= WAIT_NS) {
            uint64_t due = (uint64_t)behind * CYCLES_PER_US / 1000 + 1;
            if (!run_to(chip_cycle() + (due < STRIDE_CYCLES ? due : STRIDE_CYCLES))) {
                return false;
            }
        }
    }
    return true;
}

static bool run_fast(uint64_t until_cycle) {
    while (!ending && chip_cycle() < until_cycle) {
        uint64_t stride = chip_cycle() + STRIDE_CYCLES;
        if (!run_to(stride < until_cycle ? stride : until_cycle)) {
            return false;
        }
        keep();
    }
    return true;
}

static unsigned number(const char *text) { return (unsigned)strtoul(text, NULL, 10); }

int main(int n_words, char **words) {
    enum { ELF = 1, EDGES, EEPROM, PORT, FAST, UNTIL, SCRIPT, LOG, LOSE, CORRUPT, TWICE, NO_ACK,
           BOTH, UNPLUG, RESET,
           DRIFT, LOST };
    static const struct option options[] = {
        {"elf", 1, 0, ELF}, {"edges", 1, 0, EDGES}, {"eeprom", 1, 0, EEPROM},
        {"port", 1, 0, PORT}, {"fast", 0, 0, FAST}, {"until-us", 1, 0, UNTIL},
        {"script", 1, 0, SCRIPT}, {"uart-log", 1, 0, LOG}, {"lose-byte-every", 1, 0, LOSE},
        {"corrupt-byte-every", 1, 0, CORRUPT}, {"duplicate-frame-every", 1, 0, TWICE},
        {"no-ack", 0, 0, NO_ACK}, {"both-ways", 0, 0, BOTH}, {"unplug-in-reward", 1, 0, UNPLUG},
        {"reset-in-reward", 1, 0, RESET}, {"clock-drift-ppm", 1, 0, DRIFT},
        {"lost", 1, 0, LOST}, {0, 0, 0, 0},
    };
    const char *elf = NULL, *edges = NULL, *eeprom = NULL, *script = NULL, *log = NULL;
    const char *lost = NULL;
    int port = 0, option;
    bool fast = false;
    uint64_t until_us = 0;
    while ((option = getopt_long(n_words, words, "", options, NULL)) != -1) {
        switch (option) {
        case ELF: elf = optarg; break;
        case EDGES: edges = optarg; break;
        case EEPROM: eeprom = optarg; break;
        case PORT: port = atoi(optarg); break;
        case FAST: fast = true; break;
        case UNTIL: until_us = strtoull(optarg, NULL, 10); break;
        case SCRIPT: script = optarg; break;
        case LOG: log = optarg; break;
        case LOSE: faults.lose_byte_every = number(optarg); break;
        case CORRUPT: faults.corrupt_byte_every = number(optarg); break;
        case TWICE: faults.duplicate_frame_every = number(optarg); break;
        case NO_ACK: faults.no_ack = true; break;
        case BOTH: faults.both_ways = true; break;
        case UNPLUG: faults.unplug_in_reward = number(optarg); break;
        case RESET: faults.reset_in_reward = number(optarg); break;
        case LOST: lost = optarg; break;
        case DRIFT: faults.clock_drift_ppm = atof(optarg); break;
        default: return 2;
        }
    }
    if (!elf || !edges || !eeprom) {
        fprintf(stderr, "chip bench: --elf, --edges and --eeprom are needed\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    chip_start(elf, edges, eeprom);
    pace_start(faults.clock_drift_ppm, lost);
    const char *pty;
    port = line_start(port, &pty, &faults);
    if (log) {
        line_log(log);
    }
    if (script) {
        script_load(script);
    }
    printf("{\"port\": %d, \"pty\": \"%s\"}\n", port, pty);
    fflush(stdout);
    bool sound = fast ? run_fast(until_us * CYCLES_PER_US) : run_paced();
    chip_stop();
    return sound ? 0 : 1;
}
