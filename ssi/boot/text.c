/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what a node may make us print. Called by every handler that keeps a text. */
#include <string.h>
#include "libssi/base/utf8.h"
#include "ssi/boot/text.h"

/* Bytes of a character that may be printed at s, else 0. */
static size_t text_character(const char *s)
{
	size_t len = ssi_utf8_len(s, strnlen(s, 4));

	if (len == 2 && s[0] == '\xc2' && (unsigned char)s[1] < 0xa0)      /* C1: CSI and its like */
		return 0;
	return len == 1 && ((unsigned char)*s < ' ' || *s == 127) ? 0 : len;
}

char *ssi_text_copy(char *dst, size_t n, const char *src)
{
	size_t at = 0;

	while (src && *src) {
		size_t len = text_character(src), takes = len ? len : 1;

		if (at + takes >= n)
			break;
		memcpy(dst + at, len ? src : "?", takes);
		at += takes;
		src += takes;
	}
	if (n)
		dst[at] = '\0';
	return dst;
}
