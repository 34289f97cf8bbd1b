/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node-freeze FOLDER SECONDS: the file system of FOLDER stands still (ioctl_fsfreeze(2)), so that its master can copy the volume it is on. Started by the master over
 * remote execution (bootsvc/volumes-freeze.c); says "frozen" on its standard output then. It lets go when its input ends or after SECONDS, whichever is first.
 *
 * A node whose file system stood still for ever would be lost, so who lets go is not who can be killed with a command: a guardian, in a session of its own, all in
 * memory, which needs no file any more and ends only when the file system goes on. It goes on at once when the program that talks to the master is gone.
 *
 * Exit status: 0 it stood still until it was told to go on; 3 until the time was over; 1 it never stood still. On failure its last line says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"

#define LIMIT_S_MAX 300
#define THAW_AGAIN_MS 1000

enum { FROZEN = 'f', RELEASED = 'r', TIMED_OUT = 't' };
static const int told[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

static int thaw_pipe = -1;

/* Signals end the wait, not the guardian. */
static void on_signal(int sig)
{
	int saved = errno;
	ssize_t n = write(thaw_pipe, "s", 1);

	(void)n;
	errno = saved;
}

static void guardian_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t none;

	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
		sigaction(told[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Until it is told, its owner is gone, a signal came, or the time is over: true when it was in time. */
static bool guardian_wait(int owner, int signals, uint64_t limit_ms)
{
	uint64_t end = ssi_clock_boot_ms() + limit_ms, now;

	while ((now = ssi_clock_boot_ms()) < end) {
		struct pollfd p[] = { { .fd = owner, .events = POLLIN }, { .fd = signals, .events = POLLIN } };

		if (poll(p, 2, (int)(end - now)) > 0)
			return true;
	}
	return false;
}

/* Whatever happens, it goes on. EINVAL: it does already. */
static void guardian_thaw(int fd)
{
	while (ioctl(fd, FITHAW, 0) < 0 && errno != EINVAL)
		poll(NULL, 0, THAW_AGAIN_MS);
}

static void guardian_tell(int owner, char what, int err)
{
	struct { char what; int err; } word;

	memset(&word, 0, sizeof(word));
	word.what = what;
	word.err = err;
	(void)ssi_fd_write_all(owner, &word, sizeof(word));
}

static void guardian(int fd, int in, int out, uint64_t limit_ms)
{
	int p[2];
	bool in_time;

	setsid();
	prctl(PR_SET_PDEATHSIG, 0);
	close(STDIN_FILENO);             /* the master's: they end with the program that it started */
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		_exit(1);
	thaw_pipe = p[1];
	guardian_signals();
	ssi_file_poke("/proc/self/oom_score_adj", "-1000");
	/* All that it will ever run, before nothing can be read or written any more. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 || ioctl(fd, FIFREEZE, 0) < 0) {
		guardian_tell(out, 0, errno);
		_exit(1);
	}
	guardian_tell(out, FROZEN, 0);
	in_time = guardian_wait(in, p[0], limit_ms);
	guardian_thaw(fd);
	guardian_tell(out, in_time ? RELEASED : TIMED_OUT, 0);
	_exit(0);
}

/* What the guardian says; 0 at its end. */
static char heard(int from, int *ret_err)
{
	struct { char what; int err; } word;

	if (ssi_fd_read_full(from, &word, sizeof(word)) != sizeof(word))
		return 0;
	*ret_err = word.err;
	return word.what;
}

/* Until the master's end of our input is gone, or the guardian has something to say. */
static void input_wait(int guardian)
{
	char buf[256];
	struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = guardian, .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents || (p[0].revents && read(STDIN_FILENO, buf, sizeof(buf)) <= 0))
			return;
	}
}

static int talk(int to, int from, const char *folder, uint32_t limit_s)
{
	int err = EIO;
	char last;

	if (heard(from, &err) != FROZEN) {
		fprintf(stderr, "%s: cannot be made to stand still: %s\n", folder, strerror(err));
		return 1;
	}
	if (write(STDOUT_FILENO, "frozen\n", 7) != 7)
		return 1;                /* the guardian sees that we are gone */
	input_wait(from);
	close(to);
	last = heard(from, &err);
	if (last == RELEASED)
		return 0;
	fprintf(stderr, last == TIMED_OUT ? "%s: it went on by itself after %u s\n" : "%s: its guardian is gone (%u s)\n", folder, limit_s);
	return 3;
}

int main(int argc, char **argv)
{
	_cleanup_close_ int fd = -1;
	uint32_t limit_s;
	int to[2], from[2];
	pid_t pid;

	if (argc != 3 || ssi_num_u32(argv[2], 1, LIMIT_S_MAX, &limit_s) < 0) {
		fprintf(stderr, "usage: node-freeze FOLDER SECONDS\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) {
		fprintf(stderr, "%s: %m\n", argv[1]);
		return 1;
	}
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "fork: %m\n");
		return 1;
	}
	if (pid == 0) {
		close(to[1]);
		close(from[0]);
		guardian(fd, to[0], from[1], limit_s * UINT64_C(1000));
	}
	close(to[0]);
	close(from[1]);
	return talk(to[1], from[0], argv[1], limit_s);
}
