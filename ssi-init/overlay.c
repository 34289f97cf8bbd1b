/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounts the writable layer on BOOT_RW and the overlay of both on BOOT_SYSROOT. What it does not do well: a state disk that was written over
 * one generation is laid over the next as it is; a file changed on both sides stays the node's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>
#include "libssi/base/path.h"
#include "ssi-init/boot.h"
#include "ssi-init/disk.h"
#include "ssi-init/outcome.h"
#include "ssi-init/overlay.h"

int overlay_options(const char *lower, const char *rw, char *buf, size_t n)
{
	int len;

	if (strpbrk(lower, ":,\\") || strpbrk(rw, ":,\\"))
		return -EINVAL;
	len = snprintf(buf, n, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, rw, rw);
	return len > 0 && (size_t)len < n ? 0 : -ENOSPC;
}

int overlay_memory(uint64_t total, uint64_t image, char *buf, size_t n)
{
	int len = snprintf(buf, n, "mode=0755,size=%lluk", (unsigned long long)((total > image ? total - image : 0) / 2 / 1024));

	return len > 0 && (size_t)len < n ? 0 : -ENOSPC;
}

static int overlay_mount_memory(const struct ssi_bootargs *a, struct ssi_err *e)
{
	struct sysinfo s = { 0 };
	char options[64];
	int r = sysinfo(&s) < 0 ? -errno : overlay_memory((uint64_t)s.totalram * s.mem_unit, a->root_size, options, sizeof(options));

	if (r == 0 && mount("tmpfs", BOOT_RW, "tmpfs", 0, options) < 0)
		r = -errno;
	return r < 0 ? ssi_errno(e, r, "mount tmpfs on %s", BOOT_RW) : 0;
}

static int overlay_mount_rw(const struct ssi_bootargs *a, struct ssi_err *e)
{
	struct disk d;
	int r;

	if (!a->state[0])
		return overlay_mount_memory(a, e);
	r = disk_wait(a->state + strlen("disk:"), &d, e);
	if (r < 0)
		return ssi_err_prefix(e, "state volume");
	if (strcmp(d.type, "ext4") != 0)
		return ssi_errf(e, -EMEDIUMTYPE, "state volume %s: holds %s, not ext4", d.device, d.type);
	outcome_note("mount state volume %s", d.device);
	if (mount(d.device, BOOT_RW, "ext4", MS_NODEV, NULL) < 0)
		return ssi_errno(e, -errno, "mount state volume %s", d.device);
	return 0;
}

int overlay_mount(const struct ssi_bootargs *a, struct ssi_err *e)
{
	char options[256];
	int r;

	/* What a try before this one left. */
	umount2(BOOT_SYSROOT, MNT_DETACH);
	umount2(BOOT_RW, MNT_DETACH);
	if ((r = ssi_path_mkdirs(BOOT_RW, 0755)) < 0 || (r = ssi_path_mkdirs(BOOT_SYSROOT, 0755)) < 0)
		return ssi_errno(e, r, "mkdir %s or %s", BOOT_RW, BOOT_SYSROOT);
	r = overlay_mount_rw(a, e);
	if (r < 0)
		return r;
	if ((r = ssi_path_mkdirs(BOOT_RW "/upper", 0755)) < 0 || (r = ssi_path_mkdirs(BOOT_RW "/work", 0755)) < 0)
		return ssi_errno(e, r, "mkdir in %s", BOOT_RW);
	r = overlay_options(BOOT_LOWER, BOOT_RW, options, sizeof(options));
	if (r < 0)
		return ssi_errno(e, r, "overlay options");
	outcome_note("laying the writable layer over the root");
	if (mount("overlay", BOOT_SYSROOT, "overlay", 0, options) < 0)
		return ssi_errno(e, -errno, "mount overlay of %s and %s", BOOT_LOWER, BOOT_RW);
	return 0;
}
