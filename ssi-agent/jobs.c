/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the connections to the keepers of this node's jobs (doc/jobs.md), and passes frames on between them and the master, each way in order. Called by
 * ccm, the loop and session.c. What the session has no room for stays in one keeper's buffer, and then no keeper is read until there is room; a keeper
 * that does not take what the master sends within the windows is no keeper. Some without a job stand ready, for it takes longer to make one than to start a
 * program; new ones are made a moment after a job was begun, not while it is.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include "libssi/base/log.h"
#include "libssi/comm/jobframe.h"
#include "ssi-agent/agent.h"
#include "ssi-agent/keepers.h"

#define JOBS_MAX 8000                /* what one HELD has room for */
#define JOBS_OUT_MAX (4u << 20)      /* to one keeper: the windows of its streams */
#define JOBS_FILES 32768
#define JOBS_BURY_US 100000
#define JOBS_SPARE_US 1000000        /* once the node has joined */
#define JOBS_SPARES 3
#define JOBS_REFILL_US 2000
#define JOBS_CROWD 8

struct job {
	LIST_ENTRY(job) link;
	struct agent *a;
	uint64_t number;                     /* 0: the one that stands ready */
	struct ssi_jobhop hop;
	sd_event_source *io;
	struct ssi_jobframe held;            /* a frame the session had no room for; type 0 = none */
	const uint8_t *held_body;            /* in hop */
};

struct jobs {
	LIST_HEAD(, job) jobs, dead;         /* dead: to be buried */
	unsigned n, crowd;                   /* crowd: the most since memory was given back last */
	LIST_HEAD(, job) spares;             /* without a number */
	unsigned n_spares;
	int server;                          /* see keepers_start() */
	sd_event_source *spare_timer, *bury_timer;
	bool full;                           /* the session has no room */
};

static void jobs_free(struct job *job)
{
	struct jobs *j = job->a->jobs;

	LIST_REMOVE(job, link);
	*(job->number ? &j->n : &j->n_spares) -= 1;
	job->io = sd_event_source_disable_unref(job->io);
	ssi_jobhop_close(&job->hop);
	free(job);
	/* What many had on its way at once is locked in memory; few do not need it. */
	if (j->crowd >= JOBS_CROWD && j->n <= j->crowd / 4) {
		malloc_trim(0);
		j->crowd = j->n;
	}
}

static void jobs_insert(struct job *job, uint64_t number)
{
	struct jobs *j = job->a->jobs;

	job->number = number;
	if (number)
		LIST_INSERT_HEAD(&j->jobs, job, link);
	else
		LIST_INSERT_HEAD(&j->spares, job, link);
	*(number ? &j->n : &j->n_spares) += 1;
	if (j->n > j->crowd)
		j->crowd = j->n;
}

static struct job *jobs_find(struct jobs *j, uint64_t number)
{
	struct job *job;

	LIST_FOREACH(job, &j->jobs, link)
		if (job->number == number)
			return job;
	return NULL;
}

static int jobs_say(struct agent *a, uint16_t type, uint64_t number, const ProtobufCMessage *m)
{
	struct ssi_ccm_conn *c = ssi_member_conn(a->member);
	uint8_t buf[1024];

	if (!c || protobuf_c_message_get_packed_size(m) > sizeof(buf))
		return -EMSGSIZE;
	return ssi_ccm_send(c, SSI_MOD_JOB, type, number, buf, protobuf_c_message_pack(m, buf));
}

static void jobs_say_exit(struct agent *a, uint64_t number, Ssi__Job__Exit__Cause cause, int error, const char *text)
{
	Ssi__Job__Exit m = SSI__JOB__EXIT__INIT;

	m.cause = cause;
	m.error = (uint32_t)error;
	m.signal = cause == SSI__JOB__EXIT__CAUSE__KILLED ? SIGKILL : 0;
	m.status = cause == SSI__JOB__EXIT__CAUSE__NOT_STARTED ? 126 : 0;
	m.text = (char *)text;
	jobs_say(a, SSI_JOB_EXIT, number, &m.base);
}

/* --- the dead --- */

static void jobs_bury_later(struct agent *a, uint64_t number);

static int jobs_on_bury(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct agent *a = userdata;
	struct job *job, *next;

	for (job = LIST_FIRST(&a->jobs->dead); job; job = next) {
		next = LIST_NEXT(job, link);
		if (keepers_bury(job->number) == -EBUSY)
			continue;
		LIST_REMOVE(job, link);
		free(job);
	}
	a->jobs->bury_timer = sd_event_source_disable_unref(a->jobs->bury_timer);
	if (LIST_FIRST(&a->jobs->dead))
		jobs_bury_later(a, 0);
	return 0;
}

static void jobs_bury_later(struct agent *a, uint64_t number)
{
	struct job *job = number ? calloc(1, sizeof(*job)) : NULL;

	if (job) {
		job->number = number;
		LIST_INSERT_HEAD(&a->jobs->dead, job, link);
	}
	if (!a->jobs->bury_timer)
		sd_event_add_time_relative(a->event, &a->jobs->bury_timer, CLOCK_MONOTONIC, JOBS_BURY_US, 0, jobs_on_bury, a);
}

/* A keeper has closed its end: the job is over, and its folder gone with it; or somebody killed the keeper. */
static void jobs_lost(struct job *job)
{
	struct agent *a = job->a;
	Ssi__Job__Gone gone = SSI__JOB__GONE__INIT;
	uint64_t number = job->number;
	int fd, r;

	jobs_free(job);
	if (!number) {
		log_warning("a keeper that waited for a job has ended");
		keepers_sweep();
		return;
	}
	fd = keepers_connect(number);
	if (fd >= 0) {                       /* it is there all the same: the next frame connects again */
		close(fd);
		return;
	}
	r = keepers_bury(number);
	if (r == -EBUSY)
		jobs_bury_later(a, number);
	if (r == 0) {                        /* who has its record knows; nobody may have it, when its lease was over or it could not begin */
		gone.text = (char *)"its keeper has ended";
		jobs_say(a, SSI_JOB_GONE, number, &gone.base);
		return;
	}
	log_warning("job %" PRIu64 ": its keeper ended, and with it the job", number);
	jobs_say_exit(a, number, SSI__JOB__EXIT__CAUSE__KILLED, 0, "its keeper on the node was killed");
}

/* --- from the keeper --- */

static void jobs_want(struct job *job)
{
	uint32_t events = (job->held.type || job->a->jobs->full ? 0 : EPOLLIN) | (ssi_jobhop_waits(&job->hop) ? EPOLLOUT : 0);

	/* Off altogether when nothing is wanted: an end is told whether it is asked for or not. */
	sd_event_source_set_io_events(job->io, events ? events : EPOLLIN);
	sd_event_source_set_enabled(job->io, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int jobs_pass(struct job *job, const struct ssi_jobframe *f, const uint8_t *body)
{
	struct ssi_ccm_conn *c = ssi_member_conn(job->a->member);
	int r = c ? ssi_ccm_send(c, SSI_MOD_JOB, f->type, f->job, body, f->size) : -ENOTCONN;

	if (r != -EAGAIN)
		return 0;                    /* without a session nobody hears it: it is said again once somebody has attached himself */
	job->held = *f;
	job->held_body = body;
	job->a->jobs->full = true;
	return r;
}

/* All that was read of a keeper, as far as there is room. -errno: it is no keeper. */
static int jobs_relay(struct job *job)
{
	struct ssi_jobframe f;
	const uint8_t *body;
	int r;

	if (job->held.type) {
		f = job->held;
		job->held.type = 0;
		if (jobs_pass(job, &f, job->held_body) == -EAGAIN)
			return 0;
	}
	while ((r = ssi_jobhop_next(&job->hop, &f, &body)) > 0)
		if (f.job == job->number && jobs_pass(job, &f, body) == -EAGAIN)
			return 0;
	return r;
}

static int jobs_on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct job *job = userdata;
	int r = 0;

	if (revents & EPOLLOUT)
		r = ssi_jobhop_flush(&job->hop);
	if (r >= 0 && revents & ~(uint32_t)EPOLLOUT && !job->held.type && !job->a->jobs->full) {
		r = ssi_jobhop_read(&job->hop);
		r = r > 0 ? jobs_relay(job) : r == 0 ? -EPIPE : r == -EAGAIN ? 0 : r;
	}
	if (r < 0)
		jobs_lost(job);
	else
		jobs_want(job);
	return 0;
}

/* number 0: a spare one. */
static struct job *jobs_new(struct agent *a, int fd, uint64_t number)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job) {
		job->a = a;
		ssi_jobhop_init(&job->hop, fd);
		job->hop.out_max = JOBS_OUT_MAX;
		if (sd_event_add_io(a->event, &job->io, fd, EPOLLIN, jobs_on_io, job) >= 0) {
			jobs_insert(job, number);
			return job;
		}
	}
	close(fd);
	free(job);
	return NULL;
}

static void jobs_spare(struct agent *a, unsigned n)
{
	struct ssi_err e;

	while (a->jobs->n_spares < n && !a->leaving) {
		int fd = keepers_start(a->event, a->keeper, &a->jobs->server, &e);

		if (fd < 0)
			log_warning("no keeper for jobs: %s", e.text);
		if (fd < 0 || !jobs_new(a, fd, 0))
			return;
	}
}

static int jobs_on_spare(sd_event_source *s, uint64_t usec, void *userdata)
{
	jobs_spare(userdata, JOBS_SPARES);
	return 0;
}

/* What was to be done sooner stays so. */
static void jobs_spare_soon(struct agent *a, uint64_t us)
{
	uint64_t then = UINT64_MAX, now = 0;
	struct jobs *j = a->jobs;

	if (!j->spare_timer)
		sd_event_add_time_relative(a->event, &j->spare_timer, CLOCK_MONOTONIC, us, 1, jobs_on_spare, a);
	if (sd_event_source_get_enabled(j->spare_timer, NULL) > 0)
		sd_event_source_get_time(j->spare_timer, &then);
	sd_event_now(a->event, CLOCK_MONOTONIC, &now);
	if (then > now + us && sd_event_source_set_time_relative(j->spare_timer, us) >= 0)
		sd_event_source_set_enabled(j->spare_timer, SD_EVENT_ONESHOT);
}

/* --- from the master --- */

/* Say it to the keeper; what it does not take in time ends the connection. */
static void jobs_tell(struct job *job, uint16_t type, const uint8_t *body, size_t n)
{
	if (ssi_jobhop_send(&job->hop, type, job->number, body, n) < 0) {
		jobs_lost(job);
	} else if (ssi_jobhop_full(&job->hop)) {
		log_error("job %" PRIu64 ": its keeper does not listen", job->number);
		jobs_free(job);
	} else {
		jobs_want(job);
	}
}

/* The oldest: it has been made. */
static struct job *jobs_spare_oldest(struct jobs *j)
{
	struct job *job = LIST_FIRST(&j->spares);

	while (job && LIST_NEXT(job, link))
		job = LIST_NEXT(job, link);
	return job;
}

/* The folder first: should this agent end now, the next one knows that there was to be a job (doc/jobs.md). */
static int jobs_on_spec(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct agent *a = userdata;
	struct job *job;
	int r;

	if (!f->sequence)
		return -EBADMSG;
	r = a->jobs->n >= JOBS_MAX ? -EMFILE : keepers_folder(f->sequence);
	if (r == -EEXIST)
		return 0;                    /* it was said twice */
	if (r >= 0)
		jobs_spare(a, 1);
	job = jobs_spare_oldest(a->jobs);
	if (r < 0 || !job) {
		if (r >= 0)
			keepers_bury(f->sequence);
		jobs_say_exit(a, f->sequence, SSI__JOB__EXIT__CAUSE__NOT_STARTED, r < 0 ? -r : EAGAIN,
			      r == -EMFILE ? "as many jobs run on this node as may" : "this node has no room for another job");
		return 0;
	}
	LIST_REMOVE(job, link);
	a->jobs->n_spares--;
	jobs_insert(job, f->sequence);
	jobs_tell(job, SSI_JOB_SPEC, body, f->size);
	jobs_spare_soon(a, JOBS_REFILL_US);
	return 0;
}

static int jobs_on_frame(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct agent *a = userdata;
	struct job *job = jobs_find(a->jobs, f->sequence);
	Ssi__Job__Gone gone = SSI__JOB__GONE__INIT;

	if (!job && f->sequence) {
		int fd = keepers_connect(f->sequence);

		job = fd >= 0 ? jobs_new(a, fd, f->sequence) : NULL;
	}
	if (job) {
		jobs_tell(job, f->type, body, f->size);
	} else if (f->type == SSI_JOB_ATTACH || f->type == SSI_JOB_SIGNAL) {
		gone.text = (char *)"there is no such job on the node";
		gone.error = ESRCH;
		jobs_say(a, SSI_JOB_GONE, f->sequence, &gone.base);
	}
	return 0;
}

void jobs_taken(struct agent *a, uint64_t number)
{
	struct job *job = jobs_find(a->jobs, number);

	if (job)
		jobs_tell(job, SSI_JOB_TAKE, NULL, 0);
}

/* --- the session --- */

struct jobs_finding { struct agent *a; Ssi__Job__Jobs m; Ssi__Job__Held *held[JOBS_MAX]; };

/* What is packed outlives the file it was read from. */
static Ssi__Job__Held *jobs_copy(const Ssi__Job__Held *held)
{
	uint8_t buf[1024];

	if (ssi__job__held__get_packed_size(held) > sizeof(buf))
		return NULL;
	return ssi__job__held__unpack(NULL, ssi__job__held__pack(held, buf), buf);
}

static int jobs_found(const Ssi__Job__Held *held, int fd, void *userdata)
{
	struct jobs_finding *x = userdata;

	if (fd < 0) {
		jobs_bury_later(x->a, held->job);
		return 0;
	}
	if (x->m.n_held == JOBS_MAX || jobs_find(x->a->jobs, held->job)) {
		close(fd);
		return 0;
	}
	x->held[x->m.n_held] = jobs_copy(held);
	if (!jobs_new(x->a, fd, held->job) || !x->held[x->m.n_held])
		return -ENOMEM;
	x->m.n_held++;
	return 0;
}

void jobs_joined(struct agent *a)
{
	struct jobs_finding *x = calloc(1, sizeof(*x));
	struct ssi_ccm_conn *c = ssi_member_conn(a->member);
	uint8_t *buf = NULL;

	if (!x)
		return;
	x->a = a;
	ssi__job__jobs__init(&x->m);
	x->m.held = x->held;
	if (keepers_find(jobs_found, x) >= 0)
		buf = malloc(ssi__job__jobs__get_packed_size(&x->m) + 1);
	if (!buf || ssi_ccm_send(c, SSI_MOD_JOB, SSI_JOB_HELD, 0, buf, ssi__job__jobs__pack(&x->m, buf)) < 0)
		log_error("the master cannot be told of the %zu job%s here", x->m.n_held, x->m.n_held == 1 ? "" : "s");
	for (size_t i = 0; i < x->m.n_held; i++)
		ssi__job__held__free_unpacked(x->held[i], NULL);
	free(buf);
	free(x);
	jobs_spare_soon(a, JOBS_SPARE_US);
}

void jobs_closed(struct agent *a)
{
	while (LIST_FIRST(&a->jobs->jobs))
		jobs_free(LIST_FIRST(&a->jobs->jobs));
	a->jobs->full = false;
}

void jobs_drained(struct agent *a)
{
	struct job *job, *next;

	a->jobs->full = false;
	for (job = LIST_FIRST(&a->jobs->jobs); job; job = next) {
		next = LIST_NEXT(job, link);
		if (job->held.type && !a->jobs->full && jobs_relay(job) < 0)
			jobs_lost(job);
		else
			jobs_want(job);
	}
}

int jobs_open(struct agent *a, struct ssi_err *e)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_JOB, SSI_JOB_SPEC, SSI_JOBFRAME_MAX, SSI_FROM_MASTER, jobs_on_spec, a },
		{ SSI_MOD_JOB, SSI_JOB_BLOB, SSI_JOBFRAME_MAX, SSI_FROM_MASTER, jobs_on_frame, a },
		{ SSI_MOD_JOB, SSI_JOB_DATA, SSI_JOBFRAME_MAX, SSI_FROM_MASTER, jobs_on_frame, a },
		{ SSI_MOD_JOB, SSI_JOB_ACK, 64, SSI_FROM_MASTER, jobs_on_frame, a },
		{ SSI_MOD_JOB, SSI_JOB_SIGNAL, 64, SSI_FROM_MASTER, jobs_on_frame, a },
		{ SSI_MOD_JOB, SSI_JOB_WINDOW, 1024, SSI_FROM_MASTER, jobs_on_frame, a },
		{ SSI_MOD_JOB, SSI_JOB_EXIT_ACK, 0, SSI_FROM_MASTER, jobs_on_frame, a },
		{ SSI_MOD_JOB, SSI_JOB_ATTACH, 256, SSI_FROM_MASTER, jobs_on_frame, a },
	};
	struct rlimit files;
	int r;

	a->jobs = calloc(1, sizeof(*a->jobs));
	r = a->jobs ? ssi_ccm_register(a->ccm, rules, sizeof(rules) / sizeof(*rules)) : -ENOMEM;
	if (r < 0)
		return ssi_errno(e, r, "jobs");
	a->jobs->server = -1;
	keepers_sweep();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < JOBS_FILES) {
		files.rlim_cur = files.rlim_max < JOBS_FILES ? files.rlim_max : JOBS_FILES;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

/* Keepers stay, but for the one that waits. */
void jobs_close(struct agent *a)
{
	struct job *job;

	if (!a->jobs)
		return;
	jobs_closed(a);
	while (LIST_FIRST(&a->jobs->spares))
		jobs_free(LIST_FIRST(&a->jobs->spares));
	if (a->jobs->server >= 0)
		close(a->jobs->server);
	while ((job = LIST_FIRST(&a->jobs->dead))) {
		LIST_REMOVE(job, link);
		free(job);
	}
	sd_event_source_disable_unref(a->jobs->spare_timer);
	sd_event_source_disable_unref(a->jobs->bury_timer);
	free(a->jobs);
}
