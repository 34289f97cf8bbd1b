/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs, towards the nodes: what comes from them and goes on to who started the job, and what is said to them for somebody who is not there any more. Called
 * by ccm, the membership engine and the other jobs-*.c. A node is believed about the jobs that are on it, and about no others.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "ssi/boot/text.h"
#include "ssi/rexec/job.pb-c.h"

#define HELD_MAX (1u << 20)
#define HELD_JOBS_MAX 8000                   /* of one node: what its agent keeps at most */

int job_to_node(struct job *job, uint16_t type, const void *body, size_t n)
{
	return job->conn ? ssi_ccm_send(job->conn, SSI_MOD_JOB, type, job->s.number, body, n) : -ENOTCONN;
}

/* Small messages of the daemon's own. */
static int say(struct job *job, uint16_t type, const ProtobufCMessage *m)
{
	uint8_t p[256];

	return protobuf_c_message_get_packed_size(m) > sizeof(p) ? -EMSGSIZE : job_to_node(job, type, p, protobuf_c_message_pack(m, p));
}

static int say_signal(struct job *job, unsigned number, bool group)
{
	Ssi__Job__Signal m = SSI__JOB__SIGNAL__INIT;

	m.number = number;
	m.group = group;
	return say(job, SSI_JOB_SIGNAL, &m.base);
}

static int say_acks(struct job *job)
{
	int r = 0;

	for (uint32_t i = 0; i < JOBS_STREAMS && r >= 0; i++) {
		Ssi__Job__Ack m = SSI__JOB__ACK__INIT;

		m.stream = i;
		m.offset = job->discarded[i];
		if (m.offset)
			r = say(job, SSI_JOB_ACK, &m.base);
	}
	return r;
}

/* In this order: the last one ends all. What cannot be said for want of room is owed still. */
void job_pay(struct job *job)
{
	static const unsigned order[] = { JOB_OWES_ATTACH, JOB_OWES_KILL, JOB_OWES_ACK, JOB_OWES_EXIT_ACK };

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		int r = 0;

		if (!(job->owes & order[i]))
			continue;
		if (order[i] == JOB_OWES_ATTACH)
			r = job_to_node(job, SSI_JOB_ATTACH, NULL, 0);
		else if (order[i] == JOB_OWES_KILL)
			r = say_signal(job, SIGKILL, true);
		else if (order[i] == JOB_OWES_ACK)
			r = say_acks(job);
		else if (job->dirty)
			return;                  /* not before the store has the record too: a daemon that is killed now would know nothing of it */
		else
			r = job_to_node(job, SSI_JOB_EXIT_ACK, NULL, 0);
		if (r < 0)
			return;
		job->owes &= ~order[i];
	}
}

int job_signal(struct job *job, unsigned number)
{
	if (!number || number >= 64)
		return -EINVAL;
	if (number == SIGCONT || number == SIGSTOP)      /* one takes the other back (signal(7)) */
		job->signals &= ~(1ull << SIGCONT | 1ull << SIGSTOP);
	if (say_signal(job, number, true) < 0)
		job->signals |= 1ull << number;
	return 0;
}

int job_signal_first(struct job *job, unsigned number) { return say_signal(job, number, false); }

/* Those that waited. */
static void signals_go(struct job *job)
{
	for (unsigned i = 1; i < 64 && job->signals; i++)
		if (job->signals & (1ull << i)) {
			if (say_signal(job, i, true) < 0)
				return;
			job->signals &= ~(1ull << i);
		}
}

void job_doom(struct jobs *j, struct job *job)
{
	if (job->acked)
		return;
	if (job->state == JOB_PLACED) {
		job_free(j, job);
		return;
	}
	job->doomed = true;
	job->owes |= job->state == JOB_ENDED ? JOB_OWES_EXIT_ACK : JOB_OWES_ATTACH | JOB_OWES_KILL;
	job_pay(job);
	if (job->state == JOB_ENDED) {
		job_over(j, job);
		job_changed(j, job);
	}
}

static void record_tell(struct job *job)
{
	Ssi__Job__Exit m = SSI__JOB__EXIT__INIT;
	uint8_t p[512];

	m.cause = (Ssi__Job__Exit__Cause)job->s.cause;
	m.signal = (uint32_t)job->s.signal;
	m.text = job->s.text;
	m.ended_ms = job->s.ended;
	job_to_client(job, SSI_JOB_EXIT, p, protobuf_c_message_pack(&m.base, p));
}

void job_lost(struct jobs *j, struct job *job, const char *why)
{
	if (job->state == JOB_PLACED && !job->client) {
		job_free(j, job);
		return;
	}
	if (job->state == JOB_ENDED && !job->client) {
		job_over(j, job);                /* its own record is the better one */
		job_changed(j, job);
		return;
	}
	job->conn = NULL;
	job->state = JOB_ENDED;
	job->s.phase = STATE_JOB_ENDED;
	job->s.cause = SSI__JOB__EXIT__CAUSE__NODE_LOST;
	job->s.signal = SIGKILL;
	job->s.ended = ssi_clock_wall_ms();
	ssi_text_copy(job->s.text, sizeof(job->s.text), why);
	if (job->client)
		record_tell(job);
	else
		job_over(j, job);
	job_changed(j, job);
}

/* --- what nodes say --- */

static struct job *job_of(struct jobs *j, struct ssi_ccm_conn *c, uint64_t number)
{
	struct job *job = job_find(j, number);

	return job && job->conn == c ? job : NULL;
}

static int pass_on(struct job *job, const struct ssi_ccm_head *f, const uint8_t *body)
{
	if (job)
		job_to_client(job, f->type, body, f->size);
	return 0;
}

static int on_pass(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	return pass_on(job_of(userdata, c, f->sequence), f, body);
}

static int on_started(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct job *job = job_of(userdata, c, f->sequence);

	if (job && job->state == JOB_SENT) {
		job->state = JOB_RUNNING;
		job->s.phase = STATE_JOB_RUNS;
		job_changed(userdata, job);
	}
	return pass_on(job, f, body);
}

/* Who was stopped first, and the job for it, need not be told. */
static void state_take(struct job *job, Ssi__Job__State__What what, const struct ssi_ccm_head *f, const uint8_t *body)
{
	bool stopped = what == SSI__JOB__STATE__WHAT__STOPPED, goes_on = job->state == JOB_STOPPED && !stopped;

	if (job->state == JOB_RUNNING || job->state == JOB_STOPPED)
		job->state = stopped ? JOB_STOPPED : JOB_RUNNING;
	if (!stopped || !job->held)
		pass_on(job, f, body);
	if (goes_on)
		deputy_wake(job);                /* once it can read why */
}

static int on_state(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct job *job = job_of(userdata, c, f->sequence);
	Ssi__Job__State *m = ssi__job__state__unpack(NULL, f->size, body);

	if (!m)
		return -EBADMSG;
	if (job && m->what <= SSI__JOB__STATE__WHAT__ENDED)      /* the others are not a node's to say */
		state_take(job, m->what, f, body);
	ssi__job__state__free_unpacked(m, NULL);
	return 0;
}

/* Nobody reads what a doomed job wrote: it is to come to its end all the same. */
static int on_data(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct job *job = job_of(userdata, c, f->sequence);
	Ssi__Job__Data *m;

	if (!job || !job->doomed)
		return pass_on(job, f, body);
	m = ssi__job__data__unpack(NULL, f->size, body);
	if (!m)
		return -EBADMSG;
	if (m->stream < JOBS_STREAMS && m->offset + m->data.len >= job->discarded[m->stream]) {
		job->discarded[m->stream] = m->offset + m->data.len;
		job->owes |= JOB_OWES_ACK;
		job_pay(job);
	}
	ssi__job__data__free_unpacked(m, NULL);
	return 0;
}

static void record_keep(struct job *job, const Ssi__Job__Exit *m)
{
	job->state = JOB_ENDED;
	job->s.phase = STATE_JOB_ENDED;
	job->s.cause = (int)m->cause;
	job->s.status = (int)m->status;
	job->s.signal = (int)m->signal;
	job->s.core = m->core;
	job->s.error = (int)m->error;
	job->s.ended = m->ended_ms ?: ssi_clock_wall_ms();
	ssi_text_copy(job->s.text, sizeof(job->s.text), m->text);
	if (m->usage) {
		job->s.user_us = m->usage->user_us;
		job->s.system_us = m->usage->system_us;
		job->s.max_rss = m->usage->max_rss;
	}
}

static int on_exit_record(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct job *job = job_of(userdata, c, f->sequence);
	Ssi__Job__Exit *m = ssi__job__exit__unpack(NULL, f->size, body);

	if (!m)
		return -EBADMSG;
	if (job && !job->acked) {
		record_keep(job, m);
		job_changed(userdata, job);
	}
	ssi__job__exit__free_unpacked(m, NULL);
	if (job && (job->doomed || job->acked)) {
		job->owes |= JOB_OWES_EXIT_ACK;
		job_pay(job);
		job_over(userdata, job);
		return 0;
	}
	return pass_on(job, f, body);
}

static int on_gone(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct job *job = job_of(userdata, c, f->sequence);

	if (!job || job->acked)
		return 0;
	if (job->state != JOB_SENT || !job->client) {
		job_lost(userdata, job, "the node knows nothing of it any more");
		return 0;
	}
	job->state = JOB_PLACED;                 /* it has run nowhere, and may be started anew */
	job->placed = ssi_clock_mono_ms();
	return pass_on(job, f, body);
}

/* --- a node has come back, and says what it holds --- */

static struct job *held_new(struct jobs *j, const struct ssi_identity *id, const Ssi__Job__Held *h)
{
	struct state_job s = { .number = h->job, .pid = h->pid, .uid = h->uid, .incarnation = id->incarnation, .phase = STATE_JOB_RUNS };

	snprintf(s.node, sizeof(s.node), "%s", id->who);
	ssi_text_copy(s.command, sizeof(s.command), h->command);
	if (s.pid < JOBS_PID_FIRST)
		s.pid = 0;                       /* a deputy's is not a node's to say */
	/* All that were given out are below next, but where the store was lost. The numbers are everybody's, a node may not use them up. */
	if (!h->job || h->job >= INT64_MAX || (h->job > j->next && h->job - j->next > UINT32_MAX))
		return NULL;
	if (j->n_active >= JOBS_MAX || h->pid >= JOBS_PID_END)
		return NULL;
	return job_restore(j, &s);
}

/* room: so many that nobody knows it may still name. */
static void held_one(struct jobs *j, struct ssi_ccm_conn *c, const Ssi__Job__Held *h, unsigned *room)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);
	struct job *job = job_find(j, h->job);

	if (!job && *room && (job = held_new(j, id, h)))
		--*room;
	if (!job || strcmp(job->s.node, id->who) != 0 || job->s.incarnation != id->incarnation)
		return;                          /* its keeper ends by its lease */
	job->conn = c;
	if (job->acked)
		job->owes |= JOB_OWES_EXIT_ACK;
	else if (job->doomed)
		job->owes |= JOB_OWES_ATTACH | JOB_OWES_KILL;
	else if (job->client)
		job_tell_state(job, SSI__JOB__STATE__WHAT__BACK);
	else
		jobs_client_named(j, job);
	if (job->state == JOB_SENT && h->what >= SSI__JOB__STATE__WHAT__RUNNING)
		job->state = JOB_RUNNING;
	job_pay(job);
	signals_go(job);
}

/* Those that were there and are not: nothing of them runs. */
static void held_not(struct jobs *j, const char *node)
{
	static const char why[] = "the node knows nothing of it: its keeper has ended without a record";
	Ssi__Job__Gone m = SSI__JOB__GONE__INIT;
	struct job *job, *next;
	uint8_t p[128];
	size_t n;

	m.text = (char *)why;
	n = protobuf_c_message_pack(&m.base, p);
	for (job = TAILQ_FIRST(&j->active); job; job = next) {
		next = TAILQ_NEXT(job, order);
		if (job->conn || job->state == JOB_PLACED || strcmp(job->s.node, node) != 0)
			continue;
		if (job->state == JOB_SENT && job->client) {
			job->state = JOB_PLACED;
			job->placed = ssi_clock_mono_ms();
			job_to_client(job, SSI_JOB_GONE, p, n);
		} else
			job_lost(j, job, why);
	}
}

static int on_held(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	Ssi__Job__Jobs *m = ssi__job__jobs__unpack(NULL, f->size, body);
	unsigned known, room;

	if (!m)
		return -EBADMSG;
	known = jobs_on_node(userdata, ssi_ccm_identity(c)->who);
	room = known < HELD_JOBS_MAX ? HELD_JOBS_MAX - known : 0;
	for (size_t i = 0; i < m->n_held; i++)
		held_one(userdata, c, m->held[i], &room);
	ssi__job__jobs__free_unpacked(m, NULL);
	held_not(userdata, ssi_ccm_identity(c)->who);
	return 0;
}

int jobs_node_register(struct jobs *j)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_JOB, SSI_JOB_NEED, SSI_JOBFRAME_MAX, SSI_FROM_NODE, on_pass, j },
		{ SSI_MOD_JOB, SSI_JOB_GIVES, 16, SSI_FROM_NODE, on_pass, j },
		{ SSI_MOD_JOB, SSI_JOB_STARTED, 64, SSI_FROM_NODE, on_started, j },
		{ SSI_MOD_JOB, SSI_JOB_DATA, SSI_JOBFRAME_MAX, SSI_FROM_NODE, on_data, j },
		{ SSI_MOD_JOB, SSI_JOB_ACK, 64, SSI_FROM_NODE, on_pass, j },
		{ SSI_MOD_JOB, SSI_JOB_EXIT, 4096, SSI_FROM_NODE, on_exit_record, j },
		{ SSI_MOD_JOB, SSI_JOB_GONE, 1024, SSI_FROM_NODE, on_gone, j },
		{ SSI_MOD_JOB, SSI_JOB_STATE, 64, SSI_FROM_NODE, on_state, j },
		{ SSI_MOD_JOB, SSI_JOB_HELD, HELD_MAX, SSI_FROM_NODE, on_held, j },
	};

	return ssi_ccm_register(j->d->ccm, rules, sizeof(rules) / sizeof(*rules));
}

/* --- sessions and nodes --- */

void jobs_closed(struct jobs *j, struct ssi_ccm_conn *c)
{
	struct job_client *client, *cnext;
	struct job *job;

	if (!j)
		return;
	TAILQ_FOREACH(job, &j->kept, order)
		if (job->conn == c)
			job->conn = NULL;
	TAILQ_FOREACH(job, &j->active, order) {
		if (job->conn != c)
			continue;
		job->conn = NULL;
		if (job->state != JOB_PLACED)
			job_tell_state(job, SSI__JOB__STATE__WHAT__AWAY);
	}
	/* What waited for room waits for the node now. Not before nothing points to c any more: what they say may change the lists. */
	for (client = LIST_FIRST(&j->blocked); client; client = cnext) {
		cnext = LIST_NEXT(client, waiting);
		if (!client->job || !client->job->conn)
			jobs_client_pump(client);
	}
}

void jobs_drained(struct jobs *j, struct ssi_ccm_conn *c)
{
	struct job_client *client, *next;
	struct job *job;

	if (!j)
		return;
	TAILQ_FOREACH(job, &j->kept, order)
		if (job->conn == c && job->owes)
			job_pay(job);
	TAILQ_FOREACH(job, &j->active, order)
		if (job->conn == c) {
			job_pay(job);
			signals_go(job);
		}
	for (client = LIST_FIRST(&j->blocked); client; client = next) {
		next = LIST_NEXT(client, waiting);
		if (!client->job || client->job->conn == c)      /* without: its SPEC or ATTACH found no room */
			jobs_client_pump(client);
	}
}

void jobs_node_changed(struct jobs *j, const struct ssi_head_node *n)
{
	bool up = n->state == SSI_NODE_JOINED || n->state == SSI_NODE_SUSPECT;
	struct job *job, *next;

	if (!j)
		return;
	for (job = TAILQ_FIRST(&j->active); job; job = next) {
		next = TAILQ_NEXT(job, order);
		if (strcmp(job->s.node, n->name) == 0 && (!up || job->s.incarnation < n->incarnation))
			job_lost(j, job, n->reason[0] ? n->reason : "its node was started anew");
	}
}
