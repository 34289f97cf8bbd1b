/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * many-jobs [--wait] AT-ONCE COUNT RANGE PROGRAM [ARGUMENT...]: starts it COUNT times on the nodes of RANGE, by turns, AT-ONCE of them at a time. Each must exit
 * with status 0. With --wait each is given a line of input and its end only once AT-ONCE of them run: so many there really are at once then. Called by
 * tests/bats/leak.bats, which looks at what is left. One thread, without "ssi run": that would take most of the time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/num.h"
#include "libssi/model/nodelist.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run-spec.h"
#include "ssi/rexec/run.h"

struct soak_job { struct ssi_run *run; };
struct soak {
	struct ssi_nodelist *nodes;
	struct ssi_pack *pack;
	Ssi__Job__Spec *spec;
	bool wait;
	uint32_t at_once, count;
	size_t begun, ended, running, most;  /* most: that ran at once */
	size_t n;                            /* of jobs: at_once */
	struct soak_job *jobs;
	struct pollfd *polls;
};

static void soak_output(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata)
{
	ssi_run_consumed(r, stream, n);
}

static void soak_state(struct ssi_run *r, enum ssi_run_state s, int signal, void *userdata)
{
	struct soak *x = userdata;

	if (s != SSI_RUN_RUNNING)
		return;
	x->running++;
	if (x->running > x->most)
		x->most = x->running;
}

static struct soak_job *soak_free_one(struct soak *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (!x->jobs[i].run)
			return &x->jobs[i];
	return NULL;
}

/* On the next node: a number that is asked for and not used would be held for a minute. */
static int soak_start(struct soak *x, struct ssi_err *e)
{
	static const struct ssi_run_ops ops = { .output = soak_output, .state = soak_state };
	const struct ssi_run_where where = { .range = x->nodes->names[x->begun % x->nodes->n] };
	_cleanup_free_ struct ssi_run_places *places = NULL;
	struct soak_job *job = soak_free_one(x);
	_cleanup_close_ int fd = -1;
	int r = ssi_run_ask(NULL, &where, &places, &fd, e);

	if (r < 0)
		return r;
	if (places->place[0].error[0])
		return ssi_errf(e, -EHOSTUNREACH, "%s: %s", places->place[0].node, places->place[0].error);
	x->begun++;
	return ssi_run_new(NULL, TAKE_FD(fd), &places->place[0], x->spec, x->pack, &ops, x, &job->run, e);
}

static int soak_ended(struct soak *x, struct soak_job *job, struct ssi_err *e)
{
	const struct ssi_run_exit how = *ssi_run_exit(job->run);
	const struct ssi_run_place *p = ssi_run_place(job->run);
	int r = 0;

	if (how.cause != SSI_RUN_EXITED || how.status)
		r = ssi_errf(e, -EIO, "job %llu on %s: cause %d, status %d, signal %d: %s", (unsigned long long)p->job, p->node, (int)how.cause, how.status,
			     how.signal, how.text);
	x->running -= ssi_run_started(job->run);
	x->ended++;
	ssi_run_free(TAKE_PTR(job->run));
	return r;
}

/* All that may run at once do. */
static void soak_release(struct soak *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->jobs[i].run) {
			ssi_run_input(x->jobs[i].run, 0, "go\n", 3);
			ssi_run_input(x->jobs[i].run, 0, NULL, 0);
		}
}

static int soak_turn(struct soak *x, struct ssi_err *e)
{
	int timeout = -1;

	for (size_t i = 0; i < x->n; i++) {
		int t = x->jobs[i].run ? ssi_run_poll(x->jobs[i].run, &x->polls[i]) : -1;

		if (!x->jobs[i].run)
			x->polls[i].fd = -1;
		if (t >= 0 && (timeout < 0 || t < timeout))
			timeout = t;
	}
	if (poll(x->polls, x->n, timeout) < 0 && errno != EINTR)
		return ssi_errno(e, -errno, "poll");
	for (size_t i = 0; i < x->n; i++) {
		int r = x->jobs[i].run ? ssi_run_step(x->jobs[i].run, x->polls[i].revents, e) : 0;

		if (r == SSI_RUN_ENDED)
			r = soak_ended(x, &x->jobs[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int soak(struct soak *x, struct ssi_err *e)
{
	bool released = false;
	int r = 0;

	while (r >= 0 && x->ended < x->count) {
		while (r >= 0 && x->begun < x->count && x->begun - x->ended < x->at_once)
			r = soak_start(x, e);
		if (r < 0)
			break;
		if (x->wait && !released && x->running == x->at_once) {
			soak_release(x);
			released = true;
		}
		r = soak_turn(x, e);
		released = released && x->running;       /* a new round */
	}
	return r;
}

static int soak_open(struct soak *x, char **argv, struct ssi_err *e)
{
	const struct ssi_pack_ask ask = { .command = argv[0], .many = true };
	const struct ssi_spec_ask how = { .argv = argv, .input = x->wait ? 0 : -1, .terminal = -1 };
	const struct rlimit files = { 8192, 8192 };
	int r = ssi_pack_new(&ask, &x->pack, e);

	setrlimit(RLIMIT_NOFILE, &files);
	if (r >= 0)
		r = ssi_spec_new(&how, ssi_pack_program(x->pack), &x->spec, e);
	if (r >= 0)
		x->spec->input = x->wait;
	x->n = x->at_once;
	x->jobs = calloc(x->n, sizeof(*x->jobs));
	x->polls = calloc(x->n, sizeof(*x->polls));
	return r >= 0 && (!x->jobs || !x->polls) ? ssi_errf(e, -ENOMEM, "no memory for %zu jobs", x->n) : r;
}

int main(int argc, char **argv)
{
	struct soak x = { 0 };
	struct ssi_err e;
	int r;

	if (argc > 1 && strcmp(argv[1], "--wait") == 0) {
		x.wait = true;
		argc--;
		argv++;
	}
	if (argc < 5 || ssi_num_u32(argv[1], 1, 8000, &x.at_once) < 0 || ssi_num_u32(argv[2], 1, 10000000, &x.count) < 0) {
		fprintf(stderr, "usage: many-jobs [--wait] AT-ONCE COUNT RANGE PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	r = ssi_nodelist_parse(argv[3], &x.nodes, &e);
	if (r >= 0)
		r = soak_open(&x, argv + 4, &e);
	if (r >= 0)
		r = soak(&x, &e);
	if (r < 0)
		fprintf(stderr, "many-jobs: %s\n", e.text);
	else
		printf("%zu jobs, %zu at once\n", x.ended, x.most);
	for (size_t i = 0; x.jobs && i < x.n; i++)
		ssi_run_free(x.jobs[i].run);
	free(x.jobs);
	free(x.polls);
	ssi_spec_free(x.spec);
	ssi_pack_free(x.pack);
	ssi_nodelist_free(x.nodes);
	return r < 0;
}
