/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The namespace of an ordinary user's build. Called once by build.c, after the bootstrap (mmdebstrap makes its own). A child left
 * outside runs newuidmap and newgidmap, which are set-user-id and check /etc/subuid and /etc/subgid themselves; we read those files only to
 * know what to ask for. Ranges that come from nss (subid: in nsswitch.conf) are not seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/num.h"
#include "libssi/base/spawn.h"
#include "mkimage/userns.h"

#define SUBIDS_WANTED 65535u     /* ids 1..65535 of a Debian tree, nobody among them */

struct subids {
	uint32_t first, count;
};

/* A line "NAME-OR-ID:FIRST:COUNT". */
static int parse_line(char *line, const char *name, const char *id, struct subids *ret)
{
	char *save = NULL, *who = strtok_r(line, ":\n", &save), *first = strtok_r(NULL, ":\n", &save), *count = strtok_r(NULL, ":\n", &save);
	struct subids s;

	if (!count || (strcmp(who, name) && strcmp(who, id)))
		return -ENOENT;
	if (ssi_num_u32(first, 1, UINT32_MAX, &s.first) < 0 || ssi_num_u32(count, 1, UINT32_MAX, &s.count) < 0)
		return -EINVAL;
	*ret = s;
	return 0;
}

static int read_subids(const char *file, const char *name, uid_t uid, struct subids *ret, struct ssi_err *e)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	char line[256], id[16];

	snprintf(id, sizeof(id), "%u", uid);
	while (f && fgets(line, sizeof(line), f))
		if (parse_line(line, name, id, ret) == 0)
			return 0;
	return ssi_errf(e, -EPERM, "%s gives %s no ids to build with: 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s' as root, or build as root",
			file, name, name);
}

static int run_map(const char *tool, pid_t pid, uint32_t own, const struct subids *s, struct ssi_err *e)
{
	char p[16], o[16], first[16], count[16];
	char *argv[] = { (char *)tool, p, (char *)"0", o, (char *)"1", (char *)"1", first, count, NULL };

	snprintf(p, sizeof(p), "%d", pid);
	snprintf(o, sizeof(o), "%u", own);
	snprintf(first, sizeof(first), "%u", s->first);
	snprintf(count, sizeof(count), "%u", s->count < SUBIDS_WANTED ? s->count : SUBIDS_WANTED);
	return ssi_spawn_run(argv, 10000, e);
}

/* The child outside: waits until the parent is in its namespace, then writes its maps. */
static int map_parent(int ready, pid_t pid, uid_t uid, gid_t gid, const struct subids *u, const struct subids *g, struct ssi_err *e)
{
	char byte;
	int r;

	if (ssi_fd_read_full(ready, &byte, 1) != 1)
		return ssi_errf(e, -EPERM, "no user namespace to map");
	r = run_map("newuidmap", pid, uid, u, e);
	return r < 0 ? r : run_map("newgidmap", pid, gid, g, e);
}

/* What the child has to say: nothing, or an error. */
static int hear(int from, struct ssi_err *e)
{
	struct ssi_err said = { 0 };
	ssize_t n = ssi_fd_read_full(from, &said, sizeof(said));

	if (n == 0)
		return 0;
	said.text[sizeof(said.text) - 1] = '\0';
	return ssi_errf(e, n < 0 || said.code >= 0 ? -EIO : said.code, "%s", said.text);
}

static int enter(const struct subids *u, const struct subids *g, struct ssi_err *e)
{
	_cleanup_close_ int ready_in = -1, ready_out = -1, said_in = -1, said_out = -1;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t parent = getpid(), child;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return ssi_errno(e, -errno, "pipe");
	ready_in = p[0];
	ready_out = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return ssi_errno(e, -errno, "pipe");
	said_in = p[0];
	said_out = p[1];
	child = fork();
	if (child < 0)
		return ssi_errno(e, -errno, "fork");
	if (child == 0) {
		struct ssi_err why = { 0 };

		close(TAKE_FD(ready_out));
		if (map_parent(ready_in, parent, uid, gid, u, g, &why) < 0)
			ssi_fd_write_all(said_out, &why, sizeof(why));
		_exit(0);
	}
	close(TAKE_FD(said_out));
	r = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -errno : 0;
	if (r == 0)
		r = ssi_fd_write_all(ready_out, "x", 1);
	close(TAKE_FD(ready_out));
	if (r < 0)
		ssi_errno(e, r, "user namespaces are not allowed here (as root it works without)");
	else
		r = hear(said_in, e);
	ssi_spawn_wait(child);
	return r;
}

int userns_enter(struct ssi_err *e)
{
	struct subids u, g;
	struct passwd *pw;
	int r;

	if (geteuid() == 0)
		return 0;
	pw = getpwuid(geteuid());
	if (!pw)
		return ssi_errf(e, -EPERM, "user %u has no name, and so no ids in /etc/subuid: build as root", geteuid());
	r = read_subids("/etc/subuid", pw->pw_name, pw->pw_uid, &u, e);
	if (r == 0)
		r = read_subids("/etc/subgid", pw->pw_name, pw->pw_uid, &g, e);
	if (r == 0)
		r = enter(&u, &g, e);
	if (r < 0)
		return r;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return ssi_errno(e, -errno, "become root in the user namespace");
	return 0;
}
