/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running mmdebstrap, dracut, mkfs.erofs and the like. Called by the steps. A tool has a process group of its own: an interrupt ends all
 * of it, first gently so that it can unmount what it mounted, then for good. If we are killed, the tool gets SIGTERM from the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/spawn.h"
#include "libssi/base/tty.h"
#include "mkimage/tool.h"

#define TOOL_TICK_MS 100
#define TOOL_GRACE_MS 20000u     /* between SIGTERM and SIGKILL: mmdebstrap has mounts to undo */
#define TOOL_LAST 360u           /* bytes of the log that an error repeats */

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

void tool_catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int tool_interrupted(void)
{
	return caught;
}

/* Does one of more give the variable of line ("NAME=VALUE") anew? */
static bool replaced(const char *line, char *const *more)
{
	size_t n = strcspn(line, "=") + 1;

	for (; more && *more; more++)
		if (!strncmp(*more, line, n))
			return true;
	return false;
}

/* What is added, and our environment behind it, as one array (the strings are borrowed). */
static char **merge_env(char *const *more)
{
	size_t n = 0, m = 0;
	char **all;

	while (environ[n])
		n++;
	while (more && more[m])
		m++;
	all = reallocarray(NULL, n + m + 1, sizeof(*all));
	if (!all)
		return NULL;
	for (size_t i = 0; i < m; i++)
		all[i] = more[i];
	for (size_t i = 0; i < n; i++)
		if (!replaced(environ[i], more))
			all[m++] = environ[i];
	all[m] = NULL;
	return all;
}

/* The end of the log, its lines joined by ';'. */
static void last_words(const char *log, char *ret, size_t n)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	char *from;

	*ret = '\0';
	if (!log || ssi_file_read(log, 64u << 20, &text, &len) < 0)
		return;
	while (len && strchr("\r\n ", text[len - 1]))
		text[--len] = '\0';
	from = len > n - 1 ? text + len - (n - 1) : text;
	if (from > text && strchr(from, '\n'))
		from = strchr(from, '\n') + 1;
	for (char *p = from; *p; p++)
		if (*p == '\n')
			*p = ';';
	snprintf(ret, n, "%s", ssi_tty_clean(from, false));
}

/* Wait with the display alive; the exit status, or -EINTR (or why it cannot be waited for) with all of the group ended. */
static int watch(pid_t pid, struct progress *p)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	struct pollfd pfd = { fd, POLLIN, 0 };
	uint64_t asked = 0;

	if (fd < 0) {
		int r = -errno;

		kill(-pid, SIGKILL);
		ssi_spawn_wait(pid);
		return r;
	}
	while (poll(&pfd, 1, TOOL_TICK_MS) <= 0) {
		uint64_t now = ssi_clock_mono_ms();

		progress_tick(p);
		if (!tool_interrupted())
			continue;
		if (!asked)
			kill(-pid, SIGTERM);
		else if (now - asked > TOOL_GRACE_MS)
			kill(-pid, SIGKILL);
		asked = asked ? asked : now;
	}
	return tool_interrupted() ? (ssi_spawn_wait(pid), -EINTR) : ssi_spawn_wait(pid);
}

int tool_run(const struct tool *t, struct progress *p, struct ssi_err *e)
{
	_cleanup_close_ int log = open(t->log ? t->log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	_cleanup_free_ char **env = merge_env(t->env);
	struct ssi_spawn_io io = { t->in, t->out >= 0 ? t->out : log, log, NULL, env };
	char said[TOOL_LAST];
	pid_t pid;
	int r;

	if (log < 0)
		return ssi_errno(e, -errno, "%s", t->log);
	if (!env)
		return ssi_errno(e, -ENOMEM, "%s", t->argv[0]);
	r = tool_interrupted() ? -EINTR : ssi_spawn(t->argv, &io, SSI_SPAWN_PDEATH | SSI_SPAWN_NEWGROUP, &pid, e);
	if (r == -ENOENT)
		return ssi_errf(e, r, "%s is not installed", t->argv[0]);
	if (r < 0 && r != -EINTR)
		return r;
	if (r == 0)
		r = watch(pid, p);
	if (r == -EINTR)
		return ssi_errf(e, r, "interrupted");
	if (r == 0)
		return 0;
	if (r < 0)
		return ssi_errno(e, r, "%s: wait", t->argv[0]);
	last_words(t->log, said, sizeof(said));
	return ssi_errf(e, -EIO, "%s: exit status %d: %s", t->argv[0], r, said);
}

int tool_version(const char *tool, const char *arg, char *buf, size_t n, struct ssi_err *e)
{
	_cleanup_free_ char *out = NULL;
	char *const argv[] = { (char *)tool, (char *)arg, NULL };
	int r = ssi_spawn_read(argv, 30000, 65536, &out, e);

	if (r == -ENOENT)
		return ssi_errf(e, r, "%s is not installed", tool);
	if (r < 0)
		return r;
	out[strcspn(out, "\n")] = '\0';
	snprintf(buf, n, "%s", out);
	return 0;
}
