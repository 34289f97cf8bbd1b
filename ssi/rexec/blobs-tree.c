/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the files of a tree come to lie beside its blob: a folder HEXDIGEST-COST, made under another name, and locked meanwhile. Called by unpack. What was
 * unpacked once is there for every job that brings the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/rexec/blobs-internal.h"
#include "ssi/rexec/tree.h"

struct tree { char name[SSI_HASH_HEX + 24], young[64]; uint32_t entries; uint64_t cost; int blob, dir; };

/* As blobs_pin says that a blob was used now. 1: it is there. */
static int tree_find(const struct ssi_blobs *b, const struct tree *t, struct ssi_err *e)
{
	int r = blobs_lock(b, LOCK_SH, e);

	if (r < 0)
		return r;
	r = utimensat(b->dir, t->name, NULL, AT_SYMLINK_NOFOLLOW) == 0;
	blobs_unlock(b);
	return r;
}

/* The folder that it is made in, and room for it. */
static int tree_begin(struct ssi_blobs *b, struct tree *t, struct ssi_err *e)
{
	uint64_t number;
	int r = ssi_hash_random(&number, sizeof(number));

	if (r < 0)
		return ssi_errno(e, r, "random numbers");
	r = blobs_lock(b, LOCK_EX, e);
	if (r < 0)
		return r;
	snprintf(t->young, sizeof(t->young), ".new.%016" PRIx64 "-%" PRIu64, number, t->cost);
	r = blobs_room(b, t->cost, false, e);
	if (r >= 0 && mkdirat(b->dir, t->young, 0700) == 0)
		t->dir = openat(b->dir, t->young, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (r >= 0 && (t->dir < 0 || flock(t->dir, LOCK_EX | LOCK_NB) < 0))
		r = ssi_errno(e, -errno, "a folder in %s", b->path);
	blobs_unlock(b);
	return r;
}

/* Another may have made the same one meanwhile: then that is it. */
static int tree_name(struct ssi_blobs *b, struct tree *t, struct ssi_err *e)
{
	int r = fchmod(t->dir, 0755) < 0 ? -errno : 0;

	if (r >= 0)
		r = blobs_lock(b, LOCK_SH, e);
	if (r < 0)
		return r;
	if (renameat(b->dir, t->young, b->dir, t->name) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = ssi_errno(e, -errno, "a folder in %s", b->path);
	blobs_unlock(b);
	return r;
}

static int tree_make(struct ssi_blobs *b, struct tree *t, struct ssi_err *e)
{
	_cleanup_free_ char *young = NULL;
	int r = tree_begin(b, t, e);

	if (r >= 0)
		r = ssi_tree_unpack(t->blob, t->dir, t->entries, t->cost, e);
	if (r >= 0)
		r = tree_name(b, t, e);
	if (t->young[0] && faccessat(b->dir, t->young, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && (young = ssi_path_join(b->path, t->young)))
		ssi_path_rmtree(young);
	if (t->dir >= 0)
		close(t->dir);
	return r;
}

int ssi_blobs_tree(struct ssi_blobs *b, const uint8_t digest[SSI_HASH_BYTES], uint32_t entries, uint64_t cost, char **ret, struct ssi_err *e)
{
	struct tree t = { .entries = entries, .cost = cost, .dir = -1, .blob = -1 };
	char hex[SSI_HASH_HEX], *path;
	int r;

	ssi_hash_hex(digest, SSI_HASH_BYTES, hex);
	snprintf(t.name, sizeof(t.name), "%s-%" PRIu64, hex, cost);
	path = ssi_path_join(b->path, t.name);
	if (!path)
		return ssi_errf(e, -ENOMEM, "no memory for a tree");
	r = tree_find(b, &t, e);
	if (r == 0) {
		t.blob = openat(b->dir, hex, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		r = t.blob < 0 ? ssi_errno(e, -errno, "a blob in %s", b->path) : tree_make(b, &t, e);
	}
	if (t.blob >= 0)
		close(t.blob);
	if (r < 0) {
		free(path);
		return r;
	}
	*ret = path;
	return 0;
}
