/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns how a tree is written (ssi/rexec/tree.h). Called by pack-tree.c. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi/rexec/tree.h"

#define TREE_LEVEL 3                     /* it is made once and sent often */
#define TREE_OUT (128u << 10)

struct ssi_tree_writer {
	int fd;
	ZSTD_CCtx *zstd;
	uint64_t left;                       /* bytes of the last entry that are to come */
	uint8_t out[TREE_OUT];
};

static int tree_put(struct ssi_tree_writer *w, const void *p, size_t n, ZSTD_EndDirective how, struct ssi_err *e)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { w->out, sizeof(w->out), 0 };
		int r;

		left = ZSTD_compressStream2(w->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return ssi_errf(e, -ENOMEM, "a tree cannot be compressed: %s", ZSTD_getErrorName(left));
		r = ssi_fd_write_all(w->fd, w->out, out.pos);
		if (r < 0)
			return ssi_errno(e, r, "a tree");
	} while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

int ssi_tree_write(int fd, struct ssi_tree_writer **ret, struct ssi_err *e)
{
	struct ssi_tree_writer *w = calloc(1, sizeof(*w));
	int r;

	if (w)
		w->zstd = ZSTD_createCCtx();
	if (!w || !w->zstd) {
		ssi_tree_drop(w);
		return ssi_errf(e, -ENOMEM, "no memory for a tree");
	}
	w->fd = fd;
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, TREE_LEVEL);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_windowLog, SSI_TREE_WINDOW);
	r = tree_put(w, SSI_TREE_MAGIC, strlen(SSI_TREE_MAGIC), ZSTD_e_continue, e);
	if (r < 0) {
		ssi_tree_drop(w);
		return r;
	}
	*ret = w;
	return 0;
}

int ssi_tree_entry(struct ssi_tree_writer *w, enum ssi_tree_type type, const char *path, uint64_t size, int64_t time, struct ssi_err *e)
{
	struct { uint8_t type, zero; uint16_t length; uint32_t none; uint64_t size; int64_t time; } head = {
		(uint8_t)type, 0, htole16((uint16_t)strlen(path)), 0, htole64(size), (int64_t)htole64((uint64_t)time)
	};
	int r;

	_Static_assert(sizeof(head) == SSI_TREE_HEAD, "as tree.h says");
	if (w->left)
		return ssi_errf(e, -EINVAL, "a file became shorter while it was packed");
	r = tree_put(w, &head, sizeof(head), ZSTD_e_continue, e);
	if (r >= 0)
		r = tree_put(w, path, strlen(path), ZSTD_e_continue, e);
	w->left = size;
	return r;
}

int ssi_tree_bytes(struct ssi_tree_writer *w, const void *p, size_t n, struct ssi_err *e)
{
	if (n > w->left)
		return ssi_errf(e, -EINVAL, "more than the entry has");
	w->left -= n;
	return tree_put(w, p, n, ZSTD_e_continue, e);
}

int ssi_tree_end(struct ssi_tree_writer *w, struct ssi_err *e)
{
	int r = ssi_tree_entry(w, SSI_TREE_END, "", 0, 0, e);

	if (r >= 0)
		r = tree_put(w, NULL, 0, ZSTD_e_end, e);
	ssi_tree_drop(w);
	return r;
}

void ssi_tree_drop(struct ssi_tree_writer *w)
{
	if (w)
		ZSTD_freeCCtx(w->zstd);
	free(w);
}
