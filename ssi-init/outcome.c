/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of outcome.h: a struct ssi_err at the start of a memfd. Written by stage children, read by stage.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi-init/outcome.h"

int outcome_new(struct ssi_err *e)
{
	_cleanup_close_ int fd = memfd_create("outcome", MFD_CLOEXEC);
	int high;

	if (fd < 0)
		return ssi_errno(e, -errno, "memfd_create");
	/* Out of the way of OUTCOME_FD. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	return high < 0 ? ssi_errno(e, -errno, "fcntl") : high;
}

void outcome_clear(int fd)
{
	while (ftruncate(fd, 0) < 0 && errno == EINTR)
		;
}

void outcome_adopt(int fd)
{
	dup2(fd, OUTCOME_FD);
}

void outcome_put(const struct ssi_err *e)
{
	ssize_t n = pwrite(OUTCOME_FD, e, sizeof(*e), 0);

	(void)n;        /* without a record PID 1 says "exit status N" */
}

void outcome_note(const char *fmt, ...)
{
	struct ssi_err e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	ssi_errv(&e, 0, fmt, ap);
	va_end(ap);
	outcome_put(&e);
}

int outcome_get(int fd, struct ssi_err *ret)
{
	struct ssi_err e;

	if (pread(fd, &e, sizeof(e), 0) != (ssize_t)sizeof(e))
		return -ENODATA;
	e.text[sizeof(e.text) - 1] = '\0';
	*ret = e;
	return 0;
}
