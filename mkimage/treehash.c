/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests of folders. Called by inputs.c. Names are taken in byte order, and every field is ended or counted, so that no two
 * different trees write the same stream. It reads every byte: a tree of a gigabyte takes seconds. Of extended attributes only
 * file capabilities count; hard links count as separate files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "mkimage/treehash.h"

#define TREEHASH_CHUNK (128 * 1024)

static void add_num(struct ssi_hash *h, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	ssi_hash_adds(h, text);
}

static int add_content(struct ssi_hash *h, int fd, off_t size)
{
	_cleanup_free_ char *chunk = malloc(TREEHASH_CHUNK);
	off_t left = size;
	ssize_t n;

	if (!chunk)
		return -ENOMEM;
	add_num(h, (uint64_t)size);
	for (; left > 0; left -= n) {
		n = ssi_fd_read_full(fd, chunk, left < TREEHASH_CHUNK ? (size_t)left : TREEHASH_CHUNK);
		if (n <= 0)
			return n < 0 ? (int)n : -EAGAIN;      /* it shrank while we read */
		ssi_hash_add(h, chunk, (size_t)n);
	}
	return 0;
}

static int add_regular(struct ssi_hash *h, int at, const char *name, const struct stat *st)
{
	_cleanup_close_ int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char cap[64];
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = fgetxattr(fd, "security.capability", cap, sizeof(cap));
	if (n > 0) {
		ssi_hash_adds(h, "capability");
		ssi_hash_add(h, cap, (size_t)n);
	}
	r = add_content(h, fd, st->st_size);
	return r;
}

static int add_link(struct ssi_hash *h, int at, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(at, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	ssi_hash_adds(h, target);
	return 0;
}

static void add_owner(struct ssi_hash *h, const struct stat *st)
{
	add_num(h, st->st_uid == geteuid() ? 0 : st->st_uid);
	add_num(h, st->st_gid == getegid() ? 0 : st->st_gid);
	if (!S_ISDIR(st->st_mode))
		add_num(h, (uint64_t)st->st_mtime);
}

static int add_dir(struct ssi_hash *h, int fd, unsigned flags, char *path, size_t len);

/* path holds the folder's path with len bytes, for messages; the entry's name is put behind it. */
static int add_entry(struct ssi_hash *h, int at, const char *name, unsigned flags, char *path, size_t len)
{
	struct stat st;
	int fd;

	snprintf(path + len, PATH_MAX - len, "/%s", name);
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	ssi_hash_adds(h, name);
	add_num(h, st.st_mode);
	if (flags & TREEHASH_OWNER)
		add_owner(h, &st);
	if (S_ISREG(st.st_mode))
		return add_regular(h, at, name, &st);
	if (S_ISLNK(st.st_mode))
		return add_link(h, at, name);
	if (!S_ISDIR(st.st_mode)) {
		add_num(h, st.st_rdev);
		return 0;
	}
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return add_dir(h, fd, flags, path, strlen(path));
}

static int is_entry(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Takes fd. On failure path names what could not be read. */
static int add_dir(struct ssi_hash *h, int fd, unsigned flags, char *path, size_t len)
{
	_cleanup_close_ int dir = fd;
	struct dirent **names;
	int n = scandirat(dir, ".", &names, is_entry, by_name), r = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = add_entry(h, dir, names[i]->d_name, flags, path, len);
		free(names[i]);
	}
	free(names);
	if (r < 0)
		return r;
	path[len] = '\0';
	ssi_hash_adds(h, "");
	return 0;
}

int treehash_add(struct ssi_hash *h, const char *dir, unsigned flags, struct ssi_err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	char path[PATH_MAX];

	if (fd < 0)
		return ssi_errno(e, -errno, "%s", dir);
	snprintf(path, sizeof(path), "%s", dir);
	r = add_dir(h, fd, flags, path, strlen(path));
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

int treehash_add_file(struct ssi_hash *h, const char *path, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ssi_errno(e, -errno, "%s", path);
	add_num(h, st.st_mode & 0111);
	r = add_content(h, fd, st.st_size);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}
