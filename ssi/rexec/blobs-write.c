/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a blob comes in: a file under another name, locked while it is written, that gets its own once its digest is right. Called by unpack. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi/rexec/blobs-internal.h"

#define BLOB_AHEAD (1u << 20)        /* so much is held for what has not come, or as much again as has: who sends nothing keeps nobody else's out */

struct ssi_blob_writer {
	struct ssi_blobs *b;
	char hex[SSI_HASH_HEX], name[32];    /* name: the one it has meanwhile; "": none */
	uint64_t size, have, held;           /* held: of size, room that is its own */
	struct ssi_hash *hash;
	int fd;
};

static int blob_create(struct ssi_blob_writer *w, struct ssi_err *e)
{
	uint64_t number;
	int r = ssi_hash_random(&number, sizeof(number));

	if (r < 0)
		return ssi_errno(e, r, "random numbers");
	snprintf(w->name, sizeof(w->name), ".new.%016llx", (unsigned long long)number);
	w->fd = openat(w->b->dir, w->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0)
		w->name[0] = '\0';
	if (w->fd < 0 || flock(w->fd, LOCK_EX | LOCK_NB) < 0)
		return ssi_errno(e, -errno, "a file in %s", w->b->path);
	return 0;
}

/* With the lock held alone: room for the next n bytes, at least. A file system that is full says so now. */
static int blob_hold(struct ssi_blob_writer *w, uint64_t n, struct ssi_err *e)
{
	uint64_t ahead = w->held > BLOB_AHEAD ? w->held : BLOB_AHEAD, more;
	int r;

	more = n > ahead ? n : ahead;
	if (more > w->size - w->held)
		more = w->size - w->held;
	r = blobs_room(w->b, more, false, e);
	if (r < 0)
		return r;
	for (int turn = 0; turn < 2 && more; turn++) {
		r = posix_fallocate(w->fd, (off_t)w->held, (off_t)more);
		if (r != ENOSPC || turn)
			break;
		r = -blobs_room(w->b, 0, true, e);
		if (r)
			break;
	}
	if (r)
		return ssi_errno(e, -abs(r), "no room for a file of %llu bytes in %s", (unsigned long long)w->size, w->b->path);
	w->held += more;
	return 0;
}

int ssi_blobs_write(struct ssi_blobs *b, const uint8_t digest[SSI_HASH_BYTES], uint64_t size, struct ssi_blob_writer **ret, struct ssi_err *e)
{
	struct ssi_blob_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return ssi_errf(e, -ENOMEM, "no memory for a blob");
	w->fd = -1;
	w->b = b;
	w->size = size;
	ssi_hash_hex(digest, SSI_HASH_BYTES, w->hex);
	w->hash = ssi_hash_new();
	r = w->hash ? blobs_lock(b, LOCK_EX, e) : ssi_errf(e, -ENOMEM, "no memory for a blob");
	if (r >= 0) {
		r = blobs_may(b, size, e);
		if (r >= 0)
			r = blob_create(w, e);
		if (r >= 0)
			r = blob_hold(w, 0, e);
		blobs_unlock(b);
	}
	if (r < 0) {
		ssi_blob_drop(w);
		return r;
	}
	*ret = w;
	return 0;
}

static int blob_more(struct ssi_blob_writer *w, uint64_t n, struct ssi_err *e)
{
	int r = blobs_lock(w->b, LOCK_EX, e);

	if (r < 0)
		return r;
	r = blob_hold(w, n, e);
	blobs_unlock(w->b);
	return r;
}

int ssi_blob_add(struct ssi_blob_writer *w, uint64_t offset, const void *p, size_t n, struct ssi_err *e)
{
	int r = 0;

	if (offset != w->have || n > w->size - w->have)
		return ssi_errf(e, -EBADMSG, "a piece of a blob at %llu, which has %llu of %llu bytes", (unsigned long long)offset, (unsigned long long)w->have,
			(unsigned long long)w->size);
	if (n > w->held - w->have)
		r = blob_more(w, n, e);
	if (r < 0)
		return r;
	r = ssi_fd_write_all(w->fd, p, n);
	if (r < 0)
		return ssi_errno(e, r, "a blob in %s", w->b->path);
	ssi_hash_add(w->hash, p, n);
	w->have += n;
	return 0;
}

uint64_t ssi_blob_have(const struct ssi_blob_writer *w)
{
	return w->have;
}

static int blob_check(struct ssi_blob_writer *w, struct ssi_err *e)
{
	char hex[SSI_HASH_HEX];

	ssi_hash_end(w->hash, hex);
	w->hash = NULL;
	if (w->have != w->size || strcmp(hex, w->hex) != 0)
		return ssi_errf(e, -EBADMSG, "a file came that is not what its digest says: it was changed while it was sent, start it again");
	return fchmod(w->fd, 0555) < 0 ? ssi_errno(e, -errno, "a blob in %s", w->b->path) : 0;
}

/*
 * Closed first: a file that is open for writing cannot be executed (ETXTBSY). Nobody takes it for abandoned meanwhile, the folder's lock is held. Another may
 * have brought the same one: then that is it.
 */
static int blob_name(struct ssi_blob_writer *w, const char *dir, struct ssi_err *e)
{
	int r = blobs_lock(w->b, LOCK_SH, e);

	if (r < 0)
		return r;
	close(w->fd);
	w->fd = -1;
	if (linkat(w->b->dir, w->name, w->b->dir, w->hex, 0) < 0 && errno != EEXIST)
		r = ssi_errno(e, -errno, "a blob in %s", w->b->path);
	else if (dir)
		r = blobs_pin(w->b, w->hex, dir, e);
	unlinkat(w->b->dir, w->name, 0);
	w->name[0] = '\0';
	blobs_unlock(w->b);
	return r < 0 ? r : 0;
}

int ssi_blob_finish(struct ssi_blob_writer *w, const char *dir, struct ssi_err *e)
{
	int r = blob_check(w, e);

	if (r >= 0)
		r = blob_name(w, dir, e);
	ssi_blob_drop(w);
	return r;
}

void ssi_blob_drop(struct ssi_blob_writer *w)
{
	char unused[SSI_HASH_HEX];

	if (!w)
		return;
	if (w->name[0])
		unlinkat(w->b->dir, w->name, 0);
	if (w->fd >= 0)
		close(w->fd);
	if (w->hash)
		ssi_hash_end(w->hash, unused);
	free(w);
}
