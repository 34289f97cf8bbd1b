/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What bench/ccm compares: ways of talking, each with a serving end (threads of ccm-ends serve) and a calling end, and the experiments they
 * take part in. Everything here blocks and returns 0 or -errno with e filled. Sizes are bytes of the body, without anybody's header.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "libssi/base/err.h"

#define BENCH_BODY_MAX (1u << 20)

/* Memory for a body, to be freed; on a page of its own as whoever sends a lot has it: copying between addresses that differ modulo 64 takes some processors twice
 * as long. NULL: no memory. */
static inline uint8_t *bench_body(void)
{
	return aligned_alloc(4096, BENCH_BODY_MAX);
}

/* Where the serving end is: each way has its port above this one. */
struct bench_peer {
	struct in_addr addr;
	uint16_t port;
};
static inline bool bench_is_loopback(const struct bench_peer *p)
{
	return (ntohl(p->addr.s_addr) >> 24) == IN_LOOPBACKNET;
}
enum { BENCH_PORT = 7711, BENCH_RAW = 0, BENCH_SUNRPC, BENCH_CCM, BENCH_CCM_TLS, BENCH_PORTS };

struct bench_transport {
	/* Threads that serve until the process ends. */
	int (*serve)(const struct bench_peer *self, struct ssi_err *e);
	int (*open)(const struct bench_peer *peer, void **ret, struct ssi_err *e);
	void (*close)(void *end);
	bool loopback;           /* talks to this machine only: it is not encrypted where that would matter */
};
extern const struct bench_transport bench_raw, bench_sunrpc, bench_ccm, bench_ccm_tls;

/* What a way does in an experiment, from the calling end. */
struct bench_way {
	const char *name;
	const struct bench_transport *transport;
	/* Before each block of count acts with bodies of size bytes; not timed. May be NULL. */
	int (*begin)(void *end, size_t size, unsigned count, struct ssi_err *e);
	/* The timed act: out goes; where the experiment is a round trip, as many bytes have come back into in. Both hold BENCH_BODY_MAX bytes. */
	int (*act)(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
	/* After a block of one-way acts, timed with it: wait until the other end has dealt with all of them. */
	int (*settle)(void *end, struct ssi_err *e);
};

struct bench_experiment {
	const char *name;
	bool one_way;            /* a block is timed as a whole, not each act */
	const struct bench_way *ways;
	size_t n_ways;
};
extern const struct bench_experiment bench_experiments[];
extern const size_t bench_n_experiments;

/* ccm-raw.c */
int bench_raw_begin_echo(void *end, size_t size, unsigned count, struct ssi_err *e);
int bench_raw_begin_stream(void *end, size_t size, unsigned count, struct ssi_err *e);
int bench_raw_round(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_raw_send(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_raw_settle(void *end, struct ssi_err *e);
/* A connected or listening TCP socket, no delay, blocking: what raw and SunRPC both stand on. The descriptor, or -errno. */
int bench_tcp_connect(const struct bench_peer *peer, unsigned above, struct ssi_err *e);
int bench_tcp_listen(const struct bench_peer *self, unsigned above, struct ssi_err *e);

/* ccm-sunrpc.c */
int bench_sunrpc_begin(void *end, size_t size, unsigned count, struct ssi_err *e);
int bench_sunrpc_call(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_sunrpc_note(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_sunrpc_at_once(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_sunrpc_batch(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_sunrpc_settle(void *end, struct ssi_err *e);
int bench_sunrpc_settle_at_once(void *end, struct ssi_err *e);

/* ccm-station.c */
int bench_station_begin_echo(void *end, size_t size, unsigned count, struct ssi_err *e);
int bench_station_begin_stream(void *end, size_t size, unsigned count, struct ssi_err *e);
int bench_station_begin_cast(void *end, size_t size, unsigned count, struct ssi_err *e);
int bench_station_round(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_station_send(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_station_call(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_station_cast(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e);
int bench_station_settle_stream(void *end, struct ssi_err *e);
int bench_station_settle_cast(void *end, struct ssi_err *e);

/* ccm-measure.c */
struct bench_plan {
	const struct bench_experiment *experiment;
	struct bench_peer peer;
	size_t sizes[64], n_sizes;
	const char *ways;        /* of the experiment's, separated by commas; NULL: all */
	unsigned count;          /* acts of each size */
	unsigned block;          /* of so many at a time the ways take turns */
};
/* Measures and prints CSV on standard output, as it comes. */
int bench_measure(const struct bench_plan *plan, struct ssi_err *e);
