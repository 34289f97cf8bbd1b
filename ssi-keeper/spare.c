/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the job's folder before and when there is a job: spare/PID, with all in it that does not hang on what the job is, for to make it takes longer than to
 * start a program. It takes the place of the folder that the agent has made, jobs/NUMBER, at once and whole: a folder without a socket that listens is
 * nobody's, and the agent removes it; then nothing was started. Called by main.c and job.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/path.h"
#include "ssi-keeper/keeper.h"

#define SPARE_FOLDERS "spare"
#define SPARE_HEAP (96u << 10)       /* below what malloc(3) gives back at once */

static int spare_folder(const struct keeper *k, const char *name, mode_t mode, struct ssi_err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "%s%s%s", k->dir, name[0] ? "/" : "", name);
	return mkdir(path, mode) < 0 ? ssi_errno(e, -errno, "%s", path) : 0;
}

static void spare_path(char *ret, size_t n)
{
	snprintf(ret, n, SPARE_FOLDERS "/%d", (int)getpid());
}

/* That of a keeper that was killed, and had this number, may be there still. */
static int spare_begin(struct keeper *k, struct ssi_err *e)
{
	if (mkdir(SPARE_FOLDERS, 0700) < 0 && errno != EEXIST)
		return ssi_errno(e, -errno, SPARE_FOLDERS);
	spare_path(k->dir, sizeof(k->dir));
	if (access(k->dir, F_OK) == 0)
		(void)ssi_path_rmtree(k->dir);
	return spare_folder(k, "", 0711, e);
}

static int spare_listen(struct keeper *k, struct ssi_err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/socket", k->dir);
	k->listener = ssi_jobhop_listen(path, 0600, e);
	return k->listener;
}

/* Memory for what a job is: to have each page for the first time takes its time, too. */
static void spare_heap(void)
{
	void *p = malloc(SPARE_HEAP);

	if (p)
		memset(p, 1, SPARE_HEAP);
	free(p);
}

int spare_make(struct keeper *k, struct ssi_err *e)
{
	char blobs[PATH_MAX + 8];
	int r = spare_begin(k, e);

	spare_heap();
	if (r >= 0)
		r = spare_listen(k, e);
	for (size_t i = 0; i < 3 && r >= 0; i++)
		r = outlet_ring(&k->out[i]) < 0 ? ssi_errf(e, -ENOMEM, "no memory for a job's output") : 0;
	snprintf(blobs, sizeof(blobs), "%s/blobs", k->run_dir);
	/* The folder in which unpack.h lays what is executed: root's until that is done (a user could lead root's links elsewhere). */
	if (r >= 0)
		r = spare_folder(k, "program", 0700, e);
	if (r >= 0)
		r = spare_folder(k, "program/bin", 0755, e);
	if (r >= 0)
		r = spare_folder(k, "program/pin", 0700, e);
	if (r >= 0)
		r = cgroup_make(k, e);
	if (r >= 0)
		r = room_make(k, e);
	return r < 0 ? r : ssi_blobs_open(blobs, 0, &k->blobs, e);   /* links to blobs are made in the room's mounts alone */
}

int spare_take(struct keeper *k)
{
	char dir[sizeof(k->dir)];

	snprintf(dir, sizeof(dir), "jobs/%" PRIu64, k->job);
	if (k->listener < 0)
		return -ENOTCONN;
	if (renameat2(AT_FDCWD, k->dir, AT_FDCWD, dir, RENAME_EXCHANGE) < 0)
		return -errno;
	memcpy(k->dir, dir, sizeof(dir));
	return 0;
}

void spare_clear(struct keeper *k)
{
	char path[sizeof(k->dir)];

	if (k->dir[0])
		ssi_path_rmtree(k->dir);
	spare_path(path, sizeof(path));
	rmdir(path);                         /* the agent's, which is empty and has changed places with it */
}
