/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the sessions of many nodes over one ccm endpoint: each has its own connection, TLS session and heartbeat, as an agent has, but they share
 * the timer (a wheel of slots), the buffers and the view. When to come back is decided by the code that agents use (ssi/membership/backoff).
 * Called by sim-nodes.c. It runs no commands and has no hardware.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "ssi/membership/membership.pb-c.h"
#include "tests/sim/sim.h"

#define CROWD_SLOT_MS 5
#define CROWD_SLOTS 8192             /* 41 s; nothing is timed further ahead */
#define CROWD_CONNECT_MS 5000        /* as agents have it */
#define CROWD_ANSWER_MS 5000
#define CROWD_PATIENCE 2
#define CROWD_JOIN_MAX 1024
#define CROWD_COMING_MAX 256         /* on their way in at a time: nodes have a processor each, these share one and would wait for each other */

struct crowd {
	sd_event *event;
	struct crowd_config config;
	const struct crowd_ops *ops;
	void *userdata;
	struct ssi_ccm *ccm;
	struct knowledge *knowledge;
	sd_event_source *ticker;
	LIST_HEAD(, sim_node) wheel[CROWD_SLOTS];
	TAILQ_HEAD(, sim_node) line;
	unsigned coming;                 /* connecting or joining */
	uint64_t turned;                 /* ms: slots up to this time had their turn */
	uint32_t heartbeat_ms, detach_ms;
	struct crowd_counts counts;
};

/* --- the wheel --- */

static void crowd_untime(struct sim_node *o)
{
	if (o->timed)
		LIST_REMOVE(o, turn);
	o->timed = false;
}

static void crowd_time(struct sim_node *o, unsigned ms)
{
	struct crowd *w = o->crowd;
	uint64_t at = ssi_clock_mono_ms() + ms;

	if (at <= w->turned)
		at = w->turned + CROWD_SLOT_MS;
	crowd_untime(o);
	LIST_INSERT_HEAD(&w->wheel[at / CROWD_SLOT_MS % CROWD_SLOTS], o, turn);
	o->timed = true;
}

/* --- a node --- */

/* Every change of state, so that those on their way in are counted. */
static void crowd_enter(struct sim_node *o, enum sim_state state)
{
	struct crowd *w = o->crowd;

	w->coming -= o->state == SIM_CONNECTING || o->state == SIM_JOINING;
	o->state = state;
	w->coming += o->state == SIM_CONNECTING || o->state == SIM_JOINING;
}

static void crowd_connect(struct sim_node *o)
{
	struct crowd *w = o->crowd;
	struct ssi_ccm_as as = { .number = o->number, .incarnation = o->incarnation };
	struct ssi_err e;

	memcpy(as.who, o->name, sizeof(as.who));
	w->counts.tries++;
	crowd_enter(o, SIM_CONNECTING);
	if (ssi_ccm_connect(w->ccm, w->config.master, w->config.port, &as, o->key, CROWD_CONNECT_MS, &o->conn, &e) >= 0) {
		ssi_ccm_set_userdata(o->conn, o);
		return;
	}
	o->conn = NULL;
	crowd_enter(o, SIM_WAITING);
	w->ops->lost(o, &e, w->userdata);
	crowd_time(o, ssi_backoff_next(&o->backoff, e.code, knowledge_view(w->knowledge)->n));
}

static void crowd_join(struct sim_node *o)
{
	Ssi__Membership__Inventory i = SSI__MEMBERSHIP__INVENTORY__INIT;
	Ssi__Membership__Join m = SSI__MEMBERSHIP__JOIN__INIT;
	Ssi__Membership__Nic nic = SSI__MEMBERSHIP__NIC__INIT, *nics[] = { &nic };
	struct crowd *w = o->crowd;
	uint8_t buf[CROWD_JOIN_MAX];

	nic.name = (char *)"eth0";
	nic.driver = (char *)"none";
	nic.mac = (char *)"52:54:01:00:00:01";
	i.cpus = w->config.cpus;
	i.memory = w->config.memory;
	i.cpu_model = (char *)"simulated";
	i.kernel = (char *)"6.1.0";
	i.arch = (char *)"x86_64";
	i.n_nics = 1;
	i.nics = nics;
	m.node = o->name;
	m.incarnation = o->incarnation;
	m.inventory = &i;
	m.rejoin = o->was_joined;
	m.uptime_ms = ssi_clock_boot_ms();
	m.digest = knowledge_digest(w->knowledge, o->view);
	m.view = m.digest ? o->view : 0;
	crowd_enter(o, SIM_JOINING);
	crowd_time(o, CROWD_ANSWER_MS);
	ssi_ccm_send(o->conn, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, ++o->sequence, buf, ssi__membership__join__pack(&m, buf));
}

static void crowd_beat(struct sim_node *o)
{
	Ssi__Membership__Heartbeat m = SSI__MEMBERSHIP__HEARTBEAT__INIT;
	static const struct ssi_err silent = { .code = -ETIMEDOUT, .text = "nothing heard from the master" };
	struct crowd *w = o->crowd;
	uint64_t now = ssi_clock_mono_ms();
	uint8_t buf[64];

	if (now - o->heard > CROWD_PATIENCE * (uint64_t)w->detach_ms) {
		ssi_ccm_abort(o->conn, &silent);
		return;
	}
	m.uptime_ms = now;
	m.mem_free = w->config.memory / 2;
	crowd_time(o, w->heartbeat_ms);
	ssi_ccm_send_news(o->conn, SSI_MOD_MEMBERSHIP, SSI_MEMBER_HEARTBEAT, buf, ssi__membership__heartbeat__pack(&m, buf));
}

static void crowd_line_up(struct sim_node *o)
{
	if (o->queued)
		return;
	o->queued = true;
	TAILQ_INSERT_TAIL(&o->crowd->line, o, line);
}

static void crowd_let_come(struct crowd *w)
{
	struct sim_node *o;

	while (w->coming < CROWD_COMING_MAX && (o = TAILQ_FIRST(&w->line))) {
		TAILQ_REMOVE(&w->line, o, line);
		o->queued = false;
		if (o->state == SIM_WAITING)
			crowd_connect(o);
	}
}

static void crowd_turn(struct sim_node *o)
{
	static const struct ssi_err slow = { .code = -ETIMEDOUT, .text = "the master does not answer the JOIN" };

	if (o->state == SIM_WAITING)
		crowd_line_up(o);
	else if (o->state == SIM_JOINING)
		ssi_ccm_abort(o->conn, &slow);
	else if (o->state == SIM_JOINED)
		crowd_beat(o);
}

static int crowd_on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct crowd *w = userdata;
	uint64_t now = ssi_clock_mono_ms();
	struct sim_node *o;

	for (unsigned n = 0; w->turned + CROWD_SLOT_MS <= now && n < CROWD_SLOTS; n++, w->turned += CROWD_SLOT_MS)
		while ((o = LIST_FIRST(&w->wheel[w->turned / CROWD_SLOT_MS % CROWD_SLOTS]))) {
			crowd_untime(o);
			crowd_turn(o);
		}
	crowd_let_come(w);
	sd_event_source_set_time_relative(s, CROWD_SLOT_MS * 1000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- what the master says --- */

static int crowd_learn(struct sim_node *o, bool whole, const uint8_t *p, size_t n)
{
	uint64_t before = o->view;
	int r = knowledge_take(o->crowd->knowledge, &o->view, whole, p, n);

	if (r >= 0 && o->view != before)
		o->crowd->ops->learned(o, before, o->crowd->userdata);
	return r;
}

static void crowd_end(struct sim_node *o, const char *why)
{
	if (o->state == SIM_OVER)
		return;
	if (o->state != SIM_SILENT)
		o->crowd->ops->over(o, why, o->crowd->userdata);
	crowd_untime(o);
	crowd_enter(o, SIM_OVER);
}

static int crowd_joined(struct sim_node *o, const Ssi__Membership__JoinReply *m, const uint8_t *view, size_t n)
{
	struct crowd *w = o->crowd;
	bool again = o->was_joined;

	w->heartbeat_ms = m->heartbeat_ms;
	w->detach_ms = m->detach_ms;
	w->counts.joined++;
	crowd_enter(o, SIM_JOINED);
	o->was_joined = true;
	o->heard = ssi_clock_mono_ms();
	ssi_backoff_reset(&o->backoff);
	crowd_time(o, w->heartbeat_ms);
	w->ops->joined(o, again, w->userdata);
	return crowd_learn(o, true, view, n);
}

/* The reply's own fields come first and are few; its view is cut out, for it is most of it and the same for everyone. */
static int crowd_on_reply(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct sim_node *o = ssi_ccm_get_userdata(c);
	Ssi__Membership__JoinReply *m;
	size_t at = 0, len = 0;
	int r = 0;

	if (o->state != SIM_JOINING)
		return 0;
	while (at < f->size && body[at] != 0x32) {      /* JoinReply.view: field 6; before it stand numbers, and a reason where there is no view */
		if ((body[at] & 7) == 2)
			at = f->size;
		else
			for (at++; at < f->size && body[at] & 0x80; at++)
				;
		at++;
	}
	at = at < f->size ? at : f->size;
	m = ssi__membership__join_reply__unpack(NULL, at, body);
	if (!m)
		return -EBADMSG;
	for (unsigned shift = 0; at + 1 < f->size && shift < 28; shift += 7) {
		len |= (size_t)(body[++at] & 0x7f) << shift;
		if (!(body[at] & 0x80))
			break;
	}
	at++;
	if (!m->accepted)
		crowd_end(o, m->reason);
	else
		r = at + len == f->size ? crowd_joined(o, m, body + at, len) : -EBADMSG;
	ssi__membership__join_reply__free_unpacked(m, NULL);
	return r;
}

static int crowd_on_heard(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct sim_node *o = ssi_ccm_get_userdata(c);

	o->heard = ssi_clock_mono_ms();
	return f->type == SSI_MEMBER_VIEW && o->state == SIM_JOINED ? crowd_learn(o, false, body, f->size) : 0;
}

static int crowd_on_order(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	crowd_end(ssi_ccm_get_userdata(c), "ordered to reboot or power off");
	return 0;
}

static void crowd_opened(struct ssi_ccm_conn *c, void *userdata)
{
	struct sim_node *o = ssi_ccm_get_userdata(c);

	if (o->state == SIM_CONNECTING)
		crowd_join(o);
}

static void crowd_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct sim_node *o = ssi_ccm_get_userdata(c);
	struct crowd *w = o->crowd;

	o->conn = NULL;
	if (o->state == SIM_JOINED) {
		w->counts.joined--;
		w->counts.lost++;
	} else if (o->state == SIM_CONNECTING || o->state == SIM_JOINING) {
		w->counts.refused += why->code == -ECONNREFUSED;
		w->counts.failed += why->code != -ECONNREFUSED;
	}
	if (why->code == -EKEYREVOKED)
		crowd_end(o, why->text);
	if (o->state == SIM_OVER || o->state == SIM_SILENT)
		return;
	crowd_enter(o, SIM_WAITING);
	w->ops->lost(o, why, w->userdata);
	crowd_time(o, ssi_backoff_next(&o->backoff, why->code, knowledge_view(w->knowledge)->n));
}

/* --- what is done to it --- */

void crowd_add(struct crowd *w, struct sim_node *o)
{
	o->crowd = w;
	crowd_time(o, 0);
}

void crowd_silence(struct crowd *w, struct sim_node *o)
{
	if (o->state == SIM_JOINED)
		w->counts.joined--;
	crowd_untime(o);
	crowd_enter(o, SIM_SILENT);
}

void crowd_leave(struct crowd *w, struct sim_node *o, const char *reason)
{
	Ssi__Membership__Leave m = SSI__MEMBERSHIP__LEAVE__INIT;
	uint8_t buf[256];

	if (o->state != SIM_JOINED)
		return;
	m.reason = (char *)reason;
	ssi_ccm_send(o->conn, SSI_MOD_MEMBERSHIP, SSI_MEMBER_LEAVE, ++o->sequence, buf, ssi__membership__leave__pack(&m, buf));
	crowd_silence(w, o);
	ssi_ccm_close(o->conn, NULL);
}

struct knowledge *crowd_knowledge(const struct crowd *w)
{
	return w->knowledge;
}

struct crowd_counts *crowd_counts(struct crowd *w)
{
	return &w->counts;
}

static int crowd_register(struct crowd *w)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, SSI_CCM_BODY_MAX, SSI_FROM_MASTER, crowd_on_reply, w },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_HEARTBEAT_REPLY, 0, SSI_FROM_MASTER, crowd_on_heard, w },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW, SSI_CCM_BODY_MAX, SSI_FROM_MASTER, crowd_on_heard, w },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_ORDER, 512, SSI_FROM_MASTER, crowd_on_order, w },
	};

	return ssi_ccm_register(w->ccm, rules, sizeof(rules) / sizeof(*rules));
}

int crowd_new(sd_event *event, const struct crowd_config *c, const struct crowd_ops *ops, void *userdata, struct crowd **ret)
{
	static const struct ssi_ccm_ops ccm_ops = { .opened = crowd_opened, .closed = crowd_closed };
	struct crowd *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->event = sd_event_ref(event);
	w->config = *c;
	w->ops = ops;
	w->userdata = userdata;
	w->turned = ssi_clock_mono_ms();
	TAILQ_INIT(&w->line);
	r = knowledge_new(&w->knowledge);
	if (r >= 0)
		r = ssi_ccm_new(event, &ccm_ops, w, &w->ccm);
	if (r >= 0)
		r = crowd_register(w);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &w->ticker, CLOCK_MONOTONIC, CROWD_SLOT_MS * 1000, 1, crowd_on_tick, w);
	if (r < 0) {
		crowd_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void crowd_free(struct crowd *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->ticker);
	ssi_ccm_free(w->ccm);
	knowledge_free(w->knowledge);
	sd_event_unref(w->event);
	free(w);
}
