/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves the kernel's file systems into the new root and the new root to /. Called by main. PID 1 goes on from the memory that its program has in the
 * initramfs, so that no page of it ever comes over the network. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"
#include "ssi-init/boot.h"
#include "ssi-init/exitrd.h"
#include "ssi-init/keep.h"
#include "ssi-init/outcome.h"
#include "ssi-init/switch.h"

static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };

int switch_check(const char *init, struct ssi_err *e)
{
	char path[256];

	outcome_note("looking at the new root");
	snprintf(path, sizeof(path), "%s%s", BOOT_SYSROOT, init);
	/* A link is followed by the new root's rules later; here it is enough that it is there. */
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return ssi_errf(e, -ENOENT, "the image has no %s", init);
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", BOOT_SYSROOT, moved[i]);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return ssi_errno(e, -errno, "mkdir %s", path);
	}
	return 0;
}

/* Folders at the top that stay though they are empty: those that the kernel's file systems were on, for what is kept may need them again (session.c), and one that a
 * mount stands on (exitrd.c), which would go with it. */
static bool switch_stays(const char *name)
{
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++)
		if (!strcmp(moved[i] + 1, name))
			return true;
	return !strcmp(name, KEEP_STATE);
}

/* Remove everything below dir that is on the device dev and need not stay. */
static void switch_empty(int dir, dev_t dev, bool keep, bool top)
{
	_cleanup_closedir_ DIR *d = fdopendir(dir);
	struct dirent *de;
	struct stat st;

	while (d && (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") ||
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
			continue;
		if (keep && top && switch_stays(de->d_name))
			continue;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub >= 0)
				switch_empty(sub, dev, keep, false);
			unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR);
		} else if (!keep || (!S_ISLNK(st.st_mode) && !keep_file(de->d_name))) {
			unlinkat(dirfd(d), de->d_name, 0);
		}
	}
}

/* The initramfs is memory: give it back, but not while the boot waits for it. */
static void switch_free(int old, bool keep)
{
	struct stat st;

	if (fstat(old, &st) < 0 || fork() != 0)
		return;
	switch_empty(old, st.st_dev, keep, true);
	_exit(0);
}

int switch_root(bool keep, bool way_back, struct ssi_err *e)
{
	_cleanup_close_ int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char target[64];

	if (keep)
		keep_open();
	/* Without it the volume is checked at the next boot: no reason not to boot this one. */
	if (way_back && keep_is_open() && exitrd_prepare(e) < 0)
		log_warning("%s", e->text);
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(target, sizeof(target), "%s%s", BOOT_SYSROOT, moved[i]);
		/* EINVAL: a try before this one moved it. */
		if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0 && errno != EINVAL)
			return ssi_errno(e, -errno, "moving %s to %s", moved[i], target);
	}
	if (chdir(BOOT_SYSROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return ssi_errno(e, -errno, "moving %s to /", BOOT_SYSROOT);
	if (old >= 0)
		switch_free(old, keep);
	return 0;
}
