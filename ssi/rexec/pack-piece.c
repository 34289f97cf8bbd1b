/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives the pieces of a program's files, compressed where that makes them smaller. Called while nodes ask for blobs. What does not become smaller at its
 * beginning is not tried any further. For several nodes a piece is compressed once, and kept.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "ssi/rexec/pack-internal.h"

#define PIECE_LEVEL 1                    /* zstd's fastest regular one: the wire is fast, too */
#define PIECE_TRIES 8
#define PIECE_KEEP (64u << 20)

static uint64_t piece_count(const struct pack_file *f)
{
	return ((uint64_t)f->st.st_size + SSI_PACK_PIECE - 1) / SSI_PACK_PIECE;
}

void pack_piece_free(struct pack_file *f)
{
	for (uint64_t i = 0; f->pieces && i < piece_count(f); i++)
		free(f->pieces[i].data);
	free(f->pieces);
}

static int piece_changed(const struct pack_file *f, struct ssi_err *e)
{
	return ssi_errf(e, -ESTALE, "%s was changed while it was sent: start it again once it is whole", f->path);
}

static int piece_load(struct ssi_pack *p, const struct pack_file *f, uint64_t offset, size_t n, struct ssi_err *e)
{
	struct stat st;

	for (size_t got = 0; got < n;) {
		ssize_t r = pread(f->fd, p->raw + got, n - got, (off_t)(offset + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return ssi_errno(e, -errno, "%s cannot be read any more", f->path);
		if (r == 0)
			return piece_changed(f, e);
		got += (size_t)r;
	}
	if (fstat(f->fd, &st) < 0)
		return ssi_errno(e, -errno, "%s cannot be read any more", f->path);
	if (st.st_size != f->st.st_size || st.st_mtim.tv_sec != f->st.st_mtim.tv_sec || st.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec)
		return piece_changed(f, e);
	return 0;
}

/* In p->raw or, smaller, in p->packed: the bytes and whether they are zstd's. */
static struct pack_piece piece_compress(struct ssi_pack *p, struct pack_file *f, size_t n)
{
	struct pack_piece raw = { p->raw, (uint32_t)n, false };
	size_t len;

	if (!n || (f->tried >= PIECE_TRIES && f->shrunk * 4 < f->tried))
		return raw;
	if (!p->zstd)
		p->zstd = ZSTD_createCCtx();
	if (!p->packed)
		p->packed = malloc(ZSTD_COMPRESSBOUND(SSI_PACK_PIECE));
	if (!p->zstd || !p->packed)
		return raw;
	f->tried++;
	len = ZSTD_compressCCtx(p->zstd, p->packed, ZSTD_COMPRESSBOUND(SSI_PACK_PIECE), p->raw, n, PIECE_LEVEL);
	if (ZSTD_isError(len) || len > n - n / 16)
		return raw;
	f->shrunk++;
	return (struct pack_piece){ p->packed, (uint32_t)len, true };
}

/* Memory that is out is no reason to fail: then it is compressed again for the next one. */
static void piece_keep(struct ssi_pack *p, struct pack_file *f, uint64_t at, const struct pack_piece *piece)
{
	if (!p->many || p->kept + piece->len > PIECE_KEEP || !piece->len)
		return;
	if (!f->pieces)
		f->pieces = calloc(piece_count(f), sizeof(*f->pieces));
	if (!f->pieces || !(f->pieces[at].data = malloc(piece->len)))
		return;
	memcpy(f->pieces[at].data, piece->data, piece->len);
	f->pieces[at].len = piece->len;
	f->pieces[at].zstd = piece->zstd;
	p->kept += piece->len;
}

ssize_t ssi_pack_piece(struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES], uint64_t offset, Ssi__Job__Blob *ret, struct ssi_err *e)
{
	struct pack_file *f = pack_by_digest(p, digest);
	uint64_t at = offset / SSI_PACK_PIECE, size = f ? (uint64_t)f->st.st_size : 0;
	struct pack_piece piece;
	size_t n;
	int r;

	if (!f)
		return ssi_errf(e, -ENOENT, "the node asks for a file that is no part of %s", p->main->path);
	if (offset % SSI_PACK_PIECE || offset > size || (offset == size && size))
		return ssi_errf(e, -EINVAL, "%s has no piece there", f->path);
	n = size - offset < SSI_PACK_PIECE ? (size_t)(size - offset) : SSI_PACK_PIECE;
	if (f->pieces && f->pieces[at].data) {
		piece = f->pieces[at];
	} else {
		r = piece_load(p, f, offset, n, e);
		if (r < 0)
			return r;
		piece = piece_compress(p, f, n);
		piece_keep(p, f, at, &piece);
	}
	ssi__job__blob__init(ret);
	ret->digest = (ProtobufCBinaryData){ SSI_HASH_BYTES, f->digest };
	ret->offset = offset;
	ret->size = size;
	ret->zstd = piece.zstd;
	ret->data = (ProtobufCBinaryData){ piece.len, piece.data };
	return (ssize_t)n;
}
