/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* UTF-8 (RFC 3629). */
#include <stddef.h>

/* Bytes of the character at s, of which n are there: 1 to 4. 0: it is none (not the shortest form, a surrogate, beyond U+10FFFF, cut off). */
size_t ssi_utf8_len(const char *s, size_t n);
