/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* An input that is messages, one after the other: type, which, two bytes of length (big-endian), body. What is cut short has less of a body. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_message { uint8_t type, which; const uint8_t *body; size_t n; };

/* The next one, which lies in the input; false at its end. */
static inline bool fuzz_message_next(const uint8_t **data, size_t *size, struct fuzz_message *ret)
{
	const uint8_t *p = *data;
	size_t n;

	if (*size < 4)
		return false;
	n = (size_t)p[2] << 8 | p[3];
	n = n < *size - 4 ? n : *size - 4;
	*ret = (struct fuzz_message){ p[0], p[1], p + 4, n };
	*data += 4 + n;
	*size -= 4 + n;
	return true;
}
