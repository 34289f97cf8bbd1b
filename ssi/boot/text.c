/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what a node may make us print. Called by every handler that keeps a text; bytes over 127 are passed on as they are. */
#include "ssi/boot/text.h"

char *ssi_text_copy(char *dst, size_t n, const char *src)
{
	size_t i = 0;

	for (; src && src[i] && i + 1 < n; i++)
		dst[i] = (unsigned char)src[i] < ' ' || src[i] == 127 ? '?' : src[i];
	if (n)
		dst[i] = '\0';
	return dst;
}
