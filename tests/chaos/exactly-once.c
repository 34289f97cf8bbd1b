/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exactly-once: two stations, between them a proxy that breaks their connection again and again (tests/chaos/proxy.h), and numbered
 * messages over several modules and sequences (tests/chaos/traffic.h): none lost, none twice, none out of order, with TLS. The short form
 * is a test of make check; scripts/check --long runs it with --messages=1000000 --cuts=10000.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/num.h"
#include "tests/chaos/proxy.h"
#include "tests/chaos/traffic.h"

#define BYTES_MESSAGE 360            /* on the wire, on average, with headers, records and acknowledgements */

static const char help[] =
	"Usage: exactly-once [OPTION]...\n"
	"Sends numbered messages between two stations through a proxy that breaks their connection, and checks each.\n\n"
	"      --messages=N  so many in all (default 12000)\n"
	"      --cuts=N      break the connection so often, at least (default 120)\n"
	"      --every=SIZE  bytes from cut to cut on average (default: so that the cuts are done after half of the messages or so)\n"
	"      --only=FAULT  this kind of cut alone: reset, truncate, half, stall, duplicate, reorder, flip or replay; may be given several times\n"
	"      --seed=N      of all that is drawn (default 1)\n"
	"      --plain       without TLS; then only the faults that leave a stream as it is\n"
	"  -h, --help        show this and exit\n";

struct arguments {
	uint64_t messages, cuts, seed, every;
	uint32_t weights[CHAOS_FAULTS];
	bool plain, only;
};

static int parse_fault(const char *name, struct arguments *a)
{
	for (int i = 0; i < CHAOS_FAULTS; i++)
		if (!strcmp(name, chaos_fault_names[i])) {
			a->weights[i] = a->only = true;
			return 0;
		}
	return -EINVAL;
}

static int parse_option(int c, const char *arg, struct arguments *a)
{
	switch (c) {
	case 'm': return ssi_num_u64(arg, 10, UINT64_MAX, &a->messages);
	case 'c': return ssi_num_u64(arg, 0, UINT64_MAX, &a->cuts);
	case 'e': return ssi_num_size(arg, &a->every);
	case 's': return ssi_num_u64(arg, 0, UINT64_MAX, &a->seed);
	case 'o': return parse_fault(arg, a);
	case 'p': a->plain = true; return 0;
	default: return -EINVAL;
	}
}

static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "messages", required_argument, NULL, 'm' }, { "cuts", required_argument, NULL, 'c' }, { "every", required_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 's' }, { "only", required_argument, NULL, 'o' }, { "plain", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		if (parse_option(c, optarg, a) < 0)
			return -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

struct between { struct chaos_plan plan; struct chaos_proxy *proxy; };

/* The proxy begins once it is known where it leads. */
static uint16_t through_proxy(uint16_t port, void *userdata)
{
	struct between *b = userdata;
	struct ssi_err e;

	b->plan.to = port;
	if (chaos_proxy_new(&b->plan, &b->proxy, &e) < 0) {
		fprintf(stderr, "proxy: %s\n", e.text);
		return 0;
	}
	return chaos_proxy_port(b->proxy);
}

static void report(const struct arguments *a, const struct traffic_result *t, const struct chaos_stats *s)
{
	printf("%" PRIu64 " messages sent, %" PRIu64 " received in %.1f s; lost %" PRIu64 ", twice %" PRIu64 ", wrong %" PRIu64 ", calls failed %" PRIu64
	       ", sessions given up %" PRIu64 " (seed %" PRIu64 ")\n",
	       t->sent, t->received, t->seconds, t->lost, t->twice, t->wrong, t->failed, t->gone, a->seed);
	printf("%" PRIu64 " cuts over %" PRIu64 " connections and %" PRIu64 " bytes:", s->cuts, s->connections, s->bytes);
	for (int i = 0; i < CHAOS_FAULTS; i++)
		printf(" %" PRIu64 " %s", s->faults[i], chaos_fault_names[i]);
	printf(", %" PRIu64 " of %" PRIu64 " segments delayed\n", s->delays, s->segments);
	for (int i = 0; i < 2; i++)
		printf("station %d: %" PRIu64 " sessions over %" PRIu64 " links; %" PRIu64 " sent again, %" PRIu64 " came again and were dropped, %" PRIu64
		       " refusals\n",
		       i, t->stats[i].sessions, t->stats[i].links, t->stats[i].again, t->stats[i].duplicates, t->stats[i].refused);
}

int main(int argc, char **argv)
{
	struct arguments a = { .messages = 12000, .cuts = 120, .seed = 1 };
	struct between b = { 0 };
	const struct chaos_stats *s;
	struct traffic_result t = { 0 };
	struct ssi_err e;
	bool good;
	int r;

	if (parse(argc, argv, &a) < 0) {
		fputs(help, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (!a.every)
		a.every = a.cuts ? a.messages * BYTES_MESSAGE / a.cuts / 2 : 0;
	b.plan = (struct chaos_plan){ .seed = a.seed, .every = (uint32_t)a.every, .most = a.cuts, .delay_percent = 2, .delay_us = 2000,
				      .stall_ms = 50, .hold_ms = 200 };
	for (int i = 0; i < CHAOS_FAULTS; i++)
		b.plan.weights[i] = a.only ? a.weights[i] : !a.plain || i <= CHAOS_STALL;
	r = traffic_run(&(struct traffic_plan){ .messages = a.messages, .seed = a.seed, .through = through_proxy, .userdata = &b, .plain = a.plain,
						.dead_ms = 20000, .quiet_ms = 60000 }, &t, &e);
	if (r < 0 || !b.proxy) {
		fprintf(stderr, "exactly-once: %s\n", r < 0 ? e.text : "no proxy");
		return 1;
	}
	s = chaos_proxy_stats(b.proxy);
	report(&a, &t, s);
	good = t.received == t.sent && !t.lost && !t.twice && !t.wrong && !t.failed && !t.gone && s->cuts >= a.cuts;
	chaos_proxy_free(b.proxy);
	if (!good)
		fprintf(stderr, "exactly-once: not so\n");
	return !good;
}
