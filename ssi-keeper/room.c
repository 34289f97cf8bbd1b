/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the namespaces a job runs in: of processes, mounts and System V objects. The keeper itself is in the mount namespace, and outside of the others'
 * tree of processes: its children are in it (unshare(2)). Pid 1 there is a process that does nothing; what is left to it the kernel reaps, and everything
 * in there dies with it, as it dies with the keeper. All this is made before there is a job, for it takes longer than to start one. What a program leaves
 * in /tmp or /dev/shm goes with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi-keeper/keeper.h"

#define ROOM_QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* In pid 1. word: where it says 0 or -errno once /proc is its own; the keeper's end of it is closed when the keeper is no more. */
static void room_pid1(int word)
{
	struct pollfd p = { .fd = word };
	int r = 0;

	prctl(PR_SET_NAME, "ssi-job");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	if (mount("proc", "/proc", "proc", ROOM_QUIET, NULL) < 0)
		r = -errno;
	if (dup2(word, 3) < 0 || close_range(4, ~0U, 0) < 0)
		_exit(1);
	p.fd = 3;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)))
		_exit(1);                    /* it died before we asked to be told */
	if (ssi_fd_write_all(3, &r, sizeof(r)) < 0 || r < 0 || close_range(0, ~0U, 0) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* A file system of the job's own where others of the same node would see its files, and keep them. Not where the agent's folder is below it. */
static int room_tmpfs(const struct keeper *k, const char *where)
{
	size_t n = strlen(where);
	struct stat st;

	if ((!strncmp(k->run_dir, where, n) && (k->run_dir[n] == '/' || !k->run_dir[n])) || stat(where, &st) < 0)
		return 0;
	return mount("tmpfs", where, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=50%") < 0 ? -errno : 0;
}

/* Its own working directory: root's as long as nobody is known whose it is to be. */
static int room_work_mount(struct keeper *k, struct ssi_err *e)
{
	_cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char path[96];

	snprintf(path, sizeof(path), "%s/work", k->dir);
	if (mkdir(path, 0711) < 0)
		return ssi_errno(e, -errno, "%s", path);
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", "50%", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ssi_errno(e, -errno, "a file system for a working directory");
	k->work_fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (k->work_fd < 0 || move_mount(k->work_fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ssi_errno(e, -errno, "a working directory at %s", path);
	return 0;
}

static int room_work_size(const struct keeper *k)
{
	_cleanup_close_ int fs = fspick(k->work_fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	char size[32];

	snprintf(size, sizeof(size), "%llu", (unsigned long long)k->spec->memory);
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 || fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}

int room_work(struct keeper *k, struct ssi_err *e)
{
	int r = 0;

	if (k->spec->shared_cwd)
		return 0;
	if (k->spec->memory)
		r = room_work_size(k);
	if (r >= 0 && fchownat(k->work_fd, "", k->spec->uid, k->spec->gid, AT_EMPTY_PATH) < 0)
		r = -errno;
	return r < 0 ? ssi_errno(e, r, "its working directory") : 0;
}

int room_make(struct keeper *k, struct ssi_err *e)
{
	_cleanup_close_ int from = -1, to = -1;
	int p[2], r = 0;

	if (pipe2(p, O_CLOEXEC) < 0)
		return ssi_errno(e, -errno, "pipe");
	from = p[0];
	to = p[1];
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) < 0)
		return ssi_errno(e, -errno, "namespaces for a job");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return ssi_errno(e, -errno, "a job's mounts");
	r = room_tmpfs(k, "/tmp");
	if (r >= 0)
		r = room_tmpfs(k, "/dev/shm");
	if (r < 0)
		return ssi_errno(e, r, "a job's own /tmp and /dev/shm");
	r = room_work_mount(k, e);
	if (r < 0)
		return r;
	k->reaper = fork();
	if (k->reaper < 0) {
		k->reaper = 0;
		return ssi_errno(e, -errno, "fork");
	}
	if (k->reaper == 0) {
		close(from);
		room_pid1(to);
	}
	close(TAKE_FD(to));
	if (ssi_fd_read_full(from, &r, sizeof(r)) != sizeof(r))
		return ssi_errf(e, -EIO, "pid 1 of a job's namespace ended");
	return r < 0 ? ssi_errno(e, r, "a job's own /proc") : 0;
}


void room_end(struct keeper *k)
{
	if (k->reaper)
		kill(k->reaper, SIGKILL);
}

void room_clear(struct keeper *k)
{
	char path[PATH_MAX];

	/* It cannot be reaped before all others in there are: who is our child there we have reaped. */
	while (k->reaper && waitpid(k->reaper, NULL, 0) < 0 && errno == EINTR)
		;
	k->reaper = 0;
	if (k->work_fd < 0)
		return;
	close(TAKE_FD(k->work_fd));
	snprintf(path, sizeof(path), "%s/work", k->dir);
	umount2(path, MNT_DETACH);
}
