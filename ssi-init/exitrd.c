/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by switch.c, and by main when systemd has executed it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"
#include "ssi-init/boot.h"
#include "ssi-init/exitrd.h"
#include "ssi-init/keep.h"
#include "ssi-init/reap.h"

#define DISKS_MS 10000

int exitrd_prepare(struct ssi_err *e)
{
	/* A link, not a copy: PID 1 runs from it already. */
	if (link("/init", "/" KEEP_EXIT) < 0 && errno != EEXIST)
		return ssi_errno(e, -errno, "making /%s", KEEP_EXIT);
	if (mkdir(KEEP_DIR "/" KEEP_STATE, 0700) < 0 && errno != EEXIST)
		return ssi_errno(e, -errno, "mkdir %s", KEEP_DIR "/" KEEP_STATE);
	if (mount(BOOT_RW, KEEP_DIR "/" KEEP_STATE, NULL, MS_BIND, NULL) < 0)
		return ssi_errno(e, -errno, "binding %s to %s", BOOT_RW, KEEP_DIR "/" KEEP_STATE);
	return 0;
}

bool exitrd_is(const char *program)
{
	return strcmp(program, "/" KEEP_EXIT) == 0;
}

static void exitrd_read_only(const struct mntent *m)
{
	_cleanup_close_ int fd = open(m->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* It may stand still for a snapshot, and who would end that is dead. */
	if (fd >= 0)
		(void)ioctl(fd, FITHAW, 0);
	if (mount(NULL, m->mnt_dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		log_warning("%s stays writable: %s; it is checked at the next boot", m->mnt_dir, strerror(errno));
}

/* All mounts of some types, as /proc/self/mounts has them. */
static void exitrd_each(const char *const *types)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	while (f && (m = getmntent(f)))
		for (size_t i = 0; types[i]; i++)
			if (!strcmp(m->mnt_type, types[i]))
				exitrd_read_only(m);
	if (f)
		endmntent(f);
}

/* In a child: the overlay first, then what is below it. */
static void exitrd_disks(void)
{
	sync();
	exitrd_each((const char *[]){ "overlay", NULL });
	exitrd_each((const char *[]){ "ext4", "xfs", NULL });
	sync();
	_exit(0);
}

void exitrd_run(const char *how)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pid = fork();
	if (pid == 0)
		exitrd_disks();
	if (pid > 0 && reap_wait(pid, DISKS_MS) < 0)
		log_warning("the disks did not answer in %d s", DISKS_MS / 1000);
	if (!strcmp(how, "kexec"))
		reboot(RB_KEXEC);
	reboot(!strcmp(how, "poweroff") ? RB_POWER_OFF : !strcmp(how, "halt") ? RB_HALT_SYSTEM : RB_AUTOBOOT);
	for (;;)
		pause();
}
