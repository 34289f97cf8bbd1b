/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any file as a loader's cache: what is found are absolute paths within it, and looking ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "ssi/rexec/ldcache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "libc.so.6", "", "a" };
	struct ssi_ldcache c;
	const char *path;

	if (ssi_ldcache_parse(data, size, &c) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (uint32_t at = 0, n = 0; (path = ssi_ldcache_next(&c, names[i], &at)); n++)
			if (path[0] != '/' || strlen(path) >= size || n > c.n)
				abort();
	return 0;
}
