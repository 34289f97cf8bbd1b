/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the command line and the table of experiments. "serve" is the other end of every way until it is ended; "measure" runs one experiment against
 * it. Called by bench/ccm.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/part/ccm-ends.h"
#include "libssi/base/num.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* The first way of each is what the others are compared with. */
static const struct bench_way send_ways[] = {
	{ "raw", &bench_raw, bench_raw_begin_echo, bench_raw_round, NULL },
	{ "ccm", &bench_ccm, bench_station_begin_echo, bench_station_round, NULL },
	{ "ccm-tls", &bench_ccm_tls, bench_station_begin_echo, bench_station_round, NULL },
};
static const struct bench_way stream_ways[] = {
	{ "raw", &bench_raw, bench_raw_begin_stream, bench_raw_send, bench_raw_settle },
	{ "ccm", &bench_ccm, bench_station_begin_stream, bench_station_send, bench_station_settle_stream },
	{ "ccm-tls", &bench_ccm_tls, bench_station_begin_stream, bench_station_send, bench_station_settle_stream },
};
static const struct bench_way call_ways[] = {
	{ "sunrpc", &bench_sunrpc, NULL, bench_sunrpc_call, NULL },
	{ "ccm", &bench_ccm, NULL, bench_station_call, NULL },
	{ "ccm-tls", &bench_ccm_tls, NULL, bench_station_call, NULL },
};
static const struct bench_way cast_ways[] = {
	{ "sunrpc", &bench_sunrpc, bench_sunrpc_begin, bench_sunrpc_note, bench_sunrpc_settle },
	{ "sunrpc-at-once", &bench_sunrpc, bench_sunrpc_begin, bench_sunrpc_at_once, bench_sunrpc_settle_at_once },
	{ "sunrpc-batched", &bench_sunrpc, bench_sunrpc_begin, bench_sunrpc_batch, bench_sunrpc_settle },
	{ "ccm", &bench_ccm, bench_station_begin_cast, bench_station_cast, bench_station_settle_cast },
	{ "ccm-tls", &bench_ccm_tls, bench_station_begin_cast, bench_station_cast, bench_station_settle_cast },
};
const struct bench_experiment bench_experiments[] = {
	{ "send", false, send_ways, N(send_ways) },
	{ "call", false, call_ways, N(call_ways) },
	{ "stream", true, stream_ways, N(stream_ways) },
	{ "cast", true, cast_ways, N(cast_ways) },
};
const size_t bench_n_experiments = N(bench_experiments);

static const struct bench_transport *const transports[] = { &bench_raw, &bench_sunrpc, &bench_ccm, &bench_ccm_tls };

static void usage(FILE *f)
{
	fputs("usage: ccm-ends serve [--address ADDRESS] [--port PORT]\n"
	      "       ccm-ends measure EXPERIMENT [--address ADDRESS] [--port PORT] [--sizes N,...] [--ways NAME,...] [--count N] [--block N]\n"
	      "  EXPERIMENT is send or call (round trips), stream or cast (one way). CSV comes on standard output.\n"
	      "  --address  where to listen, or of the serving end (127.0.0.1)\n"
	      "  --port     the first of four (7711)\n"
	      "  --sizes    bytes of a body (64); --ways some of the experiment's (all)\n"
	      "  --count    messages of each size (10000); --block so many of a way before the next takes its turn (100)\n", f);
}

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "ccm-ends: %s '%s'\n", what, value);
	return -EINVAL;
}

static int parse_sizes(struct bench_plan *plan, char *list)
{
	plan->n_sizes = 0;
	for (char *s = strtok(list, ","); s; s = strtok(NULL, ",")) {
		uint64_t size;
		if (plan->n_sizes == N(plan->sizes) || ssi_num_u64(s, 1, BENCH_BODY_MAX, &size) < 0)
			return bad("wrong, or one too many, size", s);
		plan->sizes[plan->n_sizes++] = (size_t)size;
	}
	return 0;
}

static int parse_options(int argc, char **argv, struct bench_plan *plan)
{
	static const struct option options[] = {
		{ "address", required_argument, NULL, 'a' }, { "port", required_argument, NULL, 'p' }, { "sizes", required_argument, NULL, 's' },
		{ "ways", required_argument, NULL, 'w' }, { "count", required_argument, NULL, 'n' }, { "block", required_argument, NULL, 'b' }, { 0 } };
	uint32_t port = BENCH_PORT;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == '?')
			return -EINVAL;
		if (o == 'a' && inet_pton(AF_INET, optarg, &plan->peer.addr) != 1)
			return bad("no address", optarg);
		if (o == 'p' && ssi_num_u32(optarg, 1, UINT16_MAX - BENCH_PORTS, &port) < 0)
			return bad("no port", optarg);
		if (o == 's' && parse_sizes(plan, optarg) < 0)
			return -EINVAL;
		if (o == 'n' && ssi_num_u32(optarg, 1, 100000000, &plan->count) < 0)
			return bad("wrong count", optarg);
		if (o == 'b' && ssi_num_u32(optarg, 1, 100000000, &plan->block) < 0)
			return bad("wrong block", optarg);
		if (o == 'w')
			plan->ways = optarg;
	}
	plan->peer.port = (uint16_t)port;
	return 0;
}

/* SIGTERM ends it in order: callgrind writes its counts then. */
static int serve(const struct bench_peer *self, struct ssi_err *e)
{
	sigset_t ends;
	int r = 0, got;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	for (size_t i = 0; i < N(transports) && r == 0; i++)
		if (bench_is_loopback(self) || !transports[i]->loopback)
			r = transports[i]->serve(self, e);
	if (r < 0)
		return r;
	puts("ready");
	fflush(stdout);
	sigwait(&ends, &got);
	return 0;
}

static int measure(struct bench_plan *plan, const char *name, struct ssi_err *e)
{
	for (size_t i = 0; i < bench_n_experiments; i++)
		if (strcmp(bench_experiments[i].name, name) == 0)
			plan->experiment = &bench_experiments[i];
	if (!plan->experiment)
		return ssi_errf(e, -EINVAL, "no experiment '%s'", name);
	return bench_measure(plan, e);
}

int main(int argc, char **argv)
{
	struct bench_plan plan = { .peer.addr.s_addr = htonl(INADDR_LOOPBACK), .sizes = { 64 }, .n_sizes = 1, .count = 10000, .block = 100 };
	struct ssi_err e = { 0 };
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	r = parse_options(argc, argv, &plan);
	if (r == 0 && optind + 1 == argc && strcmp(argv[optind], "serve") == 0)
		r = serve(&plan.peer, &e);
	else if (r == 0 && optind + 2 == argc && strcmp(argv[optind], "measure") == 0)
		r = measure(&plan, argv[optind + 1], &e);
	else {
		usage(stderr);
		return 2;
	}
	if (r < 0)
		fprintf(stderr, "ccm-ends: %s\n", e.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
