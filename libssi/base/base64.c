/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Base64. Called by the daemon for output of commands, and by ssi, which prints it. Whole strings only. */
#include "libssi/base/base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libssi/base/cleanup.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *ssi_base64_encode(const void *p, size_t n)
{
	const uint8_t *b = p;
	char *ret = malloc((n + 2) / 3 * 4 + 1), *o = ret;

	if (!ret)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0);

		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		*o++ = i + 1 < n ? alphabet[v >> 6 & 63] : '=';
		*o++ = i + 2 < n ? alphabet[v & 63] : '=';
	}
	*o = '\0';
	return ret;
}

static int digit(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -EINVAL;
}

int ssi_base64_decode(const char *s, char **ret, size_t *ret_len)
{
	size_t n = strlen(s), pad = n && s[n - 1] == '=' ? 1 + (n > 1 && s[n - 2] == '=') : 0, len = 0;
	_cleanup_free_ char *out = NULL;

	if (n % 4)
		return -EINVAL;
	out = malloc(n / 4 * 3 + 1);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += 4) {
		size_t have = i + 4 == n ? 4 - pad : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k < have ? digit(s[i + k]) : 0;

			if (d < 0)
				return d;
			v = v << 6 | (uint32_t)d;
		}
		if (have < 4 && v & (have == 3 ? 0xffu : 0xffffu))       /* bits that encode leaves zero */
			return -EINVAL;
		for (size_t k = 0; k + 1 < have; k++)
			out[len++] = (char)(v >> (16 - 8 * k));
	}
	out[len] = '\0';
	*ret = TAKE_PTR(out);
	*ret_len = len;
	return 0;
}
