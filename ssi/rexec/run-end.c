/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ending as a job ended. Called by deputies, for whoever waits for them. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include "ssi/rexec/run.h"

int ssi_run_die(const struct ssi_run_exit *x)
{
	const struct rlimit none = { 0, 0 };
	sigset_t set;

	if (x->cause == SSI_RUN_NOT_STARTED || !x->signal)
		return x->status;
	setrlimit(RLIMIT_CORE, &none);           /* the dump, if there is one, is the program's */
	fflush(NULL);
	signal(x->signal, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, x->signal);
	raise(x->signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + x->signal;
}
