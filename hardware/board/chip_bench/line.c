#define _GNU_SOURCE
#include "line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chip.h"

#define BUFFER 65536

static int server = -1, client = -1, terminal = -1;
static const struct faults *faults;
static uint8_t in[BUFFER];
static size_t in_from, in_to;
static uint64_t free_at; /* cycle at which the line to the chip is free */
static uint8_t out[BUFFER];
static size_t out_n;
static FILE *log_file;

static void die(const char *what) {
    perror(what);
    exit(2);
}

/* Whole frames alone go on: nobody can do anything with half of one. */
static void on_byte(uint8_t byte) {
    static uint8_t frame[256];
    static size_t n;
    if (log_file) {
        fprintf(log_file, "%llu %u\n", (unsigned long long)(chip_cycle() / CYCLES_PER_US), byte);
    }
    frame[n++] = byte;
    if (byte != 0 && n < sizeof frame) {
        return;
    }
    if (out_n + 2 * sizeof frame < sizeof out) {
        out_n += faults_outbound(faults, frame, n, out + out_n);
    }
    n = 0;
}

int line_start(int port, const char **pty, const struct faults *wrong) {
    static char name[128];
    faults = wrong;
    server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(server, (struct sockaddr *)&at, sizeof at) || listen(server, 8)) {
        die("chip bench: cannot listen");
    }
    socklen_t size = sizeof at;
    getsockname(server, (struct sockaddr *)&at, &size);
    int slave;
    struct termios raw;
    memset(&raw, 0, sizeof raw);
    cfmakeraw(&raw);
    /* the slave stays open, so that the terminal is there between two users */
    if (openpty(&terminal, &slave, name, &raw, NULL)) {
        die("chip bench: no pseudo-terminal");
    }
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    *pty = name;
    chip_on_byte(on_byte);
    return ntohs(at.sin_port);
}

size_t line_wait_for(struct pollfd fds[LINE_FDS]) {
    fds[0] = (struct pollfd){.fd = terminal, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = client >= 0 ? client : server, .events = POLLIN};
    return 2;
}

void line_hang_up(void) {
    if (client >= 0) {
        close(client);
        client = -1;
    }
}

static void receive(int from) {
    uint8_t bytes[4096];
    ssize_t n = read(from, bytes, sizeof bytes);
    if (n > 0) {
        line_put(bytes, faults_inbound(faults, bytes, (size_t)n));
    } else if (from == client && (n == 0 || errno != EAGAIN)) {
        line_hang_up();
    }
}

static void greet(void) {
    client = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    int yes = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    out_n = 0;
    in_from = in_to = 0;
}

void line_serve(void) {
    receive(terminal);
    if (client < 0) {
        greet(); /* a further client waits in the queue until this one has gone */
    }
    if (client >= 0) {
        receive(client);
    }
    if (out_n == 0) {
        return;
    }
    /* whoever does not read loses bytes, as on a line without flow control */
    if (client >= 0 && send(client, out, out_n, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        line_hang_up();
    }
    if (write(terminal, out, out_n) < 0 && errno != EAGAIN) {
        die("chip bench: terminal");
    }
    out_n = 0;
}

void line_put(const uint8_t *bytes, size_t n) {
    if (in_from == in_to) {
        in_from = in_to = 0;
    }
    if (n > sizeof in - in_to) {
        n = sizeof in - in_to;
    }
    memcpy(in + in_to, bytes, n);
    in_to += n;
}

uint64_t line_feed(void) {
    if (in_from == in_to) {
        return UINT64_MAX;
    }
    uint64_t now = chip_cycle();
    if (now >= free_at) {
        chip_receive(in[in_from++]);
        free_at = now + chip_cycles_per_byte();
    }
    return free_at - now;
}

void line_log(const char *path) {
    log_file = fopen(path, "w");
    if (!log_file) {
        die(path);
    }
    setvbuf(log_file, NULL, _IOLBF, 0);
}
