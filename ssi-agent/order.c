/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the end of this machine's run. PID 1, ssi-init or systemd, is asked by the signals that both understand; if the machine still
 * runs long after (something hangs in its shutdown), the kernel is.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>
#include "libssi/base/log.h"
#include "ssi-agent/agent.h"

#define ORDER_PATIENCE_US (90 * 1000000ull)

static int order_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct agent *a = userdata;

	log_error("the shutdown does not come to its end: %s without it", a->ordered == SSI_MEMBER_POWEROFF ? "powering off" : "rebooting");
	if (a->init == 1)
		reboot(a->ordered == SSI_MEMBER_POWEROFF ? RB_POWER_OFF : RB_AUTOBOOT);
	return 0;
}

void order_do(struct agent *a, enum ssi_member_order what, const char *reason)
{
	bool off = what == SSI_MEMBER_POWEROFF;

	if (a->ordered)
		return;
	a->ordered = what;
	log_notice("%s: %s", off ? "powering off" : "rebooting", reason);
	sd_event_add_time_relative(a->event, &a->order_timer, CLOCK_MONOTONIC, ORDER_PATIENCE_US, 0, order_on_timer, a);
	if (kill(a->init, off ? SIGRTMIN + 4 : SIGINT) < 0)
		log_error("process %d cannot be asked to %s: %s", (int)a->init, off ? "power off" : "reboot", strerror(errno));
}

void order_close(struct agent *a)
{
	a->order_timer = sd_event_source_disable_unref(a->order_timer);
}
