/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mount namespace of a session: the merged /proc in the place of the real one, which lies below it as /proc/ssi/local. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/view/serve.h"
#include "ssi/view/session.h"

#define FUSE_MAGIC 0x65735546

/* What lies over what: the tree's folder, and the real one with the place where that is to be seen then. */
static const struct { const char *real, *merged, *kept; } over[] = {
	{ "/sys/devices/system/cpu", "/proc/ssi/cpu", "/proc/ssi/local-cpu" }, { "/sys/devices/system/node", "/proc/ssi/node", "/proc/ssi/local-node" },
};
enum { N_OVER = sizeof(over) / sizeof(*over) };

bool session_is_in(void)
{
	struct statfs fs;

	return statfs("/proc", &fs) == 0 && fs.f_type == FUSE_MAGIC && access("/proc/ssi/age", F_OK) == 0;
}

/* Descriptors to 3, 4 ...: first above those, as each may be in the place of another. */
static int place(const int *fds, int n)
{
	int high[SERVE_FS];

	for (int i = 0; i < n; i++)
		if ((high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + n)) < 0)
			return -errno;
	for (int i = 0; i < n; i++)
		dup2(high[i], 3 + i);
	return 0;
}

void session_exec_part(const char *self, const char *option, const int *fds, int n, const char *dir)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || chdir("/") < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	if (place(fds, n) < 0 || close_range(3 + (unsigned)n, ~0U, 0) < 0)
		return;
	execle(self, "ssi-view", option, "3", "--view", dir, (char *)NULL, (char *[]){ (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL });
}

/* The file system's process: root's alone, of no terminal and no session, and a child of nobody here. */
static void be_server(const int *fuse, int go, const char *dir, const char *self)
{
	char c;

	if (setsid() < 0 || fork() != 0 || read(go, &c, 1) != 1)
		_exit(0);
	session_exec_part(self, "--serve", fuse, SERVE_FS, dir);
	_exit(1);
}

static int start_server(const int *fuse, const char *dir, const char *self, int *ret_go)
{
	_cleanup_close_ int in = -1, out = -1;
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	in = p[0];
	out = p[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(out);
		be_server(fuse, in, dir, self);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*ret_go = TAKE_FD(out);
	return 0;
}

/* A folder with all that is mounted below, to be seen elsewhere too. */
static int keep(const char *path)
{
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static int show(int tree, const char *path, struct ssi_err *e)
{
	return move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? ssi_errno(e, -errno, "%s", path) : 0;
}

static int mount_sys(const int *kept, struct ssi_err *e)
{
	for (int i = 0; i < N_OVER; i++) {
		if (kept[i] < 0)
			continue;
		int r = show(kept[i], over[i].kept, e);

		if (r < 0)
			return r;
		if (mount(over[i].merged, over[i].real, NULL, MS_BIND, NULL) < 0)
			return ssi_errno(e, -errno, "%s over %s", over[i].merged, over[i].real);
	}
	return 0;
}

/*
 * A file system that is to be seen nowhere yet: its process can answer before anybody asks it. Read-only: so nothing can be opened to be written, and the
 * kernel does not take what it knows of a file for old because that was read.
 */
static int make_fuse(int fuse, struct ssi_err *e)
{
	_cleanup_close_ int fs = fsopen("fuse", FSOPEN_CLOEXEC);
	static const char *const options[][2] = { { "source", "ssi" }, { "subtype", "ssi-view" }, { "rootmode", "40555" }, { "user_id", "0" },
						  { "group_id", "0" } };
	static const char *const flags[] = { "allow_other", "ro" };
	char fd[16];
	int r;

	if (fs < 0)
		return ssi_errno(e, -errno, "fsopen");
	snprintf(fd, sizeof(fd), "%d", fuse);
	r = fsconfig(fs, FSCONFIG_SET_STRING, "fd", fd, 0);
	for (size_t i = 0; r == 0 && i < sizeof(options) / sizeof(*options); i++)
		r = fsconfig(fs, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0);
	for (size_t i = 0; r == 0 && i < sizeof(flags) / sizeof(*flags); i++)
		r = fsconfig(fs, FSCONFIG_SET_FLAG, flags[i], NULL, 0);
	if (r == 0)
		r = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		r = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return r < 0 ? ssi_errno(e, -errno, "fuse") : r;
}

static int mount_all(const int *fuse, int go, struct ssi_err *e)
{
	_cleanup_close_ int proc = keep("/proc"), first = make_fuse(fuse[0], e), second = first < 0 ? first : make_fuse(fuse[1], e);
	int kept[N_OVER], r = second < 0 ? second : 0;

	if (proc < 0)
		return ssi_errno(e, -errno, "/proc");
	for (int i = 0; i < N_OVER; i++)
		kept[i] = keep(over[i].real);
	if (r == 0)
		r = show(first, "/proc", e);
	if (r == 0 && write(go, "", 1) != 1)
		r = ssi_errno(e, -errno, "the file system's process");
	if (r == 0)
		r = show(second, "/proc/ssi", e);
	if (r == 0)
		r = show(proc, "/proc/ssi/local", e);
	if (r == 0 && mount("/proc/ssi/local/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0)
		r = ssi_errno(e, -errno, "/proc/sys");
	if (r == 0)
		r = mount_sys(kept, e);
	for (int i = 0; i < N_OVER; i++)
		if (kept[i] >= 0)
			close(kept[i]);
	return r;
}

/* What is mounted later in the system is to be seen here, but not the other way round. */
static int own_mounts(struct ssi_err *e)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return ssi_errno(e, -errno, "a mount namespace");
	return 0;
}

int session_enter(const char *dir, const char *self, struct ssi_err *e)
{
	_cleanup_close_ int first = open("/dev/fuse", O_RDWR | O_CLOEXEC), second = open("/dev/fuse", O_RDWR | O_CLOEXEC), go = -1;
	const int fuse[SERVE_FS] = { first, second };
	int r;

	if (first < 0 || second < 0)
		return ssi_errno(e, -errno, "/dev/fuse");
	r = start_server(fuse, dir, self, &go);
	if (r < 0)
		return ssi_errno(e, r, "the file system's process");
	r = own_mounts(e);
	return r < 0 ? r : mount_all(fuse, go, e);
}

void session_await(const char *dir)
{
	_cleanup_free_ char *wanted = ssi_path_join(dir, "wanted"), *processes = ssi_path_join(dir, "processes");

	for (int i = 0; i < 100 && wanted && processes && access(wanted, F_OK) == 0 && access(processes, F_OK) < 0; i++)
		usleep(20000);
}

int session_leave(struct ssi_err *e)
{
	int r = own_mounts(e);

	if (r < 0)
		return r;
	for (int i = 0; i < N_OVER; i++)
		umount2(over[i].real, MNT_DETACH);
	return umount2("/proc", MNT_DETACH) < 0 ? ssi_errno(e, -errno, "/proc") : 0;
}
