/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Temporary folders that survive no crash. Called by the cache and the store. The lock, not the name, says whether a builder lives,
 * so process ids that are used again and shared stores of several hosts' namespaces do no harm.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/tmpdir.h"

#define TMPDIR_PREFIX ".tmp-"

/* Is what path names still what fd holds? A sweeper may have been between our mkdir and our lock. */
static bool is_same(const char *path, int fd)
{
	struct stat a, b;

	return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int tmpdir_try(const char *parent, struct tmpdir *t)
{
	_cleanup_free_ char *path = ssi_path_join(parent, TMPDIR_PREFIX "XXXXXX");
	_cleanup_close_ int fd = -1;

	if (!path)
		return -ENOMEM;
	if (!mkdtemp(path))
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == ENOENT || errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (!is_same(path, fd))
		return -EAGAIN;
	t->path = TAKE_PTR(path);
	t->lock = TAKE_FD(fd);
	return 0;
}

int tmpdir_new(const char *parent, struct tmpdir *ret, struct ssi_err *e)
{
	int r = ssi_path_mkdirs(parent, 0755);

	if (r < 0)
		return ssi_errno(e, r, "%s", parent);
	do
		r = tmpdir_try(parent, ret);
	while (r == -EAGAIN);
	return r < 0 ? ssi_errno(e, r, "%s", parent) : 0;
}

/* After a power cut a folder may have its new name and its files nothing in them yet, unless they were synced before. */
static int sync_files(const struct tmpdir *t)
{
	_cleanup_closedir_ DIR *d = opendir(t->path);
	struct dirent *de;
	struct stat st;

	if (!d)
		return -errno;
	while ((de = readdir(d))) {
		_cleanup_close_ int fd = -1;

		if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			continue;
		fd = openat(dirfd(d), de->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			return -errno;
	}
	return fsync(t->lock) < 0 ? -errno : 0;
}

int tmpdir_commit(struct tmpdir *t, const char *path, struct ssi_err *e)
{
	int r = chmod(t->path, 0755) < 0 ? -errno : sync_files(t);

	if (r < 0)
		return ssi_errno(e, r, "%s", t->path);
	if (renameat2(AT_FDCWD, t->path, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		return ssi_errno(e, -errno, "%s", path);
	free(TAKE_PTR(t->path));
	close(TAKE_FD(t->lock));
	r = ssi_file_sync_folder(path);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

void tmpdir_free(struct tmpdir *t)
{
	if (t->path)
		ssi_path_rmtree(t->path);
	free(TAKE_PTR(t->path));
	if (t->lock >= 0)
		close(TAKE_FD(t->lock));
}

static bool sweep_one(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_same(path, fd) && ssi_path_rmtree(path) == 0;
}

int tmpdir_sweep(const char *parent)
{
	_cleanup_closedir_ DIR *d = opendir(parent);
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d))) {
		_cleanup_free_ char *path = NULL;

		if (strncmp(de->d_name, TMPDIR_PREFIX, strlen(TMPDIR_PREFIX)))
			continue;
		path = ssi_path_join(parent, de->d_name);
		n += path && sweep_one(path);
	}
	return n;
}

int tmpdir_discard(const char *parent, const char *path)
{
	_cleanup_tmpdir_ struct tmpdir t = TMPDIR_INIT;
	_cleanup_free_ char *to = NULL;
	int r = tmpdir_new(parent, &t, NULL);

	if (r < 0)
		return r;
	to = ssi_path_join(t.path, "discarded");
	if (!to)
		return -ENOMEM;
	return rename(path, to) < 0 ? -errno : 0;
}
