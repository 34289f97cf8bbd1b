/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the totals of a system and the telling of its view. A change is told to every member a moment later, together with what else
 * changed in that moment, and as the changes only: a boot storm of n nodes costs n small messages for each moment, not n whole views.
 */
#include <errno.h>
#include <stdlib.h>
#include "libssi/base/cleanup.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"

#define VIEW_MOMENT_US 50000

void head_count(struct head_node *n, int sign)
{
	struct ssi_head_totals *t = &n->sys->totals;

	t->nodes += (unsigned)sign;
	t->by_state[n->pub.state] += (unsigned)sign;
	if (!head_is_member(n->pub.state))
		return;
	t->cpus += (uint64_t)sign * n->pub.inventory.cpus;
	t->memory += (uint64_t)sign * n->pub.inventory.memory;
	t->nics += (uint64_t)sign * n->pub.inventory.n_nics;
	t->accelerators += (uint64_t)sign * n->pub.inventory.n_accelerators;
}

static void view_member(Ssi__Membership__Member *m, const struct head_node *n)
{
	ssi__membership__member__init(m);
	m->number = n->pub.number;
	m->name = (char *)n->pub.name;
	m->state = (char *)ssi_nodestate_name(n->pub.state);
	m->address = n->pub.address.s_addr;
	m->cpus = n->pub.inventory.cpus;
	m->memory = n->pub.inventory.memory;
	m->incarnation = n->pub.incarnation;
	m->nics = (uint32_t)n->pub.inventory.n_nics;
	m->accelerators = (uint32_t)n->pub.inventory.n_accelerators;
}

/* Room for a view's members: the messages and the pointers to them in one piece, which v->members owns. */
static int view_room(Ssi__Membership__View *v, size_t n)
{
	Ssi__Membership__Member *m;

	v->members = malloc(n * (sizeof(*v->members) + sizeof(*m)) + 1);
	if (!v->members)
		return -ENOMEM;
	m = (Ssi__Membership__Member *)(v->members + n);
	for (size_t i = 0; i < n; i++)
		v->members[i] = &m[i];
	return 0;
}

static int view_whole(const struct head_system *s, Ssi__Membership__View *v)
{
	size_t max = s->totals.by_state[SSI_NODE_JOINED] + s->totals.by_state[SSI_NODE_SUSPECT];
	const struct head_node *n;

	if (view_room(v, max) < 0)
		return -ENOMEM;
	v->number = s->totals.view;
	TAILQ_FOREACH(n, &s->nodes, link)
		if (head_is_member(n->pub.state) && v->n_members < max)
			view_member(v->members[v->n_members++], n);
	return 0;
}

/* What changed since it was told last; nothing is dirty afterwards. */
static int view_changes(struct head_system *s, Ssi__Membership__View *v)
{
	size_t max = 0;
	struct head_node *n;

	TAILQ_FOREACH(n, &s->dirty, dirty_link)
		max++;
	if (view_room(v, max) < 0)
		return -ENOMEM;
	v->since = s->told;
	v->number = s->told = s->totals.view;
	while ((n = TAILQ_FIRST(&s->dirty))) {
		TAILQ_REMOVE(&s->dirty, n, dirty_link);
		n->dirty = false;
		view_member(v->members[v->n_members++], n);
	}
	return 0;
}

static void view_send(struct ssi_ccm_conn *c, const uint8_t *body, size_t len)
{
	static const struct ssi_err slow = { .code = -EAGAIN, .text = "it does not take what it is told" };
	int r = ssi_ccm_send(c, SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW, 0, 0, body, len);

	if (r == -EAGAIN)
		ssi_ccm_close(c, &slow);     /* it comes again, and is given the whole view */
}

void head_view_tell(struct ssi_head *h, struct head_system *s)
{
	Ssi__Membership__View v = SSI__MEMBERSHIP__VIEW__INIT;
	_cleanup_free_ uint8_t *body = NULL;
	struct head_node *n;
	size_t len;

	if (TAILQ_EMPTY(&s->dirty) || view_changes(s, &v) < 0)
		return;
	len = ssi__membership__view__get_packed_size(&v);
	body = malloc(len + 1);
	if (body && len <= SSI_WIRE_BODY_MAX) {
		ssi__membership__view__pack(&v, body);
		TAILQ_FOREACH(n, &s->nodes, link)
			if (n->conn && head_is_member(n->pub.state))
				view_send(n->conn, body, len);
	}
	free(v.members);
}

static int view_on_moment(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ssi_head *h = userdata;
	struct head_system *s;

	TAILQ_FOREACH(s, &h->systems, link)
		head_view_tell(h, s);
	return 0;
}

/* If no timer can be had, everyone is told at once instead. */
static void view_arm(struct ssi_head *h, struct head_system *s)
{
	int on = SD_EVENT_OFF, r = 0;

	if (h->teller)
		sd_event_source_get_enabled(h->teller, &on);
	if (on != SD_EVENT_OFF)
		return;
	if (!h->teller)
		r = sd_event_add_time_relative(h->event, &h->teller, CLOCK_MONOTONIC, VIEW_MOMENT_US, 1000, view_on_moment, h);
	else
		r = sd_event_source_set_time_relative(h->teller, VIEW_MOMENT_US);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->teller, SD_EVENT_ONESHOT);
	if (r < 0)
		head_view_tell(h, s);
}

void head_view_touch(struct ssi_head *h, struct head_node *n)
{
	struct head_system *s = n->sys;

	s->totals.view++;
	if (!n->dirty)
		TAILQ_INSERT_TAIL(&s->dirty, n, dirty_link);
	n->dirty = true;
	view_arm(h, s);
}

static int view_reply(struct ssi_ccm_conn *c, uint64_t sequence, const Ssi__Membership__JoinReply *m)
{
	size_t len = ssi__membership__join_reply__get_packed_size(m);
	_cleanup_free_ uint8_t *body = malloc(len + 1);

	if (!body)
		return -ENOMEM;
	ssi__membership__join_reply__pack(m, body);
	return ssi_ccm_send(c, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, SSI_WIRE_REPLY, sequence, body, len);
}

int head_reply_accept(struct ssi_ccm_conn *c, uint64_t sequence, const struct head_node *n, bool update)
{
	Ssi__Membership__JoinReply m = SSI__MEMBERSHIP__JOIN_REPLY__INIT;
	Ssi__Membership__View v = SSI__MEMBERSHIP__VIEW__INIT;
	int r = update ? 0 : view_whole(n->sys, &v);

	if (r < 0)
		return r;
	m.accepted = true;
	m.heartbeat_ms = n->sys->heartbeat_ms;
	m.detach_ms = n->sys->detach_ms;
	m.node_number = n->pub.number;
	m.view = update ? NULL : &v;     /* it has the view, and is told of this change with all others */
	r = view_reply(c, sequence, &m);
	free(v.members);
	return r;
}

int head_reply_refuse(struct ssi_ccm_conn *c, uint64_t sequence, const char *reason)
{
	Ssi__Membership__JoinReply m = SSI__MEMBERSHIP__JOIN_REPLY__INIT;

	m.reason = (char *)reason;
	return view_reply(c, sequence, &m);
}
