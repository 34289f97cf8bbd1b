/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Memory for a stream whose bytes are named by their offset since it began: a ring that grows, from STATION_RING_MIN to STATION_RING_MAX.
 * Which offsets are held (tail to head) the caller knows. Not thread-safe, but for what lent says.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATION_RING_MIN (1u << 10)
#define STATION_RING_MAX (256u << 10)    /* larger than a processor's cache it is slower, not faster */

struct station_ring {
	uint8_t *bytes;                      /* NULL: none yet */
	uint8_t *lent_bytes;                 /* outgrown while it was lent; else NULL */
	uint32_t cap;                        /* a power of 2, or 0 */
	bool lent;                           /* somebody reads it without the lock: what it holds now stays where it is */
};

/* Room for n bytes behind tail..head: 1; 0 past STATION_RING_MAX; -ENOMEM. It may grow while it is lent. */
int station_ring_reserve(struct station_ring *r, uint64_t tail, uint64_t head, size_t n);
/* The place of `offset`, and how many bytes follow it without a break. */
static inline uint8_t *station_ring_at(const struct station_ring *r, uint64_t offset, size_t *ret_n)
{
	size_t at = offset & (r->cap - 1);

	*ret_n = r->cap - at;
	return r->bytes + at;
}
/* The first offset from `offset` on that lies at the ring's beginning. */
static inline uint64_t station_ring_begin(const struct station_ring *r, uint64_t offset)
{
	return (offset + r->cap - 1) & ~(uint64_t)(r->cap - 1);
}
void station_ring_put(struct station_ring *r, uint64_t offset, const void *p, size_t n);
void station_ring_get(const struct station_ring *r, uint64_t offset, void *p, size_t n);
/* From here until it is given back pointers into it are good. Once at a time. */
void station_ring_lend(struct station_ring *r);
void station_ring_give_back(struct station_ring *r);
/* Not while it is lent. Empty again, and without memory. */
void station_ring_free(struct station_ring *r);
