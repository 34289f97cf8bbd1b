/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two tables of mounts and one loop. Called by the init stage and, after the switch, by the system stage. */
#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "ssi-init/boot.h"
#include "ssi-init/mounts.h"

struct mount_point {
	const char *type, *where, *options;
	unsigned long flags;
	bool optional;                   /* a kernel may lack it */
};

#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct mount_point first[] = {
	{ "proc", "/proc", NULL, QUIET, false },
	{ "sysfs", "/sys", NULL, QUIET, false },
	{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID, false },
	{ "tmpfs", "/run", "mode=0755,size=20%", MS_NOSUID | MS_NODEV, false },
};

static const struct mount_point system_mounts[] = {
	{ "cgroup2", "/sys/fs/cgroup", "nsdelegate", QUIET, true },
	{ "devpts", "/dev/pts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, false },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, false },
	{ "mqueue", "/dev/mqueue", NULL, QUIET, true },
	{ "tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV, false },
};

static int mounts_do(const struct mount_point *m, size_t n, struct ssi_err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (mkdir(m[i].where, 0755) < 0 && errno != EEXIST && !m[i].optional)
			return ssi_errno(e, -errno, "mkdir %s", m[i].where);
		if (mount(m[i].type, m[i].where, m[i].type, m[i].flags, m[i].options) < 0 && errno != EBUSY && !m[i].optional)
			return ssi_errno(e, -errno, "mount %s on %s", m[i].type, m[i].where);
	}
	return 0;
}

int mounts_first(struct ssi_err *e)
{
	int r = mounts_do(first, sizeof(first) / sizeof(first[0]), e);

	if (r < 0)
		return r;
	if (mkdir(BOOT_RUN, 0755) < 0 && errno != EEXIST)
		return ssi_errno(e, -errno, "mkdir %s", BOOT_RUN);
	return 0;
}

int mounts_system(struct ssi_err *e)
{
	return mounts_do(system_mounts, sizeof(system_mounts) / sizeof(system_mounts[0]), e);
}
