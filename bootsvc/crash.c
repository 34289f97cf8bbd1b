/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One comparison where nobody asked for it. Called by failover-step.c and where the machine that takes over is served. */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "bootsvc/crash.h"
#include "libssi/base/log.h"

static const char *const names[CRASH_POINTS] = {
	[CRASH_FAILOVER_BEGUN] = "failover-begun", [CRASH_FAILOVER_FENCED] = "failover-fenced", [CRASH_FAILOVER_CONFIRMED] = "failover-confirmed",
	[CRASH_FAILOVER_BOUND] = "failover-bound", [CRASH_FAILOVER_TOLD] = "failover-told", [CRASH_FAILOVER_POWERED] = "failover-powered",
	[CRASH_FAILOVER_WAITING] = "failover-waiting", [CRASH_FAILOVER_ARMED] = "failover-armed", [CRASH_FAILOVER_KEYED] = "failover-keyed",
	[CRASH_FAILOVER_JOINED] = "failover-joined", [CRASH_FAILOVER_DONE] = "failover-done",
};

static int wanted = -1;

const char *crash_name(enum crash_point p)
{
	return names[p];
}

int crash_set(const char *name)
{
	for (int p = 0; p < CRASH_POINTS; p++)
		if (strcmp(names[p], name) == 0) {
			wanted = p;
			return 0;
		}
	return -1;
}

void crash_here(enum crash_point p)
{
	if ((int)p != wanted)
		return;
	log_notice("ends at %s, as it was told to", names[p]);
	kill(getpid(), SIGKILL);
}
