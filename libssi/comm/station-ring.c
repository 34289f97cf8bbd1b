/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the memory in which a peer's messages lie until they are acknowledged. Called by station-out.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/station-ring.h"

#define RING_LINE 64                     /* of a processor's cache: headers do not lie across two */

void station_ring_put(struct station_ring *r, uint64_t offset, const void *p, size_t n)
{
	size_t straight;
	uint8_t *at = station_ring_at(r, offset, &straight);
	size_t first = n < straight ? n : straight;

	if (!n)
		return;
	memcpy(at, p, first);
	if (first < n)
		memcpy(r->bytes, (const uint8_t *)p + first, n - first);
}

void station_ring_get(const struct station_ring *r, uint64_t offset, void *p, size_t n)
{
	size_t straight;
	const uint8_t *at = station_ring_at(r, offset, &straight);
	size_t first = n < straight ? n : straight;

	memcpy(p, at, first);
	if (first < n)
		memcpy((uint8_t *)p + first, r->bytes, n - first);
}

/* What was lent before stays; what came since, nobody has seen. */
static void ring_replace(struct station_ring *r, uint8_t *bytes, size_t cap)
{
	if (r->lent && !r->lent_bytes)
		r->lent_bytes = r->bytes;
	else
		free(r->bytes);
	r->bytes = bytes;
	r->cap = (uint32_t)cap;
}

int station_ring_reserve(struct station_ring *r, uint64_t tail, uint64_t head, size_t n)
{
	size_t used = head - tail, cap = r->cap ? r->cap : STATION_RING_MIN;
	uint8_t *bytes;

	if (used + n <= r->cap)
		return 1;
	while (cap < used + n)
		cap *= 2;
	if (cap > STATION_RING_MAX)
		return 0;
	bytes = aligned_alloc(RING_LINE, cap);
	if (!bytes)
		return -ENOMEM;
	for (uint64_t at = tail; at < head;) {
		size_t straight, to = at & (cap - 1);
		const uint8_t *from = station_ring_at(r, at, &straight);

		if (straight > head - at)
			straight = head - at;
		if (straight > cap - to)
			straight = cap - to;
		memcpy(bytes + to, from, straight);
		at += straight;
	}
	ring_replace(r, bytes, cap);
	return 1;
}

void station_ring_lend(struct station_ring *r)
{
	r->lent = true;
}

void station_ring_give_back(struct station_ring *r)
{
	r->lent = false;
	free(r->lent_bytes);
	r->lent_bytes = NULL;
}

void station_ring_free(struct station_ring *r)
{
	free(r->bytes);
	*r = (struct station_ring){ 0 };
}
