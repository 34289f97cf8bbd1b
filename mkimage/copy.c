/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of files and folders into a tree. Called by step-tree.c (programs, overlays) and by the steps that keep results. Times are not kept: root.erofs clamps them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/path.h"
#include "mkimage/copy.h"

#define COPY_CHUNK (1u << 20)

/* A folder of the tree, links followed inside it; a new descriptor or -errno. */
static int open_dir_in(int tree_fd, const char *rel)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	long fd = syscall(SYS_openat2, tree_fd, *rel ? rel : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The folder that rel lies in, made where it is missing; *ret_name points into rel. */
static int open_parent(int tree_fd, const char *rel, const char **ret_name)
{
	const char *slash = strrchr(rel, '/'), *name;
	char parent[PATH_MAX];
	int fd, up;

	*ret_name = slash ? slash + 1 : rel;
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - rel) : 0, rel);
	fd = open_dir_in(tree_fd, parent);
	if (fd != -ENOENT)
		return fd;
	up = open_parent(tree_fd, parent, &name);
	if (up < 0)
		return up;
	fd = mkdirat(up, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	close(up);
	return fd < 0 ? fd : open_dir_in(tree_fd, parent);
}

static int copy_content(int from, int to)
{
	_cleanup_free_ char *chunk = NULL;
	ssize_t n;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	chunk = malloc(COPY_CHUNK);
	if (!chunk)
		return -ENOMEM;
	while ((n = ssi_fd_read_full(from, chunk, COPY_CHUNK)) > 0) {
		int r = ssi_fd_write_all(to, chunk, (size_t)n);

		if (r < 0)
			return r;
	}
	return (int)n;
}

static int copy_regular(int at, const char *name, const char *src, unsigned mode)
{
	_cleanup_close_ int from = open(src, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to = -1;
	int r;

	if (from < 0)
		return -errno;
	to = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = copy_content(from, to);
	if (r == 0 && fchmod(to, mode & 07777) < 0)
		r = -errno;
	return r;
}

static int copy_link(int at, const char *name, const char *src)
{
	char target[PATH_MAX];
	ssize_t n = readlink(src, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, at, name) < 0 ? -errno : 0;
}

static int copy_below(int tree_fd, const char *rel, const char *src, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = opendir(src);
	struct dirent *de;
	int r = 0;

	if (!d)
		return ssi_errno(e, -errno, "%s", src);
	while (r == 0 && (de = readdir(d))) {
		_cleanup_free_ char *to = NULL, *from = NULL;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		to = *rel ? ssi_path_join(rel, de->d_name) : strdup(de->d_name);
		from = ssi_path_join(src, de->d_name);
		r = to && from ? copy_into(tree_fd, to, from, e) : ssi_errno(e, -ENOMEM, "%s", src);
	}
	return r;
}

static int copy_folder(int tree_fd, const char *rel, const char *src, unsigned mode, struct ssi_err *e)
{
	_cleanup_close_ int there = open_dir_in(tree_fd, rel), at = -1;
	const char *name;

	if (there < 0) {
		at = open_parent(tree_fd, rel, &name);
		if (at < 0 || mkdirat(at, name, mode & 07777) < 0 || fchmodat(at, name, mode & 07777, 0) < 0)
			return ssi_errno(e, at < 0 ? at : -errno, "%s (in the tree)", rel);
	}
	return copy_below(tree_fd, rel, src, e);
}

int copy_into(int tree_fd, const char *rel, const char *src, struct ssi_err *e)
{
	_cleanup_close_ int at = -1;
	const char *name;
	struct stat st;
	int r;

	if (lstat(src, &st) < 0)
		return ssi_errno(e, -errno, "%s", src);
	if (S_ISDIR(st.st_mode))
		return copy_folder(tree_fd, rel, src, st.st_mode, e);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return ssi_errf(e, -EINVAL, "%s is no file, folder or link", src);
	at = open_parent(tree_fd, rel, &name);
	if (at < 0)
		return ssi_errno(e, at, "%s (in the tree)", rel);
	if (unlinkat(at, name, 0) < 0 && errno != ENOENT)
		return ssi_errno(e, -errno, "%s (in the tree) stands in the way of %s", rel, src);
	r = S_ISLNK(st.st_mode) ? copy_link(at, name, src) : copy_regular(at, name, src, st.st_mode);
	return r < 0 ? ssi_errno(e, r, "%s", src) : 0;
}

int copy_file(const char *from, const char *to, unsigned mode, struct ssi_err *e)
{
	int r = copy_regular(AT_FDCWD, to, from, mode);

	return r < 0 ? ssi_errno(e, r, "copy %s to %s", from, to) : 0;
}
