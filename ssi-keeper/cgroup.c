/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a job's cgroup (version 2): ssi-jobs/KEEPER.FOLDER, made before there is a job and removed with it. What all jobs together may have leaves the
 * node itself room to live; a job may have what was asked for it, and so many processes. A controller that the node has not is done without: what a node
 * cannot bound it still can start.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi-keeper/keeper.h"

#define CGROUP_JOBS "ssi-jobs"
#define CGROUP_AFTER "after"
#define CGROUP_PROCESSES "8192"
#define CGROUP_PERIOD_US 100000u
#define CGROUP_GONE_MS 2000          /* the kernel is asked so long to let a cgroup go in which nobody is any more */

static const char *cgroup_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs s;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (statfs(places[i], &s) == 0 && s.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

/* One by one: what cannot be had does not take the others with it. */
static void cgroup_controllers(int dir)
{
	static const char *const all[] = { "+memory", "+pids", "+cpu", "+io" };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		(void)ssi_file_poke_at(dir, "cgroup.subtree_control", all[i]);
}

/* Nine tenths of the machine's memory are for all jobs together. */
static void cgroup_all(int dir)
{
	uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, total / 10 * 9);
	(void)ssi_file_poke_at(dir, "memory.max", text);
	cgroup_controllers(dir);
}

static int cgroup_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	at = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -errno : at;
}

void cgroup_ready(void)
{
	const char *root = cgroup_root();
	_cleanup_close_ int top = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	_cleanup_close_ int jobs = top < 0 ? -1 : cgroup_folder(top, CGROUP_JOBS);

	if (jobs < 0)
		return;
	cgroup_controllers(top);
	cgroup_all(jobs);
}

int cgroup_make(struct keeper *k, struct ssi_err *e)
{
	const char *root = cgroup_root();
	_cleanup_close_ int top = -1, jobs = -1;
	char name[64];
	struct stat st;

	if (!root)
		return 0;
	if (stat(".", &st) < 0)
		return ssi_errno(e, -errno, "the agent's folder");
	top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	jobs = top < 0 ? -errno : cgroup_folder(top, CGROUP_JOBS);
	if (jobs < 0)
		return ssi_errno(e, jobs, "%s/" CGROUP_JOBS, root);
	/* Of this folder's agent: others on the same machine, in namespaces of theirs, may have a job and a pid of these numbers too. */
	snprintf(name, sizeof(name), "%d.%llx", (int)getpid(), (unsigned long long)st.st_ino);
	unlinkat(jobs, name, AT_REMOVEDIR);  /* of one that was killed: what was in it was killed together, see cgroup_after() */
	k->cgroup_fd = cgroup_folder(jobs, name);
	if (k->cgroup_fd < 0)
		return ssi_errno(e, k->cgroup_fd, "%s/" CGROUP_JOBS "/%s", root, name);
	snprintf(k->cgroup, sizeof(k->cgroup), "%s/" CGROUP_JOBS "/%s", root, name);
	(void)ssi_file_poke_at(k->cgroup_fd, "pids.max", CGROUP_PROCESSES);
	(void)ssi_file_poke_at(k->cgroup_fd, "memory.oom.group", "1");
	return record_write(k, "cgroup", k->cgroup, strlen(k->cgroup));
}

void cgroup_bound(const struct keeper *k)
{
	char text[48];

	if (k->cgroup_fd < 0)
		return;
	if (k->spec->memory) {
		snprintf(text, sizeof(text), "%" PRIu64, k->spec->memory);
		(void)ssi_file_poke_at(k->cgroup_fd, "memory.max", text);
		(void)ssi_file_poke_at(k->cgroup_fd, "memory.swap.max", "0");
	}
	if (k->spec->cpus) {
		snprintf(text, sizeof(text), "%" PRIu64 " %u", (uint64_t)k->spec->cpus * CGROUP_PERIOD_US, CGROUP_PERIOD_US);
		(void)ssi_file_poke_at(k->cgroup_fd, "cpu.max", text);
	}
}

bool cgroup_starved(const struct keeper *k)
{
	_cleanup_free_ char *text = NULL;
	const char *at;

	if (k->cgroup_fd < 0 || ssi_file_read_at(k->cgroup_fd, "memory.events", 4096, &text, NULL) < 0)
		return false;
	at = strstr(text, "\noom_kill ");
	return at && at[10] != '0';
}

void cgroup_kill(const struct keeper *k)
{
	if (k->cgroup_fd >= 0)
		(void)ssi_file_poke_at(k->cgroup_fd, "cgroup.kill", "1");
}

/* Linux from 6.14 on kills at once what is cloned into a cgroup whose processes were ever killed together: another one, within the same bounds. */
void cgroup_after(struct keeper *k)
{
	int below;

	cgroup_kill(k);
	below = k->cgroup_fd >= 0 ? cgroup_folder(k->cgroup_fd, CGROUP_AFTER) : -1;
	if (below < 0)
		return;
	close(k->cgroup_fd);
	k->cgroup_fd = below;
}

void cgroup_clear(struct keeper *k)
{
	char below[PATH_MAX + sizeof(CGROUP_AFTER) + 1];

	if (!k->cgroup[0])
		return;
	cgroup_kill(k);
	snprintf(below, sizeof(below), "%s/" CGROUP_AFTER, k->cgroup);
	for (int i = 0; rmdir(below) < 0 && errno == EBUSY && i < CGROUP_GONE_MS; i++)
		poll(NULL, 0, 1);
	for (int i = 0; rmdir(k->cgroup) < 0 && errno == EBUSY && i < CGROUP_GONE_MS; i++)
		poll(NULL, 0, 1);
	close(TAKE_FD(k->cgroup_fd));
	k->cgroup[0] = '\0';
}
