/* The serial line: bytes between the chip and a TCP client or a terminal, at the speed of the UART. */
#ifndef LINE_H
#define LINE_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "faults.h"

#define LINE_FDS 3

/* Listen on 127.0.0.1; port 0: any free one. Returns the port; *pty is the name of the terminal.
   With BCI_TOKEN in the environment a client must show that first, on a line of its own. */
int line_start(int port, const char **pty, const struct faults *faults);

/* What to wait for; line_serve takes it in, and sends what the chip said. */
size_t line_wait_for(struct pollfd fds[LINE_FDS]);
void line_serve(void);

/* Bytes for the chip from elsewhere, such as a script. */
void line_put(const uint8_t *bytes, size_t n);

/* Hand the chip the byte that is due, if any. Returns cycles until the next, or UINT64_MAX. */
uint64_t line_feed(void);

void line_hang_up(void);

/* Write every byte that the chip sends to this file as well: t_device_us and value, a line each. */
void line_log(const char *path);

#endif
