/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program's own lines on standard error. main() opens it; only programs call it. One write for a line, so that lines
 * of several processes do not mix; of a text of several lines each is one of its own. What it does not do well: a line
 * past 2 KiB is cut.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/fd.h"
#include "libssi/base/log.h"
#include "libssi/base/tty.h"

#define LOG_LINE 2048

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

/* What comes from elsewhere (a node's reason, a tool's last words) cannot play tricks on a console, nor begin a line of another level. */
static void log_line(int level, const char *text, size_t len)
{
	char line[LOG_LINE];
	size_t n;

	if (log_journal)
		snprintf(line, sizeof(line), "<%d>", level);
	else
		snprintf(line, sizeof(line), "%s: ", log_name);
	n = strlen(line);
	snprintf(line + n, sizeof(line) - n - 1, "%.*s", (int)(len < LOG_LINE ? len : LOG_LINE), text);
	ssi_tty_clean(line + n, false);
	n = strlen(line);
	line[n++] = '\n';
	ssi_fd_write_all(2, line, n);
}

void ssi_logv(int level, const char *fmt, va_list ap)
{
	char buf[LOG_LINE] = "", *text = buf, *more = NULL;
	int all, saved = errno;          /* for %m, twice */
	va_list again;
	size_t n;

	if (level > log_level)
		return;
	va_copy(again, ap);
	all = vsnprintf(buf, sizeof(buf), fmt, ap);
	errno = saved;
	/* Where memory is out, what fits must do. */
	if (all >= (int)sizeof(buf) && vasprintf(&more, fmt, again) >= 0)
		text = more;
	else
		more = NULL;
	va_end(again);
	do {
		n = strcspn(text, "\n");
		log_line(level, text, n);
		text += n + (text[n] == '\n');
	} while (*text);
	free(more);
}

void ssi_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ssi_logv(level, fmt, ap);
	va_end(ap);
}
