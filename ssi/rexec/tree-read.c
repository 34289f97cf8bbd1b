/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns how a tree is unpacked (ssi/rexec/tree.h). Called by blobs-tree.c, as root, with what any user may have sent: so all is bounded, a folder is
 * opened without following a link, and nothing that is there is written.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/openat2.h>
#include <zstd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi/rexec/tree.h"

#define READ_DEPTH 64
#define READ_PIECE (128u << 10)

struct ssi_tree_reader {
	int dir, parent, file;               /* parent: the folder of the last entry; file: what is being written */
	char parent_path[SSI_TREE_PATH + 1];
	uint32_t entries;                    /* that may still come */
	uint64_t cost;
	enum { READ_MAGIC, READ_HEAD, READ_PATH, READ_BYTES, READ_OVER } what;
	uint8_t buf[SSI_TREE_PATH + 1];      /* what came of it so far */
	size_t have, want;
	/* the entry at hand */
	uint8_t type;
	uint64_t size;
	int64_t time;
	char path[SSI_TREE_PATH + 1], target[SSI_TREE_PATH + 1];
};

static int read_bad(struct ssi_err *e, const char *why)
{
	return ssi_errf(e, -EBADMSG, "what came is no tree of files: %s", why);
}

int ssi_tree_read(int dir, uint32_t entries, uint64_t cost, struct ssi_tree_reader **ret, struct ssi_err *e)
{
	struct ssi_tree_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return ssi_errf(e, -ENOMEM, "no memory for a tree");
	r->dir = dir;
	r->parent = r->file = -1;
	r->entries = entries;
	r->cost = cost;
	r->want = strlen(SSI_TREE_MAGIC);
	*ret = r;
	return 0;
}

/* Relative, plain, not too deep. */
static bool read_is_path(const char *s)
{
	unsigned depth = 0;

	for (;; s++) {
		size_t n = strcspn(s, "/");

		if (!n || n > 255 || ++depth > READ_DEPTH || (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '.'))))
			return false;
		s += n;
		if (!*s)
			return true;
	}
}

/* The folder of r->path is r->parent, and *ret the last component. Entries of one folder come together, so it is mostly open. */
static int read_parent(struct ssi_tree_reader *r, const char **ret)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	const char *slash = strrchr(r->path, '/');
	size_t n = slash ? (size_t)(slash - r->path) : 0;

	*ret = slash ? slash + 1 : r->path;
	if (r->parent >= 0 && strlen(r->parent_path) == n && !memcmp(r->parent_path, r->path, n))
		return 0;
	if (r->parent >= 0)
		close(TAKE_FD(r->parent));
	memcpy(r->parent_path, r->path, n);
	r->parent_path[n] = '\0';
	r->parent = (int)syscall(SYS_openat2, r->dir, n ? r->parent_path : ".", &how, sizeof(how));
	return r->parent < 0 ? -errno : 0;
}

static int read_folder(struct ssi_tree_reader *r)
{
	const char *name;
	int k = read_parent(r, &name);

	if (k < 0)
		return k;
	return mkdirat(r->parent, name, 0700) < 0 || fchmodat(r->parent, name, 0755, 0) < 0 ? -errno : 0;
}

static int read_file(struct ssi_tree_reader *r)
{
	const char *name;
	int k = read_parent(r, &name);

	if (k < 0)
		return k;
	r->file = openat(r->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return r->file < 0 ? -errno : 0;
}

static int read_entry(struct ssi_tree_reader *r, struct ssi_err *e)
{
	int k = 0;

	if (r->type == SSI_TREE_FOLDER)
		k = read_folder(r);
	else if (r->type != SSI_TREE_LINK)
		k = read_file(r);
	return k < 0 ? ssi_errno(e, k == -EEXIST || k == -ENOENT || k == -ELOOP || k == -EXDEV || k == -ENOTDIR ? -EBADMSG : k, "%s of a tree", r->path) : 0;
}

static int read_head(struct ssi_tree_reader *r, struct ssi_err *e)
{
	struct { uint8_t type, zero; uint16_t length; uint32_t none; uint64_t size; int64_t time; } h;
	uint16_t length;

	memcpy(&h, r->buf, sizeof(h));
	length = le16toh(h.length);
	r->type = h.type;
	r->size = le64toh(h.size);
	r->time = (int64_t)le64toh((uint64_t)h.time);
	if (h.zero || h.none || h.type > SSI_TREE_LINK)
		return read_bad(e, "an entry is of no kind");
	if (h.type == SSI_TREE_END) {
		r->what = READ_OVER;
		return length || r->size || r->time ? read_bad(e, "its end is none") : 0;
	}
	if (!length || length > SSI_TREE_PATH || (h.type == SSI_TREE_FOLDER && r->size) || (h.type == SSI_TREE_LINK && (!r->size || r->size > SSI_TREE_PATH)))
		return read_bad(e, "an entry is of no size");
	if (!r->entries || r->size > r->cost || ssi_tree_cost(r->size) > r->cost)
		return read_bad(e, "it is larger than it says");
	r->entries--;
	r->cost -= ssi_tree_cost(r->size);
	r->what = READ_PATH;
	r->want = length;
	return 0;
}

/* All of the entry is here. */
static int read_done(struct ssi_tree_reader *r, struct ssi_err *e)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = r->time } };
	const char *name;
	int k = 0;

	if (r->type == SSI_TREE_LINK) {
		k = strlen(r->target) == r->size ? read_parent(r, &name) : -EBADMSG;
		if (k >= 0 && symlinkat(r->target, r->parent, name) < 0)
			k = -errno;
	} else if (r->type != SSI_TREE_FOLDER) {
		if (fchmod(r->file, r->type == SSI_TREE_PROGRAM ? 0555 : 0444) < 0 || futimens(r->file, times) < 0)
			k = -errno;
		close(TAKE_FD(r->file));
	}
	r->what = READ_HEAD;
	r->want = SSI_TREE_HEAD;
	return k < 0 ? ssi_errno(e, k == -EEXIST || k == -ENOENT ? -EBADMSG : k, "%s of a tree", r->path) : 0;
}

static int read_path(struct ssi_tree_reader *r, struct ssi_err *e)
{
	int k;

	memcpy(r->path, r->buf, r->want);
	r->path[r->want] = '\0';
	if (strlen(r->path) != r->want || !read_is_path(r->path))
		return read_bad(e, "a path is none");
	k = read_entry(r, e);
	r->what = READ_BYTES;
	r->want = 0;
	memset(r->target, 0, sizeof(r->target));
	return k < 0 ? k : r->size ? 0 : read_done(r, e);
}

/* Bytes of a file or a target. */
static int read_bytes(struct ssi_tree_reader *r, const uint8_t *p, size_t n, struct ssi_err *e)
{
	int k = 0;

	if (r->type == SSI_TREE_LINK)
		memcpy(r->target + r->have, p, n);
	else
		k = ssi_fd_write_all(r->file, p, n);
	return k < 0 ? ssi_errno(e, k, "%s of a tree", r->path) : 0;
}

/* What was wanted is here. */
static int read_next(struct ssi_tree_reader *r, struct ssi_err *e)
{
	if (r->what == READ_HEAD)
		return read_head(r, e);
	if (r->what == READ_PATH)
		return read_path(r, e);
	if (r->what == READ_BYTES)
		return read_done(r, e);
	if (memcmp(r->buf, SSI_TREE_MAGIC, r->want) != 0)
		return read_bad(e, "it begins otherwise");
	r->what = READ_HEAD;
	r->want = SSI_TREE_HEAD;
	return 0;
}

int ssi_tree_feed(struct ssi_tree_reader *r, const uint8_t *p, size_t n, struct ssi_err *e)
{
	int k = 0;

	while (n && k >= 0) {
		uint64_t want = r->what == READ_BYTES ? r->size : r->want;
		size_t take = n < want - r->have ? n : (size_t)(want - r->have);

		if (r->what == READ_OVER)
			return read_bad(e, "there is something behind its end");
		if (r->what == READ_BYTES)
			k = read_bytes(r, p, take, e);
		else
			memcpy(r->buf + r->have, p, take);
		p += take;
		n -= take;
		r->have += take;
		if (k >= 0 && r->have == want) {
			r->have = 0;
			k = read_next(r, e);
		}
	}
	return k;
}

int ssi_tree_read_end(struct ssi_tree_reader *r, struct ssi_err *e)
{
	bool whole = r && r->what == READ_OVER;

	if (r && r->parent >= 0)
		close(r->parent);
	if (r && r->file >= 0)
		close(r->file);
	free(r);
	return whole ? 0 : read_bad(e, "it ends too early");
}

/* What zstd makes of the next piece of the file. 1: its frame has ended. */
static int read_piece(struct ssi_tree_reader *r, ZSTD_DCtx *zstd, ZSTD_inBuffer *in, uint8_t *raw, struct ssi_err *e)
{
	for (;;) {
		ZSTD_outBuffer out = { raw, READ_PIECE, 0 };
		size_t left = ZSTD_decompressStream(zstd, &out, in);
		int k;

		if (ZSTD_isError(left))
			return read_bad(e, ZSTD_getErrorName(left));
		k = ssi_tree_feed(r, raw, out.pos, e);
		if (k < 0)
			return k;
		if (!left)
			return in->pos < in->size ? read_bad(e, "there is something behind its end") : 1;
		if (in->pos == in->size && out.pos < out.size)
			return 0;
	}
}

int ssi_tree_unpack(int fd, int dir, uint32_t entries, uint64_t cost, struct ssi_err *e)
{
	_cleanup_free_ uint8_t *raw = malloc(READ_PIECE), *packed = malloc(READ_PIECE);
	struct ssi_tree_reader *r = NULL;
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	ssize_t n = 0;
	off_t at = 0;
	int k = raw && packed && zstd ? ssi_tree_read(dir, entries, cost, &r, e) : ssi_errf(e, -ENOMEM, "no memory for a tree");

	if (zstd)
		ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, SSI_TREE_WINDOW);
	while (k == 0 && (n = pread(fd, packed, READ_PIECE, at)) > 0) {
		ZSTD_inBuffer in = { packed, (size_t)n, 0 };

		k = read_piece(r, zstd, &in, raw, e);
		at += n;
	}
	if (k == 0 && n < 0)
		k = ssi_errno(e, -errno, "a tree");
	if (k < 0)
		ssi_tree_read_end(r, NULL);
	else
		k = ssi_tree_read_end(r, e);
	ZSTD_freeDCtx(zstd);
	return k;
}
