/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks libraries up as ld.so does. Called by pack. Entry by entry: the file's order is not relied upon, and a thousand names are compared in microseconds. */
#include <errno.h>
#include <string.h>
#include "ssi/rexec/ldcache.h"

#define OLD_MAGIC "ld.so-1.7.0"
#define OLD_HEAD 16u
#define OLD_ENTRY 12u
#define MAGIC "glibc-ld.so.cache1.1"
#define HEAD 48u
#define ENTRY 24u

static uint32_t ldcache_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));        /* in the byte order of the machine whose file it is */
	return v;
}

int ssi_ldcache_parse(const void *p, size_t n, struct ssi_ldcache *ret)
{
	const uint8_t *data = p;
	uint32_t entries;

	if (n >= OLD_HEAD && memcmp(data, OLD_MAGIC, strlen(OLD_MAGIC)) == 0) {
		uint64_t skip = (OLD_HEAD + (uint64_t)ldcache_u32(data + 12) * OLD_ENTRY + 7) / 8 * 8;

		if (skip > n)
			return -EBADMSG;
		data += skip;
		n -= skip;
	}
	if (n < HEAD || memcmp(data, MAGIC, strlen(MAGIC)) != 0)
		return -EBADMSG;
	entries = ldcache_u32(data + 20);
	if (entries > (n - HEAD) / ENTRY)
		return -EBADMSG;
	*ret = (struct ssi_ldcache){ data, n, entries };
	return 0;
}

static const char *ldcache_string(const struct ssi_ldcache *c, uint32_t at)
{
	return at < c->size && memchr(c->data + at, '\0', c->size - at) ? (const char *)c->data + at : NULL;
}

const char *ssi_ldcache_next(const struct ssi_ldcache *c, const char *name, uint32_t *at)
{
	while (*at < c->n) {
		const uint8_t *entry = c->data + HEAD + (size_t)(*at)++ * ENTRY;
		uint32_t key = ldcache_u32(entry + 4);
		size_t len = strlen(name) + 1;
		const char *path;

		if (ldcache_u32(entry + 16) || ldcache_u32(entry + 20) || key > c->size || c->size - key < len || memcmp(c->data + key, name, len) != 0)
			continue;
		path = ldcache_string(c, ldcache_u32(entry + 8));
		if (path && path[0] == '/')
			return path;
	}
	return NULL;
}
