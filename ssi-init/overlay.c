/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounts the writable layer on BOOT_RW and the overlay of both on BOOT_SYSROOT. A state volume may have been written over another generation than the one
 * below it now: its master has decided that (doc/state.md); a file changed on both sides stays the node's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/path.h"
#include "ssi-init/boot.h"
#include "ssi-init/disk.h"
#include "ssi-init/outcome.h"
#include "ssi-init/overlay.h"

/*
 * What overlayfs promises of a layer that is kept while the one below is exchanged holds for layers that were never mounted with one of these four
 * (Documentation/filesystems/overlayfs.rst, "Changes to underlying filesystems"). They are off by default in some kernels and on in others.
 */
#define OVERLAY_KEPT ",index=off,metacopy=off,redirect_dir=off,xino=off"

int overlay_options(const char *lower, const char *rw, bool kept, char *buf, size_t n)
{
	int len;

	if (strpbrk(lower, ":,\\") || strpbrk(rw, ":,\\"))
		return -EINVAL;
	len = snprintf(buf, n, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work%s", lower, rw, rw, kept ? OVERLAY_KEPT : "");
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

/* ext4 was loaded beside the network; which file system a volume has is known only now. */
static void overlay_load(const char *module)
{
	struct ssi_err e;
	pid_t pid = fork();

	if (pid == 0) {
		boot_exec_helper("init-drivers", (char *[]){ "init-drivers", "load", (char *)module, NULL }, &e);
		outcome_note("%s", e.text);
		_exit(1);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);   /* the mount says what is wrong; the stage has a deadline */
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
	if (strcmp(d.type, "ext4") != 0 && strcmp(d.type, "xfs") != 0)
		return ssi_errf(e, -EMEDIUMTYPE, "state volume %s: holds %s, not ext4 or xfs", d.device, d.type);
	if (strcmp(d.type, "xfs") == 0)
		overlay_load(d.type);
	outcome_note("mount state volume %s", d.device);
	if (mount(d.device, BOOT_RW, d.type, MS_NODEV, NULL) < 0)
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
	r = overlay_options(BOOT_LOWER, BOOT_RW, a->state[0], options, sizeof(options));
	if (r < 0)
		return ssi_errno(e, r, "overlay options");
	outcome_note("laying the writable layer over the root");
	if (mount("overlay", BOOT_SYSROOT, "overlay", 0, options) < 0)
		return ssi_errno(e, -errno, "mount overlay of %s and %s", BOOT_LOWER, BOOT_RW);
	return 0;
}
