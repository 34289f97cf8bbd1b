/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts the image. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "ssi-init/boot.h"
#include "ssi-init/disk.h"
#include "ssi-init/nfs.h"
#include "ssi-init/outcome.h"
#include "ssi-init/root.h"

#define READ_AHEAD_KIB "1024"

/* A generation never changes, so attributes and names are kept for a day (actimeo) and opens do not ask again (nocto). */
#define NFS_HOW "nocto,actimeo=86400"

static int root_mount_nfs(const struct ssi_bootargs *a, struct ssi_err *e)
{
	int r = nfs_mount(a, a->root + strlen("nfs:"), BOOT_LOWER, MS_RDONLY, NFS_HOW, e);

	return r == -EBUSY ? 0 : r;
}

static int root_mount_disk(const struct ssi_bootargs *a, struct ssi_err *e)
{
	struct disk d;
	int r = disk_wait(a->root + strlen("disk:"), &d, e);

	if (r < 0)
		return r;
	outcome_note("mount %s", d.device);
	if (mount(d.device, BOOT_LOWER, d.type, MS_RDONLY | MS_NODEV, NULL) < 0 && errno != EBUSY)
		return ssi_errno(e, -errno, "mount %s (%s)", d.device, d.type);
	return 0;
}

/* The device that init-image has made, by the name it has in /proc/mounts then. */
static int root_mount_ram(struct ssi_err *e)
{
	char device[32];
	ssize_t n = readlink(BOOT_IMAGE, device, sizeof(device) - 1);

	if (n < 0)
		return ssi_errno(e, -errno, "%s", BOOT_IMAGE);
	device[n] = '\0';
	outcome_note("mount %s", device);
	if (mount(device, BOOT_LOWER, "erofs", MS_RDONLY | MS_NODEV, NULL) < 0 && errno != EBUSY)
		return ssi_errno(e, -errno, "mount %s (the image in memory)", device);
	return 0;
}

/* By the serial number of its disk, which is the generation's: whatever else the session brought is something else. */
static int root_mount_iscsi(const struct ssi_bootargs *a, struct ssi_err *e)
{
	char spec[64];
	struct disk d;
	int r;

	snprintf(spec, sizeof(spec), "SERIAL=%.48s", a->root + strlen("iscsi:"));
	r = disk_wait(spec, &d, e);
	if (r < 0)
		return r;
	outcome_note("mount %s", d.device);
	if (mount(d.device, BOOT_LOWER, "erofs", MS_RDONLY | MS_NODEV, NULL) < 0 && errno != EBUSY)
		return ssi_errno(e, -errno, "mount %s (the image's LUN)", d.device);
	return 0;
}

static int root_mount_any(const struct ssi_bootargs *a, struct ssi_err *e)
{
	if (!strncmp(a->root, "ram:", 4))
		return root_mount_ram(e);
	if (!strncmp(a->root, "iscsi:", 6))
		return root_mount_iscsi(a, e);
	return strncmp(a->root, "disk:", 5) ? root_mount_nfs(a, e) : root_mount_disk(a, e);
}

/* The kernel reads 128 KiB ahead, whatever a file system's way is: over a network that is one question at a time. Where it cannot be set, reading is slower. */
static void root_read_ahead(void)
{
	char path[64];
	struct stat st;

	if (stat(BOOT_LOWER, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev), minor(st.st_dev));
	(void)ssi_file_poke(path, READ_AHEAD_KIB);
}

int root_mount(const struct ssi_bootargs *a, struct ssi_err *e)
{
	int r = ssi_path_mkdirs(BOOT_LOWER, 0755);

	if (r < 0)
		return ssi_errno(e, r, "mkdir %s", BOOT_LOWER);
	r = root_mount_any(a, e);
	if (r == 0)
		root_read_ahead();
	return r;
}
