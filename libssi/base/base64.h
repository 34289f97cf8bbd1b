/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Base64 (RFC 4648, section 4, with padding): how raw bytes travel in JSON. */
#include <stddef.h>

/* Allocated, NUL-terminated, the caller's; NULL: out of memory. */
char *ssi_base64_encode(const void *p, size_t n);
/* Strict: -EINVAL for anything that encode would not write, -ENOMEM. *ret has a NUL behind it that *ret_len does not count. */
int ssi_base64_decode(const char *s, char **ret, size_t *ret_len);
