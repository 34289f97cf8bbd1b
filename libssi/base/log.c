/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program's own lines on standard error. main() opens it; only programs call it. One write for a line, so that lines
 * of several processes do not mix. What it does not do well: a line past 2 KiB is cut.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/fd.h"
#include "libssi/base/log.h"

static const char *log_name = "ssi";
static int log_level = LOG_INFO;
static bool log_journal;

/* JOURNAL_STREAM alone is not enough: it is inherited by children whose standard error went elsewhere. */
static bool log_is_journal(void)
{
	const char *s = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	return s && sscanf(s, "%ju:%ju", &dev, &ino) == 2 && fstat(2, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void ssi_log_open(const char *name, int max_level)
{
	log_name = name;
	log_level = max_level;
	log_journal = log_is_journal();
}

void ssi_logv(int level, const char *fmt, va_list ap)
{
	char line[2048];
	size_t n;

	if (level > log_level)
		return;
	if (log_journal)
		snprintf(line, sizeof(line), "<%d>", level);
	else
		snprintf(line, sizeof(line), "%s: ", log_name);
	n = strlen(line);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	n = strlen(line);
	line[n++] = '\n';
	ssi_fd_write_all(2, line, n);
}

void ssi_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ssi_logv(level, fmt, ap);
	va_end(ap);
}
