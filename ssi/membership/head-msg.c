/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what nodes may say to the membership engine: each body is decoded here and nowhere else, and checked against who the connection
 * belongs to. Called by ccm, which has checked size and sender.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ssi/boot/text.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"

#define MSG_STAGES_MAX 32            /* of a JOIN; more are passed over */
#define MSG_SAY_AGAIN 2              /* a heartbeat is answered when nothing was said for detach_ms / 2: a node waits four times that */

/* Why this JOIN may not be, in text (empty: it may). */
static const char *msg_objection(const struct head_node *n, uint64_t incarnation, char *text, size_t size)
{
	if (!n)
		snprintf(text, size, "the registry has no such node");
	else if (incarnation < n->pub.incarnation)
		snprintf(text, size, "incarnation %" PRIu64 " is over, %" PRIu64 " is current", incarnation, n->pub.incarnation);
	else if (incarnation > n->pub.incarnation)
		snprintf(text, size, "incarnation %" PRIu64 " was never given out, %" PRIu64 " is current", incarnation, n->pub.incarnation);
	else if (n->over || ssi_nodestate_next(n->pub.state, SSI_EVENT_JOIN) != SSI_NODE_JOINED)
		snprintf(text, size, "incarnation %" PRIu64 " is over: the node is %s%s%.64s", incarnation, ssi_nodestate_name(n->pub.state),
			 n->pub.reason[0] ? ", " : "", n->pub.reason);
	else
		text[0] = '\0';
	return text;
}

static int msg_refuse(struct ssi_head *h, struct ssi_ccm_conn *c, uint64_t sequence, const char *text)
{
	struct ssi_err e;

	head_reply_refuse(c, sequence, text);
	h->ops->refused(c, text, h->userdata);
	ssi_errf(&e, -ESTALE, "%s", text);
	ssi_ccm_close(c, &e);
	return 0;
}

/* The node has this connection from now, and no other. */
static void msg_take(struct head_node *n, struct ssi_ccm_conn *c)
{
	static const struct ssi_err again = { .code = -EALREADY, .text = "the node connected again" };

	if (n->conn && n->conn != c) {
		ssi_ccm_set_userdata(n->conn, NULL);
		ssi_ccm_close(n->conn, &again);
	}
	n->conn = c;
	ssi_ccm_set_userdata(c, n);
}

static int msg_accept(struct ssi_head *h, struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, struct head_node *n, const Ssi__Membership__Join *m)
{
	struct ssi_boot_stage stages[MSG_STAGES_MAX];
	struct ssi_inventory was = n->pub.inventory;
	struct ssi_head_join join = {
		.stages = stages, .rejoin = m->rejoin || head_is_member(n->pub.state), .update = n->conn == c, .was = &was,
	};

	for (; join.n_stages < m->n_stages && join.n_stages < MSG_STAGES_MAX; join.n_stages++)
		ssi_boot_stage_copy(&stages[join.n_stages], m->stages[join.n_stages]);
	head_count(n, -1);
	if (m->inventory)
		ssi_inventory_copy(&n->pub.inventory, m->inventory);
	head_count(n, 1);
	n->pub.uptime_ms = m->uptime_ms;
	n->heard = head_now(h);
	n->grace = 0;
	msg_take(n, c);
	head_event(h, n, SSI_EVENT_JOIN, join.rejoin ? "came back" : "", &join);
	n->said = n->heard;
	return join.update ? head_reply_update(c, f->sequence, n) : head_reply_accept(c, f->sequence, n, m->view, m->digest);
}

static int msg_on_join(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);
	struct ssi_head *h = userdata;
	Ssi__Membership__Join *m = ssi__membership__join__unpack(NULL, f->size, body);
	struct head_node *n;
	char text[160];
	int r;

	if (!m)
		return -EBADMSG;
	n = head_table_find(&h->table, id->who);
	if (strcmp(m->node, id->who) || m->incarnation != id->incarnation)
		r = -EPROTO;                 /* it speaks for another than it proved to be */
	else if (msg_objection(n, id->incarnation, text, sizeof(text))[0])
		r = msg_refuse(h, c, f->sequence, text);
	else
		r = msg_accept(h, c, f, n, m);
	ssi__membership__join__free_unpacked(m, NULL);
	return r;
}

static int msg_on_heartbeat(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_head *h = userdata;
	struct head_node *n = ssi_ccm_get_userdata(c);
	Ssi__Membership__Heartbeat *m;

	if (!n)
		return -EPROTO;              /* not joined on this connection */
	m = ssi__membership__heartbeat__unpack(NULL, f->size, body);
	if (!m)
		return -EBADMSG;
	n->pub.uptime_ms = m->uptime_ms;
	n->pub.mem_free = m->mem_free;
	n->pub.load = m->load >= 0 && m->load < 1e6 ? m->load : 0;   /* a NaN too ends here */
	ssi__membership__heartbeat__free_unpacked(m, NULL);
	n->heard = head_now(h);
	if (n->pub.state == SSI_NODE_SUSPECT)
		head_event(h, n, SSI_EVENT_HEARTBEAT, "heard again", NULL);
	if (n->heard - n->said < n->sys->detach_ms / MSG_SAY_AGAIN)
		return 0;
	n->said = n->heard;
	ssi_ccm_send_news(c, SSI_MOD_MEMBERSHIP, SSI_MEMBER_HEARTBEAT_REPLY, NULL, 0);       /* a full socket says as much */
	return 0;
}

static int msg_on_leave(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_head *h = userdata;
	struct head_node *n = ssi_ccm_get_userdata(c);
	Ssi__Membership__Leave *m;
	char text[128];

	if (!n)
		return -EPROTO;
	m = ssi__membership__leave__unpack(NULL, f->size, body);
	if (!m)
		return -EBADMSG;
	n->over = true;
	n->conn = NULL;
	ssi_ccm_set_userdata(c, NULL);
	head_event(h, n, SSI_EVENT_LEAVE, ssi_text_copy(text, sizeof(text), m->reason), NULL);
	ssi__membership__leave__free_unpacked(m, NULL);
	ssi_ccm_close(c, NULL);
	return 0;
}

int head_msg_register(struct ssi_head *h)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, 64u << 10, SSI_FROM_NODE, msg_on_join, h },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_HEARTBEAT, 256, SSI_FROM_NODE, msg_on_heartbeat, h },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_LEAVE, 256, SSI_FROM_NODE, msg_on_leave, h },
	};

	return ssi_ccm_register(h->ccm, rules, sizeof(rules) / sizeof(*rules));
}
