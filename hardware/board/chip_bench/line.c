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
#define STRANGERS 16
#define LONGEST_TOKEN 256

static int server = -1, client = -1, terminal = -1;
static const struct faults *faults;
static uint8_t in[BUFFER];
static size_t in_from, in_to;
static uint64_t free_at; /* cycle at which the line to the chip is free */
static uint8_t out[BUFFER];
static size_t out_n;
static FILE *log_file;

/* Clients show this first, on a line of its own; NULL: none is asked for. */
static const char *token;
static size_t token_n;
/* Who has connected and not shown it yet, the oldest first. */
static struct stranger {
    int fd;
    uint8_t shown[LONGEST_TOKEN + 1];
    size_t n;
} strangers[STRANGERS];
static size_t strangers_n;

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
    token = getenv("BCI_TOKEN");
    token_n = token ? strlen(token) : 0;
    if (token_n > LONGEST_TOKEN) {
        errno = E2BIG;
        die("chip bench: BCI_TOKEN");
    }
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

static void take_client(int fd) {
    int yes = 1;
    client = fd;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    out_n = 0;
    in_from = in_to = 0;
}

static void forget_stranger(size_t which) {
    strangers_n--;
    memmove(strangers + which, strangers + which + 1, (strangers_n - which) * sizeof *strangers);
}

/* 1: it showed the token; 0: not all of it yet; -1: it is none of ours, or has gone. */
static int hear_stranger(struct stranger *who) {
    /* not a byte more: what follows is for the chip */
    ssize_t n = read(who->fd, who->shown + who->n, token_n + 1 - who->n);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN ? 0 : -1;
    }
    who->n += (size_t)n;
    if (who->n <= token_n) {
        return 0;
    }
    /* in the same time for every wrong one */
    unsigned differs = who->shown[token_n] ^ '\n';
    for (size_t i = 0; i < token_n; i++) {
        differs |= who->shown[i] ^ (uint8_t)token[i];
    }
    return differs ? -1 : 1;
}

static void refuse(int fd) {
    static unsigned long n, tell_at = 1;
    close(fd);
    if (++n == tell_at) {
        fprintf(stderr, "chip bench: refused %lu connections without this session's token\n", n);
        tell_at *= 10;
    }
}

static void greet(void) {
    int fd;
    while ((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (!token_n) {
            take_client(fd);
            return;
        }
        if (strangers_n == STRANGERS) {
            refuse(strangers[0].fd);
            forget_stranger(0);
        }
        strangers[strangers_n++] = (struct stranger){.fd = fd};
    }
    for (size_t i = 0; i < strangers_n && client < 0;) {
        int heard = hear_stranger(strangers + i);
        if (heard == 0) {
            i++;
            continue;
        }
        if (heard > 0) {
            take_client(strangers[i].fd);
        } else {
            refuse(strangers[i].fd);
        }
        forget_stranger(i);
    }
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
