/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timeline's file. Called by main after each stage; written from a buffer on the stack to a tmpfs, so that PID 1 neither allocates nor waits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi-init/timeline.h"

static size_t timeline_line(const struct stage_run *r, char *buf, size_t n)
{
	int len = snprintf(buf, n, "%s %llu %llu %u\n", r->stage->name, (unsigned long long)r->start_ms,
			   (unsigned long long)r->end_ms, r->tries);

	return len > 0 && (size_t)len < n ? (size_t)len : 0;
}

size_t timeline_format(const struct stages *s, const struct stage_run *more, char *buf, size_t n)
{
	size_t len = 0;

	if (n)
		buf[0] = '\0';
	for (size_t i = 0; i < s->n; i++)
		if (s->runs[i].state == STAGE_DONE || s->runs[i].state == STAGE_FAILED)
			len += timeline_line(&s->runs[i], buf + len, n - len);
	if (more)
		len += timeline_line(more, buf + len, n - len);
	return len;
}

int timeline_write(const char *path, const struct stages *s, const struct stage_run *more)
{
	char text[TIMELINE_MAX];
	size_t len = timeline_format(s, more, text, sizeof(text));
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : ssi_fd_write_all(fd, text, len);
}
