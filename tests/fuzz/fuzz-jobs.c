/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootsvc/jobs: any messages about jobs that a node may say, to a daemon with a store, where jobs of this node run with and without somebody who waits for them, and
 * one runs on another node. What is kept of them is printable, the other node's job is as it was, and tables and counts agree. Messages are: type, job, two bytes
 * of length, body. Type 0: the session ends and there is another one; type 1: the node boots anew.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/path.h"
#include "libssi/comm/ccm-internal.h"
#include "tests/fuzz/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OTHERS 4                             /* the number of the other node's job */

static char folder[] = "/tmp/fuzz-jobs-XXXXXX";
static struct state *store;

static void store_end(void)
{
	state_close(store);
	ssi_path_rmtree(folder);
}

/* One for all inputs, as to make it takes longer than all else: what an input has left goes. */
static void store_rm(const struct state_job *s, void *userdata)
{
	if (state_job_rm(store, s->number, NULL) < 0)
		abort();
}

static void store_begin(void)
{
	if (!store && (!mkdtemp(folder) || state_open(folder, &store, NULL) < 0 || atexit(store_end)))
		abort();
	if (state_job_each(store, store_rm, NULL, NULL) < 0 || state_begin(store, false, NULL) < 0 || state_value_put(store, "job:next", 16, NULL) < 0 ||
	    state_commit(store, NULL) < 0)
		abort();
}

struct fuzz {
	struct daemon d;
	struct ssi_ccm_conn *node, *other;
	int ends[2];                         /* the clients' ends */
};

static struct ssi_ccm_conn *session(struct fuzz *x, const char *name)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = 7 };
	struct ssi_ccm_conn *c;

	strcpy(id.who, name);
	if (ccm_conn_loose(x->d.ccm, &id, &c) < 0)
		abort();
	return c;
}

static struct job *runs(struct fuzz *x, uint64_t number, struct ssi_ccm_conn *c, int phase)
{
	struct state_job s = { .number = number, .pid = JOBS_PID_FIRST + (uint32_t)number, .uid = 1000, .incarnation = 7, .phase = phase };
	struct job *job;

	strcpy(s.node, ssi_ccm_identity(c)->who);
	job = job_restore(x->d.jobs, &s);
	if (!job)
		abort();
	job->conn = c;
	return job;
}

static void waits_for(struct fuzz *x, struct job *job, int *ret_end)
{
	struct job_client *c = calloc(1, sizeof(*c));
	int p[2];

	if (!c || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
		abort();
	c->jobs = x->d.jobs;
	c->uid = 1000;
	ssi_jobhop_init(&c->hop, p[0]);
	*ret_end = p[1];
	LIST_INSERT_HEAD(&x->d.jobs->clients, c, link);
	x->d.jobs->n_clients++;
	c->job = job;
	job->client = c;
}

static void begin(struct fuzz *x)
{
	static const struct ssi_ccm_ops ccm_ops = { 0 };
	static const struct ssi_head_ops head_ops = { 0 };
	struct job *doomed;

	store_begin();
	x->d.state = store;
	if (sd_event_new(&x->d.event) < 0 || ssi_ccm_new(x->d.event, &ccm_ops, NULL, &x->d.ccm) < 0 ||
	    ssi_head_new(x->d.event, x->d.ccm, &head_ops, NULL, &x->d.head) < 0 || jobs_new(&x->d, &x->d.jobs, NULL) < 0)
		abort();
	x->node = session(x, "n01");
	x->other = session(x, "n02");
	waits_for(x, runs(x, 1, x->node, STATE_JOB_SENT), &x->ends[0]);
	waits_for(x, runs(x, 2, x->node, STATE_JOB_RUNS), &x->ends[1]);
	doomed = runs(x, 3, x->node, STATE_JOB_RUNS);
	runs(x, OTHERS, x->other, STATE_JOB_RUNS);
	job_doom(x->d.jobs, doomed);
}

static void end(struct fuzz *x)
{
	jobs_free(x->d.jobs);
	ssi_head_free(x->d.head);
	ssi_ccm_free(x->d.ccm);
	sd_event_unref(x->d.event);
	close(x->ends[0]);
	close(x->ends[1]);
}

/* 0: it was said. Negative: the session is over. */
static int say(struct fuzz *x, uint8_t type, uint8_t job, const uint8_t *body, size_t n)
{
	const struct ssi_ccm_head f = { .module = SSI_MOD_JOB, .type = type, .sequence = job, .size = (uint32_t)n };
	struct ssi_head_node anew = { .name = "n01", .state = SSI_NODE_JOINED, .incarnation = 8 };
	char buf[65536];
	struct ssi_err e;
	int r = 0;

	if (type == 0) {
		jobs_closed(x->d.jobs, x->node);
		x->node = session(x, "n01");
	} else if (type == 1) {
		jobs_node_changed(x->d.jobs, &anew);
	} else {
		r = ccm_conn_hear(x->node, &f, body, &e);
	}
	for (int i = 0; i < 2; i++)
		while (recv(x->ends[i], buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	return r;
}

static void printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			abort();
}

static unsigned check(const struct jobs *j, const struct job_list *list, bool acked)
{
	const struct job *job;
	unsigned n = 0;

	TAILQ_FOREACH(job, list, order) {
		n++;
		printable(job->s.node);
		printable(job->s.command);
		printable(job->s.text);
		if (job->acked != acked || job_find(j, job->s.number) != job || (job->client && job->client->job != job))
			abort();
	}
	return n;
}

/* Each number of a process is some job's that is not over, and no other is taken. */
static void check_pids(const struct jobs *j)
{
	const struct job *job;
	unsigned taken = 0, had = 0;

	for (size_t i = 0; i < sizeof(j->pids); i++)
		taken += (unsigned)__builtin_popcount(j->pids[i]);
	TAILQ_FOREACH(job, &j->active, order)
		if (job->s.pid) {
			had++;
			if (!(j->pids[job->s.pid / 8] & 1u << job->s.pid % 8))
				abort();
		}
	if (taken != had)
		abort();
}

static void check_all(const struct fuzz *x)
{
	const struct jobs *j = x->d.jobs;
	const struct job *others = job_find(j, OTHERS);

	check_pids(j);
	if (check(j, &j->active, false) != j->n_active || check(j, &j->kept, true) != j->n_kept || j->n_kept > JOBS_KEPT)
		abort();
	if (!others || others->state != JOB_RUNNING || others->conn != x->other || others->acked || others->owes || strcmp(others->s.node, "n02") != 0 ||
	    others->s.pid != JOBS_PID_FIRST + OTHERS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz x = { 0 };
	struct fuzz_message m;
	int r = 0;

	if (size > 65536)
		return 0;
	begin(&x);
	while (r >= 0 && fuzz_message_next(&data, &size, &m)) {
		r = say(&x, m.type, m.which, m.body, m.n);
		check_all(&x);
	}
	end(&x);
	return 0;
}
