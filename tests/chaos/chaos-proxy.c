/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chaos-proxy: tests/chaos/proxy.h as a program, to put between any two ends by hand. Prints what it did when it is ended. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/num.h"
#include "tests/chaos/proxy.h"

static const char help[] =
	"Usage: chaos-proxy --to=PORT [OPTION]...\n"
	"Passes connections on to a port of this machine, and does harm to them (tests/chaos/proxy.h says which).\n\n"
	"      --port=PORT    listen there (default: any, which is printed)\n"
	"      --seed=N       of the draws (default 1)\n"
	"      --every=SIZE   bytes from fault to fault on average (default 64K; 0: none)\n"
	"      --most=N       so many cuts, then none\n"
	"      --only=FAULT   this fault; may be given several times\n"
	"      --delay=MS     each second segment is delayed by up to MS (default 2)\n"
	"      --stall=MS     the longest stall, and the longest half-open connection (default 500)\n"
	"  -h, --help         show this and exit\n";

static int parse_fault(const char *name, struct chaos_plan *plan)
{
	for (int i = 0; i < CHAOS_FAULTS; i++)
		if (!strcmp(name, chaos_fault_names[i]))
			return (int)(plan->weights[i] = 1);
	return -EINVAL;
}

static int parse_option(int c, const char *arg, struct chaos_plan *plan)
{
	uint64_t size;
	uint32_t n;
	int r;

	switch (c) {
	case 'p': r = ssi_num_u32(arg, 1, UINT16_MAX, &n); plan->port = (uint16_t)n; return r;
	case 't': r = ssi_num_u32(arg, 1, UINT16_MAX, &n); plan->to = (uint16_t)n; return r;
	case 's': return ssi_num_u64(arg, 0, UINT64_MAX, &plan->seed);
	case 'e': r = ssi_num_size(arg, &size); plan->every = (uint32_t)size; return r;
	case 'm': return ssi_num_u64(arg, 0, UINT64_MAX, &plan->most);
	case 'o': return parse_fault(arg, plan);
	case 'd': r = ssi_num_u32(arg, 0, 10000, &n); plan->delay_us = n * 1000; return r;
	case 'w': r = ssi_num_u32(arg, 0, 600000, &n); plan->stall_ms = plan->hold_ms = n; return r;
	default: return -EINVAL;
	}
}

static int parse(int argc, char **argv, struct chaos_plan *plan)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' }, { "to", required_argument, NULL, 't' }, { "seed", required_argument, NULL, 's' },
		{ "every", required_argument, NULL, 'e' }, { "most", required_argument, NULL, 'm' }, { "only", required_argument, NULL, 'o' },
		{ "delay", required_argument, NULL, 'd' }, { "stall", required_argument, NULL, 'w' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		if (parse_option(c, optarg, plan) < 0)
			return -EINVAL;
	}
	return plan->to && optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct chaos_plan plan = { .seed = 1, .every = 64 << 10, .delay_percent = 50, .delay_us = 2000, .stall_ms = 500, .hold_ms = 500 };
	struct chaos_proxy *p = NULL;
	struct chaos_stats *s;
	struct ssi_err e;
	sigset_t end;
	int sig;

	if (parse(argc, argv, &plan) < 0) {
		fputs(help, stderr);
		return 2;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (chaos_proxy_new(&plan, &p, &e) < 0) {
		fprintf(stderr, "chaos-proxy: %s\n", e.text);
		return 1;
	}
	printf("port %u\n", chaos_proxy_port(p));
	fflush(stdout);
	sigwait(&end, &sig);
	s = chaos_proxy_stats(p);
	printf("%" PRIu64 " connections, %" PRIu64 " bytes, %" PRIu64 " cuts", s->connections, s->bytes, s->cuts);
	for (int i = 0; i < CHAOS_FAULTS; i++)
		printf(", %" PRIu64 " %s", s->faults[i], chaos_fault_names[i]);
	printf("\n");
	chaos_proxy_free(p);
	return 0;
}
