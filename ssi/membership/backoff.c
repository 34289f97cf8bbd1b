/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the times between a node's tries. Called by the node's side of membership, and by the simulator of nodes. */
#include <errno.h>
#include <stdint.h>
#include "libssi/base/hash.h"
#include "ssi/membership/backoff.h"

#define BACKOFF_AT_ONCE_MS 20
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000
#define BACKOFF_EACH_US 500          /* of a crowd, for each member: a master lets in some thousands a second */
#define BACKOFF_CROWD_MAX 20000      /* members; more do not wait longer */

/* From low to high ms. */
static unsigned backoff_jitter(unsigned low, unsigned high)
{
	uint32_t x = 0;

	ssi_hash_random(&x, sizeof(x));
	return low + x % (high - low + 1);
}

unsigned ssi_backoff_next(struct ssi_backoff *b, int why, size_t members)
{
	size_t counted = members < BACKOFF_CROWD_MAX ? members : BACKOFF_CROWD_MAX;
	unsigned crowd = why == -ECONNREFUSED ? (unsigned)(counted * BACKOFF_EACH_US / 1000) : 0, ms = b->ms;

	if (!ms) {
		b->ms = BACKOFF_MIN_MS;
		return backoff_jitter(BACKOFF_AT_ONCE_MS / 2, BACKOFF_AT_ONCE_MS);
	}
	b->ms = ms * 2 < BACKOFF_MAX_MS ? ms * 2 : BACKOFF_MAX_MS;
	return crowd > ms ? backoff_jitter(ms / 2, crowd) : backoff_jitter(ms / 2, ms);
}

void ssi_backoff_reset(struct ssi_backoff *b)
{
	b->ms = 0;
}
