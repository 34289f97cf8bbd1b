/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's systemd unit, by systemctl. Called by verb-start.c in the process that a person started. */
#include "bootsvc/unit.h"

#include <string.h>
#include <systemd/sd-daemon.h>

#include "libssi/base/cleanup.h"
#include "libssi/base/spawn.h"

#define SHOW_TIMEOUT_MS 10000
#define START_TIMEOUT_MS 120000

int unit_known(void)
{
	char *argv[] = { "systemctl", "show", "--property=LoadState", "--value", UNIT_NAME, NULL };
	_cleanup_free_ char *state = NULL;

	if (sd_booted() <= 0 || ssi_spawn_read(argv, SHOW_TIMEOUT_MS, 4096, &state, NULL) < 0)
		return 0;
	return strcmp(state, "loaded\n") == 0;
}

int unit_start(struct ssi_err *e)
{
	char *argv[] = { "systemctl", "start", UNIT_NAME, NULL };

	return ssi_spawn_run(argv, START_TIMEOUT_MS, e);
}
