/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A TCP proxy on loopback that does harm, at random from a seed, for tests of what must survive it. What each fault does:
 *
 *   reset      after up to 10 ms both ends get an RST in the middle of what was under way; what they had not read by then is lost
 *   truncate   a part of a segment is passed on, then both ends see an orderly end (FIN)
 *   half       one end is reset, the other stays open and hears nothing for up to hold_ms: a half-open connection
 *   stall      nothing passes for up to stall_ms, in both directions; then all of it does. No connection ends by it
 *   duplicate  a segment is passed on twice
 *   reorder    a segment is passed on after the one that follows it
 *   flip       one bit of a segment is another one
 *   replay     a reset; then the other side is connected to again, and hears what its peer said at the start of that connection
 *
 * A segment is what one read brought: 1 to 16,384 bytes, cut without regard to frames or records. TCP itself never duplicates, reorders
 * or flips: these three make a stream wrong, which who reads it must notice (TLS does at the first such record) and end the connection.
 * Beside faults, each segment is delayed with the chance delay_percent by up to delay_us; the order within a direction stays.
 *
 * A connection's fate is drawn when it begins: after so many bytes (in both directions, exponential with mean `every`), this fault. After
 * a stall there is another draw; a stream that was made wrong is left alone for a while, for its ends to end it. The draws repeat with the
 * seed; what the ends do meanwhile does not.
 */
#include <stdatomic.h>
#include <stdint.h>
#include "libssi/base/err.h"

enum chaos_fault { CHAOS_RESET, CHAOS_TRUNCATE, CHAOS_HALF, CHAOS_STALL, CHAOS_DUPLICATE, CHAOS_REORDER, CHAOS_FLIP, CHAOS_REPLAY, CHAOS_FAULTS };
extern const char *const chaos_fault_names[CHAOS_FAULTS];

struct chaos_plan {
	uint16_t port, to;                   /* listen on (0: any), connect to */
	uint64_t seed;
	uint32_t every;                      /* bytes; 0: no faults */
	uint64_t most;                       /* cuts (faults but stalls), then no faults; 0: no limit */
	uint32_t weights[CHAOS_FAULTS];      /* all 0: all the same */
	uint32_t delay_percent, delay_us, stall_ms, hold_ms;
};

struct chaos_stats {
	_Atomic uint64_t connections, segments, bytes, delays;
	_Atomic uint64_t faults[CHAOS_FAULTS];
	_Atomic uint64_t cuts;               /* all faults but stalls */
};

/* Runs in a thread of its own from new to free. The plan is copied. */
struct chaos_proxy;
int chaos_proxy_new(const struct chaos_plan *plan, struct chaos_proxy **ret, struct ssi_err *e);
void chaos_proxy_free(struct chaos_proxy *p);            /* ends all connections; NULL is fine */
uint16_t chaos_proxy_port(const struct chaos_proxy *p);
struct chaos_stats *chaos_proxy_stats(struct chaos_proxy *p);    /* counted while it runs */
/* 0 is a number too: the same seed gives the same ones. */
uint64_t chaos_random(uint64_t *state);
