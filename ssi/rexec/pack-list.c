/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files a program is made of, by their digests. Called by pack-piece.c, and by who tells nodes about them. */
#include <stdlib.h>
#include <string.h>
#include "ssi/rexec/pack-internal.h"

struct pack_file *pack_by_digest(const struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES])
{
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->message.digest.len && memcmp(p->files[i]->digest, digest, SSI_HASH_BYTES) == 0)
			return p->files[i];
	return NULL;
}

uint64_t ssi_pack_bytes(const struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES])
{
	const struct pack_file *f = pack_by_digest(p, digest);

	return f ? (uint64_t)f->st.st_size : 0;
}

size_t ssi_pack_digests(const struct ssi_pack *p, ProtobufCBinaryData **ret)
{
	size_t n = 0;

	*ret = calloc(p->n_files + 1, sizeof(**ret));
	for (size_t i = 0; *ret && i < p->n_files; i++)
		if (p->files[i]->message.digest.len)
			(*ret)[n++] = p->files[i]->message.digest;
	return n;
}
