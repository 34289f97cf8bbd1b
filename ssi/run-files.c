/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes along with a job and what comes back: tar streams, made and read by tar(1), which knows links, holes and what a name must not be. Called by
 * run-alone.c and run-many.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "ssi/run.h"

static int start(char *const argv[], bool we_read, pid_t *ret_pid, int *ret_fd, struct ssi_err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	struct ssi_spawn_io io = { -1, -1, -1, NULL, NULL };
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return ssi_errno(e, -errno, "a pipe for tar");
	ours = p[!we_read];
	theirs = p[we_read];
	if (we_read)
		io.out = theirs;
	else
		io.in = theirs;
	r = ssi_spawn(argv, &io, SSI_SPAWN_PDEATH | SSI_SPAWN_NEWGROUP, ret_pid, e);
	if (r >= 0)
		*ret_fd = TAKE_FD(ours);
	return r;
}

int run_files_pack(const char *path, pid_t *ret_pid, int *ret_fd, struct ssi_err *e)
{
	_cleanup_free_ char *copy = strdup(path);
	size_t n = copy ? strlen(copy) : 0;
	struct stat st;
	char *slash;

	if (!copy)
		return ssi_errf(e, -ENOMEM, "no memory for a name");
	if (stat(path, &st) < 0)
		return ssi_errno(e, -errno, "--input %s", path);
	if (S_ISDIR(st.st_mode)) {
		char *argv[] = { (char *)"tar", (char *)"-C", copy, (char *)"-cf", (char *)"-", (char *)".", NULL };

		return start(argv, true, ret_pid, ret_fd, e);
	}
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	char *argv[] = { (char *)"tar", (char *)"-C", slash == copy ? (char *)"/" : slash ? copy : (char *)".", (char *)"-chf", (char *)"-", (char *)"--",
			 slash ? slash + 1 : copy, NULL };

	return start(argv, true, ret_pid, ret_fd, e);
}

int run_files_unpack(const char *dir, pid_t *ret_pid, int *ret_fd, struct ssi_err *e)
{
	char *argv[] = { (char *)"tar", (char *)"-C", (char *)dir, (char *)"--no-same-owner", (char *)"-xf", (char *)"-", NULL };
	int r = ssi_path_mkdirs(dir, 0777);

	return r < 0 ? ssi_errno(e, r, "--output %s", dir) : start(argv, false, ret_pid, ret_fd, e);
}

void run_files_end(pid_t pid)
{
	if (!pid)
		return;
	kill(pid, SIGKILL);
	ssi_spawn_wait(pid);
}

int run_files_wait(pid_t pid, const char *what)
{
	int r = pid ? ssi_spawn_wait(pid) : 0;

	if (r)
		fprintf(stderr, "ssi: run: %s: tar has failed\n", what);
	return r != 0;
}
