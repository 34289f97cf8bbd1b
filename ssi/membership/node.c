/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a node's session with the master. Called by the agent and from the loop. One timer serves all states: the next try while
 * waiting, the answer's limit while joining, the next heartbeat while joined; off otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "ssi/boot/boot.pb-c.h"
#include "ssi/boot/text.h"
#include "ssi/membership/backoff.h"
#include "ssi/membership/membership.pb-c.h"
#include "ssi/membership/node.h"

#define NODE_CONNECT_MS 5000         /* for TCP and TLS */
#define NODE_ANSWER_MS 5000          /* for JOIN */
#define NODE_PATIENCE 2              /* times detach_ms: a master that is slow is not helped by all nodes connecting anew */
#define NODE_STAGES_MAX 32

enum node_state { NODE_WAITING, NODE_CONNECTING, NODE_JOINING, NODE_JOINED, NODE_LEAVING, NODE_OVER };

struct ssi_member {
	sd_event *event;
	struct ssi_ccm *ccm;
	struct ssi_member_config config;
	const struct ssi_member_ops *ops;
	void *userdata;
	enum node_state state;
	struct ssi_ccm_conn *conn;
	sd_event_source *timer;
	struct ssi_backoff backoff;
	bool rejoin;
	uint32_t heartbeat_ms, detach_ms;
	uint64_t sequence, heard;
	bool doubt;                      /* silence was over the limit at the last heartbeat; since then all sockets have had their turn */
	struct ssi_view view;
};

static void node_arm(struct ssi_member *s, unsigned ms)
{
	sd_event_source_set_time_relative(s->timer, (uint64_t)ms * 1000);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void node_wait(struct ssi_member *s, int why)
{
	s->state = NODE_WAITING;
	node_arm(s, ssi_backoff_next(&s->backoff, why, s->view.n));
}

static void node_over(struct ssi_member *s, const char *why)
{
	s->state = NODE_OVER;
	sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	s->ops->over(why, s->userdata);
}

static void node_connect(struct ssi_member *s)
{
	struct ssi_ccm_as as = { .number = s->config.number, .incarnation = s->config.incarnation };
	struct ssi_err e;
	int r;

	memcpy(as.who, s->config.node, sizeof(as.who));
	s->state = NODE_CONNECTING;
	r = ssi_ccm_connect(s->ccm, s->config.master, s->config.port, &as, s->config.key, NODE_CONNECT_MS, &s->conn, &e);
	if (r < 0) {
		s->conn = NULL;
		s->ops->lost(&e, s->userdata);
		node_wait(s, e.code);
	}
}

/* --- joining --- */

static size_t node_stages(struct ssi_member *s, struct ssi_boot_stage *from, Ssi__Boot__Stage *stages, Ssi__Boot__Stage **pointers)
{
	size_t n = s->ops->stages(from, NODE_STAGES_MAX, s->userdata);

	for (size_t i = 0; i < n; i++) {
		ssi__boot__stage__init(&stages[i]);
		stages[i].name = from[i].name;
		stages[i].start_ms = from[i].start_ms;
		stages[i].end_ms = from[i].end_ms;
		stages[i].tries = from[i].tries;
		pointers[i] = &stages[i];
	}
	return n;
}

static int node_send(struct ssi_member *s, uint16_t type, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *p = malloc(n + 1);

	if (!p)
		return -ENOMEM;
	protobuf_c_message_pack(m, p);
	return type == SSI_MEMBER_HEARTBEAT ? ssi_ccm_send_news(s->conn, SSI_MOD_MEMBERSHIP, type, p, n)
					    : ssi_ccm_send(s->conn, SSI_MOD_MEMBERSHIP, type, ++s->sequence, p, n);
}

static int node_send_join(struct ssi_member *s)
{
	Ssi__Membership__Join m = SSI__MEMBERSHIP__JOIN__INIT;
	Ssi__Boot__Stage stages[NODE_STAGES_MAX], *stage_pointers[NODE_STAGES_MAX];
	struct ssi_boot_stage from[NODE_STAGES_MAX];
	struct ssi_inventory inv = { 0 };
	_cleanup_free_ Ssi__Membership__Inventory *inventory = NULL;

	s->ops->inventory(&inv, s->userdata);
	inventory = ssi_inventory_message(&inv);
	if (!inventory)
		return -ENOMEM;
	m.node = s->config.node;
	m.incarnation = s->config.incarnation;
	m.inventory = inventory;
	m.rejoin = s->rejoin;
	m.uptime_ms = ssi_clock_boot_ms();
	m.view = s->view.number;
	m.digest = s->view.digest;
	m.stages = stage_pointers;
	m.n_stages = node_stages(s, from, stages, stage_pointers);
	return node_send(s, SSI_MEMBER_JOIN, &m.base);
}

static void node_join(struct ssi_member *s)
{
	s->state = NODE_JOINING;
	node_arm(s, NODE_ANSWER_MS);
	node_send_join(s);               /* a failure ends the connection, which tells us */
}

void ssi_member_opened(struct ssi_member *s, struct ssi_ccm_conn *c)
{
	if (c == s->conn && s->state == NODE_CONNECTING)
		node_join(s);
}

static int node_take_view(struct ssi_member *s, const Ssi__Membership__View *v)
{
	int r = ssi_view_apply(&s->view, v);

	if (r >= 0)
		s->ops->view(&s->view, s->userdata);
	return r;
}

static int node_joined(struct ssi_member *s, const Ssi__Membership__JoinReply *m)
{
	bool again = s->rejoin;

	if (m->heartbeat_ms < 10 || m->detach_ms <= m->heartbeat_ms || !m->view)
		return -EBADMSG;
	s->state = NODE_JOINED;
	s->rejoin = true;
	ssi_backoff_reset(&s->backoff);
	s->heartbeat_ms = m->heartbeat_ms;
	s->detach_ms = m->detach_ms;
	s->heard = ssi_clock_mono_ms();
	s->doubt = false;
	node_arm(s, s->heartbeat_ms);
	s->ops->joined(again, s->userdata);
	return node_take_view(s, m->view);
}

/* The answer to ssi_member_update. */
static int node_updated(struct ssi_member *s, const Ssi__Membership__JoinReply *m)
{
	s->heard = ssi_clock_mono_ms();
	return m->view ? node_take_view(s, m->view) : 0;
}

static int node_on_reply(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_member *s = userdata;
	Ssi__Membership__JoinReply *m;
	char why[256];
	int r = 0;

	if (c != s->conn || (s->state != NODE_JOINING && s->state != NODE_JOINED))
		return -EPROTO;
	m = ssi__membership__join_reply__unpack(NULL, f->size, body);
	if (!m)
		return -EBADMSG;
	if (!m->accepted)
		node_over(s, ssi_text_copy(why, sizeof(why), m->reason));
	else if (s->state == NODE_JOINED)
		r = node_updated(s, m);
	else
		r = node_joined(s, m);
	ssi__membership__join_reply__free_unpacked(m, NULL);
	return r;
}

/* --- joined --- */

static void node_heartbeat(struct ssi_member *s)
{
	Ssi__Membership__Heartbeat m = SSI__MEMBERSHIP__HEARTBEAT__INIT;
	uint64_t silent;
	struct ssi_err e;

	if (ssi_ccm_waiting(s->conn))
		s->heard = ssi_clock_mono_ms();
	silent = ssi_clock_mono_ms() - s->heard;
	if (silent <= NODE_PATIENCE * s->detach_ms)
		s->doubt = false;
	else if (!s->doubt)
		s->doubt = true;             /* it may have been we who were stopped: hear first, then judge */
	else {
		ssi_errf(&e, -ETIMEDOUT, "nothing heard from the master for %.1f s", (double)silent / 1000);
		ssi_ccm_abort(s->conn, &e);
		return;
	}
	m.uptime_ms = ssi_clock_boot_ms();
	node_arm(s, s->heartbeat_ms);
	if (s->ops->vitals(&m.load, &m.mem_free, s->userdata))
		node_send_join(s);           /* a sign of life as well */
	else
		node_send(s, SSI_MEMBER_HEARTBEAT, &m.base);
}

static int node_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	static const struct ssi_err slow = { .code = -ETIMEDOUT, .text = "the master does not answer the JOIN" };
	struct ssi_member *s = userdata;

	if (s->state == NODE_WAITING)
		node_connect(s);
	else if (s->state == NODE_JOINING)
		ssi_ccm_abort(s->conn, &slow);
	else if (s->state == NODE_JOINED)
		node_heartbeat(s);
	return 0;
}

static int node_on_heartbeat_reply(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_member *s = userdata;

	s->heard = ssi_clock_mono_ms();
	return 0;
}

static int node_on_view(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_member *s = userdata;
	Ssi__Membership__View *v;
	int r;

	if (c != s->conn || s->state != NODE_JOINED)
		return 0;
	v = ssi__membership__view__unpack(NULL, f->size, body);
	if (!v)
		return -EBADMSG;
	s->heard = ssi_clock_mono_ms();
	r = node_take_view(s, v);
	ssi__membership__view__free_unpacked(v, NULL);
	return r;
}

static int node_on_order(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_member *s = userdata;
	Ssi__Membership__Order *m = ssi__membership__order__unpack(NULL, f->size, body);
	char reason[256];

	if (!m)
		return -EBADMSG;
	ssi_text_copy(reason, sizeof(reason), m->reason);
	if (m->what == SSI__MEMBERSHIP__ORDER__WHAT__REBOOT)
		s->ops->order(SSI_MEMBER_REBOOT, reason, s->userdata);
	else if (m->what == SSI__MEMBERSHIP__ORDER__WHAT__POWEROFF)
		s->ops->order(SSI_MEMBER_POWEROFF, reason, s->userdata);
	ssi__membership__order__free_unpacked(m, NULL);
	return 0;
}

void ssi_member_update(struct ssi_member *s)
{
	if (s->state == NODE_JOINED)
		node_send_join(s);           /* a failure ends the connection, and the next JOIN tells it */
}

int ssi_member_leave(struct ssi_member *s, const char *reason)
{
	Ssi__Membership__Leave m = SSI__MEMBERSHIP__LEAVE__INIT;
	char text[128];

	if (s->state != NODE_JOINED)
		return -ENOTCONN;
	m.reason = ssi_text_copy(text, sizeof(text), reason);
	node_send(s, SSI_MEMBER_LEAVE, &m.base);
	s->state = NODE_LEAVING;
	ssi_ccm_close(s->conn, NULL);
	return 0;
}

void ssi_member_closed(struct ssi_member *s, struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	if (c != s->conn)
		return;
	s->conn = NULL;
	if (s->state == NODE_LEAVING || s->state == NODE_OVER)
		return;
	if (why->code == -EKEYREVOKED) {
		node_over(s, why->text);
		return;
	}
	s->ops->lost(why, s->userdata);
	node_wait(s, why->code);
}

struct ssi_ccm_conn *ssi_member_conn(const struct ssi_member *s)
{
	return s->state == NODE_JOINED ? s->conn : NULL;
}

/* --- beginning and end --- */

static int node_register(struct ssi_member *s)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, SSI_CCM_BODY_MAX, SSI_FROM_MASTER, node_on_reply, s },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_HEARTBEAT_REPLY, 0, SSI_FROM_MASTER, node_on_heartbeat_reply, s },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW, SSI_CCM_BODY_MAX, SSI_FROM_MASTER, node_on_view, s },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_ORDER, 512, SSI_FROM_MASTER, node_on_order, s },
	};

	return ssi_ccm_register(s->ccm, rules, sizeof(rules) / sizeof(*rules));
}

int ssi_member_new(sd_event *event, struct ssi_ccm *m, const struct ssi_member_config *c, const struct ssi_member_ops *ops, void *userdata,
		   struct ssi_member **ret)
{
	struct ssi_member *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->event = sd_event_ref(event);
	s->ccm = m;
	s->config = *c;
	s->ops = ops;
	s->userdata = userdata;
	r = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, 0, 1000, node_on_timer, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	if (r >= 0)                      /* before the output of commands: a heartbeat waits for nothing */
		r = sd_event_source_set_priority(s->timer, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = node_register(s);
	if (r < 0) {
		ssi_member_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ssi_member_free(struct ssi_member *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->timer);
	sd_event_unref(s->event);
	ssi_view_free(&s->view);
	explicit_bzero(&s->config, sizeof(s->config));
	free(s);
}

int ssi_member_start(struct ssi_member *s, bool rejoin)
{
	s->rejoin = rejoin;
	node_connect(s);
	return 0;
}
