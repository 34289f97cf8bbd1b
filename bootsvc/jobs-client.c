/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs, towards who starts them: RUN/jobs.sock, open to everyone, a connection for each job. Who is there is what the kernel says of the socket's other end. A
 * connection whose frames its node has no room for is not read; one that goes away takes its job with it, unless another one has attached to it.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "ssi/rexec/job.pb-c.h"

#define CLIENT_OUT_MAX (8 * SSI_JOB_WINDOW_BYTES)
#define CLIENTS_OF_USER (JOBS_OF_USER + 256)
#define CROWD 8

/* What of a job a client may say, and how large. */
static const uint32_t may_say[] = {
	[SSI_JOB_SPEC] = SSI_JOBFRAME_MAX, [SSI_JOB_BLOB] = SSI_JOBFRAME_MAX, [SSI_JOB_DATA] = SSI_JOBFRAME_MAX, [SSI_JOB_ACK] = 64, [SSI_JOB_SIGNAL] = 64,
	[SSI_JOB_WINDOW] = 1024, [SSI_JOB_EXIT_ACK] = 1, [SSI_JOB_ATTACH] = 256, [SSI_JOB_ASK] = SSI_JOBFRAME_MAX,
	[SSI_JOB_GIVE] = SSI_JOBFRAME_MAX / 2, [SSI_JOB_TAKE] = SSI_JOBFRAME_MAX / 2,
};

static void client_arm(struct job_client *c)
{
	sd_event_source_set_io_events(c->io, (c->blocked ? 0 : EPOLLIN) | (ssi_jobhop_waits(&c->hop) ? EPOLLOUT : 0));
}

static void client_block(struct job_client *c, bool blocked)
{
	if (blocked && !c->blocked)
		LIST_INSERT_HEAD(&c->jobs->blocked, c, waiting);
	else if (!blocked && c->blocked)
		LIST_REMOVE(c, waiting);
	c->blocked = blocked;
}

/* What many had on its way at once does not stay with who has few. */
static void crowd_gone(struct jobs *j)
{
	if (j->crowd < CROWD || j->n_clients > j->crowd / 4)
		return;
	malloc_trim(0);
	j->crowd = j->n_clients;
}

static void client_free(struct job_client *c)
{
	struct jobs *j = c->jobs;
	struct job *job = c->job;

	client_block(c, false);
	LIST_REMOVE(c, link);
	j->n_clients--;
	if (job)
		job->client = NULL;
	sd_event_source_disable_unref(c->io);
	ssi_jobhop_close(&c->hop);
	free(c);
	crowd_gone(j);
}

/* Who is left without it: the job dies with who started it. */
static void client_gone(struct job_client *c)
{
	struct jobs *j = c->jobs;
	struct job *job = c->job;

	client_free(c);
	if (job)
		job_doom(j, job);
}

/* To be closed from the loop, not from where somebody stands who uses it. */
static void client_drop(struct job_client *c)
{
	shutdown(c->hop.fd, SHUT_RDWR);
}

static void client_say(struct job_client *c, uint16_t type, uint64_t number, const void *body, size_t n)
{
	if (c->hop.out.len - c->hop.out_at > CLIENT_OUT_MAX || ssi_jobhop_send(&c->hop, type, number, body, n) < 0)
		client_drop(c);                  /* more than any job may have on its way, or nobody is there */
	client_arm(c);
}

int job_to_client(struct job *job, uint16_t type, const void *body, size_t n)
{
	if (!job->client)
		return -ENOTCONN;
	client_say(job->client, type, job->s.number, body, n);
	return 0;
}

static void say_state(struct job_client *c, uint64_t number, Ssi__Job__State__What what)
{
	Ssi__Job__State m = SSI__JOB__STATE__INIT;
	uint8_t p[32];

	m.what = what;
	client_say(c, SSI_JOB_STATE, number, p, protobuf_c_message_pack(&m.base, p));
}

void job_tell_state(struct job *job, int what)
{
	if (job->client)
		say_state(job->client, job->s.number, (Ssi__Job__State__What)what);
}

static void say_gone(struct job_client *c, uint64_t number, int error, const char *text)
{
	Ssi__Job__Gone m = SSI__JOB__GONE__INIT;
	uint8_t p[256];

	m.text = (char *)text;
	m.error = (uint32_t)-error;
	client_say(c, SSI_JOB_GONE, number, p, protobuf_c_message_pack(&m.base, p));
}

/* --- taking a job up again --- */

static void take_up(struct job_client *c, struct job *job)
{
	struct job_client *other = job->client;

	if (other && other != c) {
		say_gone(other, job->s.number, -ESTALE, "somebody else has attached to it");
		other->job = NULL;
	}
	c->job = job;
	c->wants = 0;
	job->client = c;
}

static int attach(struct job_client *c, struct job *job, const void *body, size_t n)
{
	int r = job->conn ? job_to_node(job, SSI_JOB_ATTACH, body, n) : 0;

	if (r == -EAGAIN)
		return r;
	take_up(c, job);
	if (!job->conn)
		job_tell_state(job, SSI__JOB__STATE__WHAT__AWAY);
	return 0;
}

static int on_attach(struct job_client *c, uint64_t number, const uint8_t *body, size_t n)
{
	struct job *job = job_find(c->jobs, number);

	if (job && c->uid && c->uid != job->s.uid)
		say_gone(c, number, -EPERM, "it is not yours");
	else if (job && (job->acked || job->doomed))
		say_gone(c, number, -ESRCH, "it is over");
	else if (job && job->state == JOB_ENDED && job->s.cause == SSI__JOB__EXIT__CAUSE__NODE_LOST) {
		if (job->client)
			job->client->job = NULL;
		c->job = job;
		job->client = c;
		job_lost(c->jobs, job, job->s.text);
	} else if (job)
		return attach(c, job, body, n);
	else if (ssi_clock_wall_ms() - c->jobs->d->started < JOBS_BACK_MS) {
		c->wants = number;
		say_state(c, number, SSI__JOB__STATE__WHAT__AWAY);       /* what it sends meanwhile is lost */
	} else
		say_gone(c, number, -ESRCH, "there is no such job");
	return 0;
}

void jobs_client_named(struct jobs *j, struct job *job)
{
	struct job_client *c, *next;

	for (c = LIST_FIRST(&j->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->wants != job->s.number || (c->uid && c->uid != job->s.uid))
			continue;
		take_up(c, job);
		job_tell_state(job, SSI__JOB__STATE__WHAT__BACK);        /* it says ATTACH then, and sends what was lost again */
	}
}

void jobs_client_sweep(struct jobs *j)
{
	struct job_client *c;

	if (ssi_clock_wall_ms() - j->d->started < JOBS_BACK_MS)
		return;
	LIST_FOREACH(c, &j->clients, link)
		if (c->wants) {
			say_gone(c, c->wants, -ESRCH, "there is no such job");
			c->wants = 0;
		}
}

/* --- what clients say --- */

/* Is this frame one that the connection may bring? The job it is about is the connection's, but with ASK, SPEC and ATTACH, which make it so. */
static bool frame_ok(const struct job_client *c, const struct ssi_jobframe *f)
{
	bool begins = f->type == SSI_JOB_ASK || f->type == SSI_JOB_SPEC || f->type == SSI_JOB_ATTACH;

	if (f->type >= sizeof(may_say) / sizeof(*may_say) || !may_say[f->type] || f->size > may_say[f->type])
		return false;
	if (f->type == SSI_JOB_ASK)
		return !c->asked && !c->job;     /* it costs the most of all */
	/* One job a connection, for good: the job would know it still. */
	return begins ? (!c->job || c->job->s.number == f->job) && (!c->wants || c->wants == f->job) : !c->job || c->job->s.number == f->job;
}

static int on_exit_ack(struct job_client *c)
{
	struct job *job = c->job;

	if (job->state != JOB_ENDED)
		return -EPROTO;
	job->owes |= JOB_OWES_EXIT_ACK;
	job_pay(job);
	job_over(c->jobs, job);
	job_changed(c->jobs, job);
	return 0;
}

/* waits: it could not be said to the node. */
static void on_signal(struct job *job, const uint8_t *body, size_t n, bool waits)
{
	Ssi__Job__Signal *m = job->held || waits ? ssi__job__signal__unpack(NULL, n, body) : NULL;

	if (m && m->number == SIGCONT)
		job->held = false;
	if (m && waits)
		job_signal(job, m->number);
	ssi__job__signal__free_unpacked(m, NULL);
}

/* -EAGAIN: not now. Other failures: the client is none. */
static int on_frame(struct job_client *c, const struct ssi_jobframe *f, const uint8_t *body)
{
	int r;

	switch (f->type) {
	case SSI_JOB_ASK:
		c->asked = true;
		return jobs_on_ask(c, body, f->size);
	case SSI_JOB_SPEC:
		return jobs_on_spec(c, f->job, body, f->size);
	case SSI_JOB_ATTACH:
		return on_attach(c, f->job, body, f->size);
	}
	if (!c->job || c->job->acked)
		return 0;                        /* it was taken from it, or is over: what was on its way is nothing any more */
	if (f->type == SSI_JOB_EXIT_ACK)
		return on_exit_ack(c);
	r = f->type == SSI_JOB_TAKE ? jobs_on_take(c, body, f->size) : job_to_node(c->job, f->type, body, f->size);
	if (f->type == SSI_JOB_SIGNAL)
		on_signal(c->job, body, f->size, r == -ENOTCONN);
	return r == -ENOTCONN ? 0 : r;           /* it comes again with the ATTACH */
}

/* All that is there, until there is no room for it. */
static void client_frames(struct job_client *c)
{
	struct ssi_jobframe f;
	const uint8_t *body;
	int r;

	while ((r = ssi_jobhop_next(&c->hop, &f, &body)) > 0) {
		if (c->hop.out.len - c->hop.out_at > CLIENT_OUT_MAX)
			r = -ENOBUFS;            /* it asks and does not read */
		else
			r = frame_ok(c, &f) ? on_frame(c, &f, body) : -EPROTO;
		if (r == -EAGAIN) {
			ssi_jobhop_again(&c->hop, &f);
			client_block(c, true);
			return;
		}
		if (r < 0)
			break;
	}
	if (r < 0) {
		log_debug("jobs: uid %u: what came is no frame of a job", c->uid);
		client_drop(c);
	}
}

void jobs_client_pump(struct job_client *c)
{
	client_block(c, false);
	client_frames(c);
	client_arm(c);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct job_client *c = userdata;
	int r = revents & EPOLLOUT ? ssi_jobhop_flush(&c->hop) : 0;

	if (r == 0 && revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && !c->blocked) {
		r = ssi_jobhop_read(&c->hop);
		if (r > 0)
			client_frames(c);
		r = r == 0 ? -EPIPE : r == -EAGAIN || r > 0 ? 0 : r;
	} else if (revents & (EPOLLHUP | EPOLLERR))
		r = -EPIPE;
	if (r < 0)
		client_gone(c);
	else
		client_arm(c);
	return 0;
}

/* One user may not keep the others out. */
static bool door_open(const struct jobs *j, uid_t uid)
{
	const struct job_client *c;
	unsigned n = 0;

	if (uid)
		LIST_FOREACH(c, &j->clients, link)
			n += c->uid == uid;
	return j->n_clients < JOBS_CLIENTS && n < CLIENTS_OF_USER;
}

static int on_door(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct jobs *j = userdata;
	_cleanup_close_ int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t n = sizeof(who);
	struct job_client *c;

	if (conn < 0 || getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || !door_open(j, who.uid))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	c->jobs = j;
	c->uid = who.uid;
	c->gid = who.gid;
	c->pid = (uint32_t)who.pid;
	if (sd_event_add_io(j->d->event, &c->io, conn, EPOLLIN, on_io, c) < 0) {
		free(c);
		return 0;
	}
	ssi_jobhop_widen(conn);
	ssi_jobhop_init(&c->hop, TAKE_FD(conn));
	LIST_INSERT_HEAD(&j->clients, c, link);
	if (++j->n_clients > j->crowd)
		j->crowd = j->n_clients;
	return 0;
}

int jobs_client_listen(struct jobs *j, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(j->d->opt->run, "jobs.sock");
	int r;

	j->fd = path ? ssi_jobhop_listen(path, 0666, e) : ssi_errf(e, -ENOMEM, "jobs.sock");
	if (j->fd < 0)
		return j->fd;
	r = sd_event_add_io(j->d->event, &j->door, j->fd, EPOLLIN, on_door, j);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

void jobs_client_free_all(struct jobs *j)
{
	struct job_client *c;

	while ((c = LIST_FIRST(&j->clients)))
		client_free(c);
	sd_event_source_disable_unref(j->door);
	if (j->fd >= 0)
		close(j->fd);
}
