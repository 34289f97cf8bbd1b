/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * How often something is told: at most so many times in a window, and the next one tells how many were left out. Zero-initialise. Not
 * thread-safe. now_ms: any clock that does not go back.
 */
#include <stdbool.h>
#include <stdint.h>

struct ssi_limit {
	uint64_t from;               /* ms: when this window began */
	unsigned told, left_out;
};

/* May it be told? If so *ret_left_out is how many were not since the last one that was. always: it is told past the limit, too. */
static inline bool ssi_limit_pass(struct ssi_limit *l, uint64_t now_ms, uint64_t window_ms, unsigned max, bool always, unsigned *ret_left_out)
{
	if (now_ms - l->from >= window_ms) {
		l->from = now_ms;
		l->told = 0;
	}
	if (l->told >= max && !always) {
		l->left_out++;
		return false;
	}
	l->told++;
	*ret_left_out = l->left_out;
	l->left_out = 0;
	return true;
}
