/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns one running command. What it says goes to memory files, so that it never waits for us to read. Called by doors.c and nfs-clients.c. */
#include "bootsvc/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/spawn.h"

#define OUTPUT_MAX (4u << 20)
#define WORDS_MAX 1024               /* of its standard error */

struct child {
	char program[32];
	pid_t pid;
	int out, words;              /* out -1: the caller's */
	bool late;
	sd_event_source *source, *limit;
	child_done done;
	void *userdata;
};

static void child_end(struct child *c)
{
	sd_event_source_disable_unref(c->source);
	sd_event_source_disable_unref(c->limit);
	if (c->out >= 0)
		close(c->out);
	if (c->words >= 0)
		close(c->words);
	free(c);
}

/* What is in a memory file, at most max bytes; NULL: out of memory. */
static char *kept(int fd, size_t max)
{
	off_t len = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	size_t n = len > 0 ? (size_t)len < max ? (size_t)len : max : 0;
	char *text = calloc(1, n + 1);

	if (text && n && pread(fd, text, n, 0) < 0)
		text[0] = '\0';
	return text;
}

static const char *last_line(char *text)
{
	char *p;

	for (size_t n = strlen(text); n && (unsigned char)text[n - 1] <= ' '; n--)
		text[n - 1] = '\0';
	p = strrchr(text, '\n');
	p = p ? p + 1 : text;
	for (char *q = p; *q; q++)
		if ((unsigned char)*q < ' ' || *q == 0x7f)
			*q = ' ';
	return p;
}

static int outcome(struct child *c, int status, struct ssi_err *e)
{
	_cleanup_free_ char *words = kept(c->words, WORDS_MAX);
	const char *said = words ? last_line(words) : "";

	if (c->late)
		return ssi_errf(e, -ETIMEDOUT, "%s did not end in time", c->program);
	if (status)
		return ssi_errf(e, -EIO, "%s failed: %s (exit status %d)", c->program, *said ? said : "it did not say why", status);
	return 0;
}

static int on_end(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct child *c = userdata;
	_cleanup_free_ char *out = kept(c->out, OUTPUT_MAX);
	struct ssi_err e = { 0 };
	child_done done = c->done;
	void *whose = c->userdata;
	int r = outcome(c, si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status, &e);

	if (r == 0 && !out)
		r = ssi_errno(&e, -ENOMEM, "%s", c->program);
	child_end(c);
	done(r, r < 0 ? &e : NULL, out ?: "", whose);
	return 0;
}

static int on_limit(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct child *c = userdata;

	c->late = true;
	kill(-c->pid, SIGKILL);      /* on_end follows */
	return 0;
}

static int memory_file(const char *text)
{
	_cleanup_close_ int fd = memfd_create("child", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (text && *text) {
		int r = ssi_fd_write_all(fd, text, strlen(text));

		if (r < 0)
			return r;
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
	}
	return TAKE_FD(fd);
}

static int child_watch(struct child *c, sd_event *event, unsigned timeout_ms)
{
	int r = sd_event_add_child(event, &c->source, c->pid, WEXITED, on_end, c);

	if (r >= 0)
		r = sd_event_add_time_relative(event, &c->limit, CLOCK_MONOTONIC, timeout_ms * 1000ull, 100000, on_limit, c);
	return r;
}

void child_free(struct child *c)
{
	if (!c)
		return;
	if (c->pid > 0) {
		kill(-c->pid, SIGKILL);
		c->source = sd_event_source_disable_unref(c->source);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	child_end(c);
}

int child_start(sd_event *event, const struct child_command *cmd, child_done done, void *userdata, struct child **ret, struct ssi_err *e)
{
	_cleanup_close_ int in = -1;
	struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return ssi_errno(e, -ENOMEM, "%s", cmd->argv[0]);
	*c = (struct child) { .out = -1, .words = memory_file(NULL), .done = done, .userdata = userdata };
	strncpy(c->program, cmd->argv[0], sizeof(c->program) - 1);
	if (cmd->input)
		in = memory_file(cmd->input);
	if (cmd->output < 0)
		c->out = memory_file(NULL);
	r = c->words < 0 ? c->words : cmd->input && in < 0 ? in : cmd->output < 0 && c->out < 0 ? c->out : 0;
	if (r < 0)
		ssi_errno(e, r, "%s", cmd->argv[0]);
	else
		r = ssi_spawn(cmd->argv, &(struct ssi_spawn_io){ .in = in, .out = cmd->output < 0 ? c->out : cmd->output, .err = c->words },
			      SSI_SPAWN_NEWGROUP | SSI_SPAWN_PDEATH, &c->pid, e);
	if (r >= 0) {
		r = child_watch(c, event, cmd->timeout_ms);
		if (r < 0)
			ssi_errno(e, r, "cannot watch %s", cmd->argv[0]);
	}
	if (r < 0) {
		child_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
