/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the events' fifo. Called by watch.c and supervise.c, each in its own process; a line is shorter than PIPE_BUF, so lines do not mix. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ssi-init/boot.h"
#include "ssi-init/event.h"

static int event_fd = -1;

void event_open(void)
{
	if (event_fd >= 0)
		return;
	(void)mkfifo(BOOT_EVENTS, 0600);        /* there already: fine; impossible: open says so, and events are lost */
	event_fd = open(BOOT_EVENTS, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

void event_send(const char *kind, const char *fmt, ...)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "%s ", kind);
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	n = write(event_fd, line, strlen(line));
	(void)n;
}
