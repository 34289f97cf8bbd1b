/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's story: what is started in which order, and ended in the other. Called by verb-start.c; every part is a file of its own.
 */
#include <errno.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include "bootsvc/daemon.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"

static void loop_unref(sd_event **ev)
{
	sd_event_unref(*ev);
}

static int signals_wait(sd_event *ev)
{
	static const int ends[] = { SIGTERM, SIGINT };
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < 2; i++)
		sigaddset(&set, ends[i]);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < 2; i++) {
		r = sd_event_add_signal(ev, NULL, ends[i], NULL, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static void say_ready(int ready)
{
	sd_notify(0, "READY=1\nSTATUS=Serving");
	if (ready >= 0) {
		if (write(ready, "1", 1) < 0)
			log_debug("whoever started this is gone");
		close(ready);
	}
}

int daemon_run(const struct bootsvc_options *o, int ready, struct ssi_err *e)
{
	SSI_CLEANUP(loop_unref) sd_event *ev = NULL;
	int r = sd_event_default(&ev);

	if (r < 0)
		return ssi_errno(e, r, "no event loop");
	r = signals_wait(ev);
	if (r < 0)
		return ssi_errno(e, r, "no signals");
	say_ready(ready);
	r = sd_event_loop(ev);
	sd_notify(0, "STOPPING=1");
	return r < 0 ? ssi_errno(e, r, "the event loop failed") : 0;
}
