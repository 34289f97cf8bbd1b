/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "run": a program on a node, or on many, that need not be there. Here are its options; what it does with one job and with many is in run-one.c and
 * run-many.c.
 */
#include <errno.h>
#include <string.h>

#include "libssi/base/num.h"
#include "libssi/model/nodelist.h"
#include "ssi/run.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_run_opts[] = {
	{ "nodes", 'n', "RANGE", "run it on each of these nodes", "@node" },
	{ "count", 'N', "COUNT", "run it on so many nodes, as the policy chooses them", NULL },
	{ "on", 0, "POLICY", "the policy that chooses the node (see 'ssi policy list')", NULL },
	{ "system", 0, "NAME", "choose among the nodes of this system, where there are several (else $SSI_SYSTEM)", NULL },
	{ "pty", 't', NULL, "give it a terminal", NULL },
	{ "input", 'i', "PATH", "bring this file or folder along, into its working directory", "@file" },
	{ "output", 'O', "DIR", "bring back here what it leaves in the folder 'output' of its working directory", "@dir" },
	{ "files", 0, "DIR", "with many nodes: keep what each writes in DIR/NODE.out and DIR/NODE.err", "@dir" },
	{ "cpus", 0, "COUNT", "it may use so many processors", NULL },
	{ "mem", 0, "SIZE", "it may use so much memory, as 512M or 4G", NULL },
	{ "time", 0, "TIME", "it is ended after this time, as 90s, 10m or 2h", NULL },
	{ "restart", 0, NULL, "start it again on another node when its node is lost; what it reads is to be a file, or nothing", NULL },
	{ "or-here", 0, NULL, "run it here where it cannot be placed, or where the nodes do not share the working directory", NULL },
	{ "no-prefix", 0, NULL, "with many nodes: no 'n01: ' in front of lines", NULL },
	{ 0 },
};

static int wrong(const char *option, const char *value, const char *what)
{
	fprintf(stderr, "ssi: run: --%s '%s' is no %s\n", option, value, what);
	return -EINVAL;
}

static int number(const struct ssi_cmd_args *a, const char *option, uint32_t *ret)
{
	const char *v = ssi_cmd_opt(a, option);

	return !v || ssi_num_u32(v, 1, 65536, ret) == 0 ? 0 : wrong(option, v, "number from 1 to 65536");
}

static int options(const struct ssi_cmd_args *a, struct run_ask *q)
{
	const char *v;
	struct ssi_err e;

	q->where.range = ssi_cmd_opt(a, "nodes");
	q->where.policy = ssi_cmd_opt(a, "on");
	q->where.system = ssi_cmd_opt(a, "system") ?: getenv("SSI_SYSTEM");
	q->pty = ssi_cmd_opt(a, "pty");
	q->input = ssi_cmd_opt(a, "input");
	q->output = ssi_cmd_opt(a, "output");
	q->files = ssi_cmd_opt(a, "files");
	q->or_here = ssi_cmd_opt(a, "or-here");
	q->restart = ssi_cmd_opt(a, "restart");
	q->prefix = !ssi_cmd_opt(a, "no-prefix");
	q->json = ssi_cmd_json(a);
	if (number(a, "count", &q->where.count) < 0 || number(a, "cpus", &q->where.cpus) < 0)
		return -EINVAL;
	v = ssi_cmd_opt(a, "mem");
	if (v && (ssi_num_size(v, &q->where.memory) < 0 || !q->where.memory))
		return wrong("mem", v, "size");
	v = ssi_cmd_opt(a, "time");
	if (v && (ssi_num_duration_ms(v, &q->time_ms) < 0 || !q->time_ms))
		return wrong("time", v, "time");
	if (q->where.range && (q->where.count || q->where.policy || ssi_cmd_opt(a, "system"))) {
		fprintf(stderr, "ssi: run: -n says where; -N, --on and --system let a policy choose: one or the other\n");
		return -EINVAL;
	}
	if (q->restart && (q->where.range || q->pty)) {
		fprintf(stderr, "ssi: run: --restart is for programs that a policy places, and without --pty\n");
		return -EINVAL;
	}
	if (q->where.range) {
		_cleanup_nodelist_ struct ssi_nodelist *nodes = NULL;

		if (ssi_nodelist_parse(q->where.range, &nodes, &e) < 0) {
			fprintf(stderr, "ssi: %s\n", e.text);
			return -EINVAL;
		}
	}
	return 0;
}

int verb_run(struct ssi_cmd_args *a, int argc, char **argv)
{
	struct run_ask q = { 0 };

	if (strcmp(argv[0], "--") == 0) {        /* people write it, though all words are the command's already */
		argv++;
		argc--;
	}
	if (argc < 1) {
		fprintf(stderr, "ssi: run: a command is missing. See 'ssi run --help'\n");
		return 2;
	}
	q.argv = argv;
	return options(a, &q) < 0 ? 2 : run_do(&q, ssi_cmd_opt(a, "socket"));
}
