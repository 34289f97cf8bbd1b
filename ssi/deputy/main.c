/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-deputy SOCKET JOB BYTES: stands for a job whose own deputy died with the machine (doc/pids.md). Started by ssi-bootsvc as the job's user, with the number
 * that the job has; what the job writes goes to standard output and error, which are files, BYTES of each at most. What it is signalled it passes on, and it
 * dies as the job dies. Its input is at its end: who gave it is gone.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "libssi/base/fd.h"
#include "libssi/base/num.h"
#include "ssi/rexec/run.h"

struct deputy {
	struct ssi_run *run;
	uint64_t room[2];                    /* bytes that its files may still get */
	bool stop;
};

static void on_output(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata)
{
	static const char cut[] = "\n[ssi: there was more]\n";
	struct deputy *d = userdata;
	uint64_t *room = stream == 4 ? NULL : &d->room[stream - 1];
	size_t some = room && *room < n ? (size_t)*room : n;

	if (room && some) {
		ssi_fd_write_all((int)stream, p, some);
		*room -= some;
		if (!*room)
			ssi_fd_write_all((int)stream, cut, sizeof(cut) - 1);
	}
	ssi_run_consumed(r, stream, n);
}

static void on_state(struct ssi_run *r, enum ssi_run_state s, int signal, void *userdata)
{
	((struct deputy *)userdata)->stop = s == SSI_RUN_STOPPED;
}

static int signals_open(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGCHLD);
	sigdelset(&set, SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* SIGCONT by sigqueue(3): the daemon's, and the job goes on already. */
static void signals_read(struct deputy *d, int fd)
{
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo != SIGWINCH && (si.ssi_signo != SIGCONT || si.ssi_code != SI_QUEUE))
			ssi_run_signal(d->run, (int)si.ssi_signo, si.ssi_signo == SIGCONT);
}

static int loop(struct deputy *d, int signals, struct ssi_err *e)
{
	int r = SSI_RUN_RUNNING;

	while (r >= 0 && r != SSI_RUN_ENDED) {
		struct pollfd p[2] = { { .fd = -1 }, { .fd = signals, .events = POLLIN } };
		int timeout = ssi_run_poll(d->run, &p[0]);

		if (poll(p, 2, timeout) < 0 && errno != EINTR)
			return ssi_errno(e, -errno, "poll");
		if (p[1].revents)
			signals_read(d, signals);
		r = ssi_run_step(d->run, p[0].revents, e);
		if (d->stop)
			raise(SIGSTOP);
		d->stop = false;
	}
	return r;
}

int main(int argc, char **argv)
{
	static const struct ssi_run_ops ops = { .output = on_output, .state = on_state };
	struct ssi_run_place place = { 0 };
	struct ssi_run_exit x;
	struct deputy d = { 0 };
	struct ssi_err e = { 0 };
	uint64_t bytes;
	int signals, r;

	if (argc != 4 || ssi_num_u64(argv[2], 1, UINT64_MAX, &place.job) < 0 || ssi_num_u64(argv[3], 1, UINT64_MAX, &bytes) < 0) {
		fprintf(stderr, "ssi-deputy: it is started by ssi-bootsvc\n");
		return 2;
	}
	d.room[0] = d.room[1] = bytes;
	signals = signals_open();
	r = signals < 0 ? ssi_errno(&e, -errno, "signals") : ssi_run_attach(argv[1], -1, &place, &ops, &d, &d.run, &e);
	if (r >= 0)
		r = loop(&d, signals, &e);
	if (r < 0) {
		fprintf(stderr, "ssi-deputy: %s\n", e.text);
		return 1;
	}
	x = *ssi_run_exit(d.run);
	ssi_run_free(d.run);
	return ssi_run_die(&x);
}
