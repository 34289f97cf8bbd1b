/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the folder of blobs: what is in it, what is in use, and what goes when there is no room. Called by keepers. A scan of the folder for each new blob is
 * what it costs to have no daemon: some hundred names, less than what one blob takes to come.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "ssi/rexec/blobs-internal.h"

#define BLOBS_LOCK ".lock"
#define BLOBS_NAME (SSI_HASH_HEX + 24)   /* HEXDIGEST, HEXDIGEST-COST, .new.NUMBER, .new.NUMBER-COST */

int ssi_blobs_open(const char *path, uint64_t limit, struct ssi_blobs **ret, struct ssi_err *e)
{
	struct ssi_blobs *b = calloc(1, sizeof(*b));
	struct sysinfo s;
	struct statvfs v;
	int r = b ? ssi_path_mkdirs(path, 0711) : -ENOMEM;

	if (!b)
		return ssi_errf(e, r, "no memory for blobs");
	b->lock = -1;
	b->path = strdup(path);
	b->dir = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->dir >= 0 && b->path)
		b->lock = openat(b->dir, BLOBS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r >= 0 && (b->lock < 0 || fchmod(b->dir, 0711) < 0))
		r = -errno;
	if (r < 0) {
		ssi_blobs_close(b);
		return ssi_errno(e, r, "the folder of blobs %s", path);
	}
	if (fstatvfs(b->dir, &v) == 0 && (v.f_flag & ST_NOEXEC)) {
		ssi_blobs_close(b);
		return ssi_errf(e, -EACCES, "%s lies in a file system that is mounted noexec: programs that travel cannot run from there", path);
	}
	b->limit = limit ? limit : sysinfo(&s) == 0 ? (uint64_t)s.totalram * s.mem_unit / 4 : 64u << 20;
	*ret = b;
	return 0;
}

void ssi_blobs_close(struct ssi_blobs *b)
{
	if (!b)
		return;
	if (b->dir >= 0)
		close(b->dir);
	if (b->lock >= 0)
		close(b->lock);
	free(b->path);
	free(b);
}

const char *ssi_blobs_path(const struct ssi_blobs *b)
{
	return b->path;
}

int blobs_lock(const struct ssi_blobs *b, int how, struct ssi_err *e)
{
	while (flock(b->lock, how) < 0)
		if (errno != EINTR)
			return ssi_errno(e, -errno, "the lock of %s", b->path);
	return 0;
}

void blobs_unlock(const struct ssi_blobs *b)
{
	flock(b->lock, LOCK_UN);
}

/* --- what is there --- */

struct blob { char name[BLOBS_NAME]; struct timespec used; uint64_t size; bool pinned; };
struct blobs_list { struct blob *blobs; size_t n, cap; uint64_t bytes, in_use; };

/* The digest in a name, of a blob or a tree. */
static bool blobs_is_name(const char *s, char ret_hex[SSI_HASH_HEX])
{
	size_t n = strcspn(s, "-");
	uint8_t digest[SSI_HASH_BYTES];

	if (n != SSI_HASH_HEX - 1)
		return false;
	memcpy(ret_hex, s, n);
	ret_hex[n] = '\0';
	return ssi_hash_unhex(ret_hex, digest, sizeof(digest)) == 0;
}

/* What it takes: a tree says so in its name. */
static uint64_t blobs_size(const char *name, const struct stat *st)
{
	const char *cost = strchr(name, '-');
	uint64_t bytes;

	return cost && ssi_num_u64(cost + 1, 0, UINT64_MAX / 2, &bytes) == 0 ? bytes : (uint64_t)st->st_size;
}

/* A tree is in use as long as its blob is. */
static bool blobs_in_use(const struct ssi_blobs *b, const char *hex, const struct stat *st)
{
	struct stat blob = *st;

	return (!S_ISDIR(st->st_mode) || fstatat(b->dir, hex, &blob, AT_SYMLINK_NOFOLLOW) == 0) && blob.st_nlink > 1;
}

/* A file, or the folder of a tree. */
static int blobs_remove(const struct ssi_blobs *b, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (unlinkat(b->dir, name, 0) == 0)
		return 0;
	path = errno == EISDIR ? ssi_path_join(b->path, name) : NULL;
	return path ? ssi_path_rmtree(path) : -errno;
}

/* One that is being written is locked by its writer; one that is not was left behind by a killed one. */
static bool blobs_abandoned(const struct ssi_blobs *b, const char *name)
{
	_cleanup_close_ int fd = openat(b->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static int blobs_look(const struct ssi_blobs *b, const char *name, struct blobs_list *l)
{
	char hex[SSI_HASH_HEX] = "";
	bool whole = blobs_is_name(name, hex);
	struct stat st;

	if ((!whole && strncmp(name, ".new.", 5) != 0) || strlen(name) >= BLOBS_NAME || fstatat(b->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!whole && blobs_abandoned(b, name)) {
		blobs_remove(b, name);
		return 0;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct blob *more = realloc(l->blobs, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->blobs = more;
		l->cap = cap;
	}
	l->blobs[l->n] = (struct blob){ .used = st.st_mtim, .size = blobs_size(name, &st), .pinned = !whole || blobs_in_use(b, hex, &st) };
	strcpy(l->blobs[l->n].name, name);
	l->bytes += l->blobs[l->n].size;
	l->in_use += l->blobs[l->n].pinned ? l->blobs[l->n].size : 0;
	l->n++;
	return 0;
}

static int blobs_list(const struct ssi_blobs *b, struct blobs_list *l, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = opendir(b->path);
	struct dirent *de;
	int r = d ? 0 : -errno;

	while (r >= 0 && (de = readdir(d)))
		r = blobs_look(b, de->d_name, l);
	return r < 0 ? ssi_errno(e, r, "%s", b->path) : 0;
}

int ssi_blobs_count(struct ssi_blobs *b, unsigned *ret_n, uint64_t *ret_bytes, struct ssi_err *e)
{
	struct blobs_list l = { 0 };
	int r = blobs_lock(b, LOCK_EX, e);

	if (r < 0)
		return r;
	r = blobs_list(b, &l, e);
	blobs_unlock(b);
	free(l.blobs);
	if (r < 0)
		return r;
	*ret_n = (unsigned)l.n;
	*ret_bytes = l.bytes;
	return 0;
}

/* --- room --- */

static int blobs_by_age(const void *p, const void *q)
{
	const struct blob *a = p, *b = q;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
	return (a->used.tv_nsec > b->used.tv_nsec) - (a->used.tv_nsec < b->used.tv_nsec);
}

static int blobs_full(const struct ssi_blobs *b, const struct blobs_list *l, uint64_t size, struct ssi_err *e)
{
	char need[16], used[16], limit[16];

	ssi_num_format_size(need, sizeof(need), size);
	ssi_num_format_size(used, sizeof(used), l->in_use);
	ssi_num_format_size(limit, sizeof(limit), b->limit);
	if (size > b->limit)
		return ssi_errf(e, -EFBIG, "a file of %s is more than the %s that this node has for programs: choose a node with more memory", need, limit);
	return ssi_errf(e, -ENOSPC, "no room for a file of %s: the jobs that run here use %s of %s for their programs; wait for one to end, or choose another node",
		need, used, limit);
}

/* What is there, if size more can be beside what is in use. */
static int blobs_list_for(const struct ssi_blobs *b, uint64_t size, struct blobs_list *l, struct ssi_err *e)
{
	int r = blobs_list(b, l, e);

	return r >= 0 && (size > b->limit || l->in_use > b->limit - size) ? blobs_full(b, l, size, e) : r;
}

int blobs_may(const struct ssi_blobs *b, uint64_t size, struct ssi_err *e)
{
	struct blobs_list l = { 0 };
	int r = blobs_list_for(b, size, &l, e);

	free(l.blobs);
	return r;
}

int blobs_room(const struct ssi_blobs *b, uint64_t size, bool all, struct ssi_err *e)
{
	struct blobs_list l = { 0 };
	int r = blobs_list_for(b, size, &l, e);

	if (r >= 0 && l.n)
		qsort(l.blobs, l.n, sizeof(*l.blobs), blobs_by_age);
	for (size_t i = 0; r >= 0 && i < l.n && (all || l.bytes > b->limit - size); i++) {
		if (l.blobs[i].pinned || blobs_remove(b, l.blobs[i].name) < 0)
			continue;
		l.bytes -= l.blobs[i].size;
	}
	free(l.blobs);
	return r;
}

/* --- pins --- */

int blobs_pin(const struct ssi_blobs *b, const char *hex, const char *dir, struct ssi_err *e)
{
	_cleanup_free_ char *pin = ssi_path_join(dir, hex);

	if (!pin)
		return ssi_errf(e, -ENOMEM, "no memory for a pin");
	for (int turn = 0; linkat(b->dir, hex, AT_FDCWD, pin, 0) < 0 && errno != EEXIST; turn++) {
		int error = errno;

		if (error == ENOENT && faccessat(b->dir, hex, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return 0;
		if (error != ENOENT || turn)     /* once more: another may have brought it just now */
			return ssi_errno(e, -error, "a link to a blob in %s (it is to lie in the file system of %s)", dir, b->path);
	}
	utimensat(b->dir, hex, NULL, AT_SYMLINK_NOFOLLOW);
	return 1;
}

int ssi_blobs_pin(struct ssi_blobs *b, const uint8_t digest[SSI_HASH_BYTES], const char *dir, struct ssi_err *e)
{
	char hex[SSI_HASH_HEX];
	int r = blobs_lock(b, LOCK_SH, e);

	if (r < 0)
		return r;
	ssi_hash_hex(digest, SSI_HASH_BYTES, hex);
	r = blobs_pin(b, hex, dir, e);
	blobs_unlock(b);
	return r;
}
