/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounded waits for failure.c, supervise.c and shutdown.c. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "libssi/base/clock.h"
#include "ssi-init/reap.h"

int reap_signal(const sigset_t *set, uint64_t ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	int sig = sigtimedwait(set, NULL, &ts);

	return sig > 0 ? sig : 0;
}

int reap_wait(pid_t pid, uint64_t ms)
{
	uint64_t end = ssi_clock_mono_ms() + ms, now;
	sigset_t set;
	int status, sig = 0;
	pid_t p;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (pid == 0) {
		sigaddset(&set, SIGINT);
		sigaddset(&set, SIGTERM);
	}
	for (;;) {
		while ((p = waitpid(-1, &status, WNOHANG)) > 0)
			if (p == pid)
				return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		if (p < 0 && errno == ECHILD && pid == -1)
			return 0;
		now = ssi_clock_mono_ms();
		if (now >= end || sig == SIGINT || sig == SIGTERM)
			return -1;
		sig = reap_signal(&set, end - now);
	}
}

void reap_child_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
