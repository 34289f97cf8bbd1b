/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The loader's list of libraries, /etc/ld.so.cache (glibc's, version 1.1, alone or behind that of libc5). Pure; the bytes are borrowed. */
#include <stddef.h>
#include <stdint.h>

struct ssi_ldcache {
	const uint8_t *data;         /* from the header of version 1.1 on; names are offsets from here */
	size_t size;
	uint32_t n;                  /* entries; all of them lie within size */
};

/* 0 or -EBADMSG: no such file, or a damaged one. */
int ssi_ldcache_parse(const void *p, size_t n, struct ssi_ldcache *ret);
/*
 * The next path of a library with that name, from entry *at on (0 at first), or NULL. Those for a certain processor (glibc-hwcaps) are passed over: another
 * one may have to run it. Which of them are for the right machine the caller sees in the files.
 */
const char *ssi_ldcache_next(const struct ssi_ldcache *c, const char *name, uint32_t *at);
