/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what the agent knows of its keepers by their folders, and how they are started. Called by jobs.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "libssi/comm/jobframe.h"
#include "ssi-agent/keepers.h"

#define KEEPERS_HELD_MAX 1024

static int keepers_on_end(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	sd_event_source_set_floating(s, false);
	sd_event_source_unref(s);
	return 0;
}

static int keepers_serve(sd_event *event, const char *program, struct ssi_err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1, report = -1;
	char *argv[] = { (char *)program, (char *)"--copies", NULL };
	sd_event_source *child = NULL;
	int p[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
		return ssi_errno(e, -errno, "a socket to the keepers");
	ours = p[0];
	theirs = p[1];
	r = ssi_spawn_start(argv, &(struct ssi_spawn_io){ theirs, -1, -1, NULL, NULL }, 0, &pid, &report, e);
	if (r < 0)
		return r;
	r = sd_event_add_child(event, &child, pid, WEXITED, keepers_on_end, NULL);
	if (r >= 0)
		r = sd_event_source_set_floating(child, true);
	return r < 0 ? ssi_errno(e, r, "event loop") : TAKE_FD(ours);
}

static int keepers_send(int server, int fd)
{
	union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(int))]; } control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec v = { (char *)"", 1 };
	const struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(server, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int keepers_start(sd_event *event, const char *program, int *server, struct ssi_err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int p[2], r = *server < 0 ? -ENOTCONN : 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
		return ssi_errno(e, -errno, "a socket to a keeper");
	ours = p[0];
	theirs = p[1];
	ssi_jobhop_widen(ours);
	ssi_jobhop_widen(theirs);
	for (int turn = 0; turn < 2; turn++) {
		if (r >= 0)
			r = keepers_send(*server, theirs);
		if (r >= 0)
			return TAKE_FD(ours);
		if (r == -EAGAIN || turn)
			break;
		if (*server >= 0)            /* somebody has killed it */
			close(TAKE_FD(*server));
		r = *server = keepers_serve(event, program, e);
		if (r < 0)
			return r;
	}
	return ssi_errno(e, r, "a socket to a keeper");
}

int keepers_folder(uint64_t job)
{
	char path[64];

	snprintf(path, sizeof(path), "jobs/%" PRIu64, job);
	if (mkdir(path, 0711) == 0)
		return 0;
	if (errno != ENOENT || mkdir("jobs", 0711) < 0)
		return -errno;
	return mkdir(path, 0711) < 0 ? -errno : 0;
}

static int keepers_connect_to(const char *folder)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", folder);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	ssi_jobhop_widen(fd);
	return TAKE_FD(fd);
}

int keepers_connect(uint64_t job)
{
	char path[64];

	snprintf(path, sizeof(path), "jobs/%" PRIu64, job);
	return keepers_connect_to(path);
}

static int keepers_bury_folder(const char *path)
{
	char file[80], cgroup[PATH_MAX], kill[PATH_MAX + 16];

	if (access(path, F_OK) < 0)
		return 0;
	snprintf(file, sizeof(file), "%s/cgroup", path);
	if (ssi_file_read_line(file, cgroup, sizeof(cgroup)) >= 0 && cgroup[0] == '/') {
		snprintf(kill, sizeof(kill), "%s/cgroup.kill", cgroup);
		(void)ssi_file_poke(kill, "1");
		snprintf(kill, sizeof(kill), "%s/after", cgroup);   /* where its results were packed */
		rmdir(kill);
		if (rmdir(cgroup) < 0 && errno == EBUSY)
			return -EBUSY;
	}
	return ssi_path_rmtree(path) < 0 ? -EBUSY : 1;
}

int keepers_bury(uint64_t job)
{
	char path[64];

	snprintf(path, sizeof(path), "jobs/%" PRIu64, job);
	return keepers_bury_folder(path);
}

void keepers_sweep(void)
{
	_cleanup_closedir_ DIR *d = opendir("spare");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_cleanup_close_ int fd = -1;
		char path[64];
		uint64_t pid;

		if (ssi_num_u64(entry->d_name, 1, UINT64_MAX, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "spare/%" PRIu64, pid);
		fd = keepers_connect_to(path);
		if (fd == -ENOENT || fd == -ECONNREFUSED)
			(void)keepers_bury_folder(path);
	}
}

static int keepers_held(uint64_t job, int fd, int (*found)(const Ssi__Job__Held *held, int fd, void *userdata), void *userdata)
{
	Ssi__Job__Held none = SSI__JOB__HELD__INIT, *held = NULL;
	_cleanup_free_ char *text = NULL;
	char path[80];
	size_t n;
	int r;

	snprintf(path, sizeof(path), "jobs/%" PRIu64 "/held", job);
	if (ssi_file_read(path, KEEPERS_HELD_MAX, &text, &n) >= 0)
		held = ssi__job__held__unpack(NULL, n, (const uint8_t *)text);
	none.job = job;
	none.what = SSI__JOB__STATE__WHAT__LOADING;      /* so young that it has not said anything */
	r = found(held ? held : &none, fd, userdata);
	if (held)
		ssi__job__held__free_unpacked(held, NULL);
	return r;
}

int keepers_find(int (*found)(const Ssi__Job__Held *held, int fd, void *userdata), void *userdata)
{
	_cleanup_closedir_ DIR *d = opendir("jobs");
	struct dirent *entry;
	int r = 0;

	while (r >= 0 && d && (entry = readdir(d))) {
		uint64_t job;
		int fd;

		if (ssi_num_u64(entry->d_name, 1, UINT64_MAX, &job) < 0)
			continue;
		fd = keepers_connect(job);
		if (fd >= 0)
			r = keepers_held(job, fd, found, userdata);
		else if ((fd == -ENOENT || fd == -ECONNREFUSED) && keepers_bury(job) == -EBUSY)
			r = found(&(Ssi__Job__Held){ .job = job }, -1, userdata);
	}
	return r;
}
