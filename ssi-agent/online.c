/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the switching on of what was plugged in. Called by hotplug.c, the work itself in a child: the kernel starts a processor, or makes the tables of a
 * memory block, in the call. Processors and memory share one attribute, "online", of every device that can be off (Documentation/ABI/testing/sysfs-devices-online).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/file.h"
#include "ssi-agent/online.h"

bool online_is(const char *devpath)
{
	static const char *const places[] = { "/devices/system/cpu/cpu", "/devices/system/memory/memory" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t n = strlen(places[i]);

		if (!strncmp(devpath, places[i], n) && devpath[n] >= '0' && devpath[n] <= '9')
			return true;
	}
	return false;
}

void online_policy(int sys)
{
	(void)ssi_file_poke_at(sys, "module/memory_hotplug/parameters/online_policy", "auto-movable");
}

int online_bring(int sys, const char *devpath)
{
	char path[PATH_MAX], state[8];
	int r;

	if (!online_is(devpath))
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof(path), "%s/online", devpath + 1) >= sizeof(path))
		return -ENAMETOOLONG;
	r = ssi_file_read_line_at(sys, path, state, sizeof(state));
	if (r < 0)
		return r;
	if (strcmp(state, "0") != 0)
		return 0;
	r = ssi_file_poke_at(sys, path, "1");
	return r < 0 ? r : 1;
}
