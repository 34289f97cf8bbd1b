/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the totals of a system and the telling of its changes. A change is told to every member a moment later, together with what else
 * changed in that moment, and as the changes only: a boot storm of n nodes costs n small messages for each moment, not n whole views. What
 * is not another to those who look (a node that only came back) is not told. A moment is as much longer as telling everyone took.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"
#include "ssi/membership/view.h"

#define VIEW_SHARE 256               /* bytes from which on one body for all is cheaper than a copy for each */
#define VIEW_MOMENT_MS 50
#define VIEW_MOMENT_MAX_MS 400       /* everyone knows of a change within a second */
#define VIEW_REST 4                  /* times that a telling took is spent on other things before the next */

void head_count(struct head_node *n, int sign)
{
	struct ssi_head_totals *t = &n->sys->totals;

	t->nodes += (unsigned)sign;
	t->by_state[n->pub.state] += (unsigned)sign;
	t->drained += n->pub.hold == SSI_HOLD_DRAINED ? (unsigned)sign : 0;
	if (!head_is_member(n->pub.state))
		return;
	t->cpus += (uint64_t)sign * n->pub.inventory.cpus;
	t->memory += (uint64_t)sign * n->pub.inventory.memory;
	t->nics += (uint64_t)sign * n->pub.inventory.n_nics;
	t->accelerators += (uint64_t)sign * n->pub.inventory.n_accelerators;
}

uint64_t head_view_facts(const struct head_node *n)
{
	struct ssi_view_member m = {
		.number = n->pub.number, .address = n->pub.address, .incarnation = n->pub.incarnation, .cpus = n->pub.inventory.cpus,
		.memory = n->pub.inventory.memory, .nics = (uint32_t)n->pub.inventory.n_nics,
		.accelerators = (uint32_t)n->pub.inventory.n_accelerators, .drained = n->pub.hold == SSI_HOLD_DRAINED,
	};

	memcpy(m.name, n->pub.name, sizeof(m.name));
	return head_is_member(n->pub.state) ? ssi_view_facts(&m) : 0;
}

void head_view_member(Ssi__Membership__Member *m, const struct head_node *n)
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
	m->drained = n->pub.hold == SSI_HOLD_DRAINED;
}

/* This is what members know of n from now on. */
static void view_known(struct head_node *n, uint64_t facts, enum ssi_nodestate state)
{
	n->sys->digest -= ssi_view_share(n->told, n->told_state == SSI_NODE_SUSPECT);
	n->told = facts;
	n->told_state = state;
	n->sys->digest += ssi_view_share(n->told, n->told_state == SSI_NODE_SUSPECT);
}

void head_view_assume(struct head_node *n, enum ssi_nodestate state)
{
	view_known(n, head_is_member(state) ? head_view_facts(n) : 0, state);
	head_reply_stale(n->sys);
}

/* One telling: the message, and the lists it points to in one piece. */
struct telling {
	Ssi__Membership__View v;
	Ssi__Membership__Member *members, **pointers;
	uint32_t *numbers;               /* the three lists share it: each node is in one at most */
	void *room;
};

static int telling_room(struct telling *t, size_t n)
{
	t->v = (Ssi__Membership__View)SSI__MEMBERSHIP__VIEW__INIT;
	t->room = malloc(n * (sizeof(*t->members) + sizeof(*t->pointers) + 3 * sizeof(*t->numbers)) + 1);
	if (!t->room)
		return -ENOMEM;
	t->members = t->room;
	t->pointers = (Ssi__Membership__Member **)(t->members + n);
	t->numbers = (uint32_t *)(t->pointers + n);
	t->v.members = t->pointers;
	t->v.suspect = t->numbers;
	t->v.joined = t->numbers + n;
	t->v.gone = t->numbers + 2 * n;
	return 0;
}

/* What those who look have to be told of n; they have been, afterwards. */
static void telling_add(struct telling *t, struct head_node *n)
{
	uint64_t facts = head_view_facts(n);

	if (!facts && n->told)
		t->v.gone[t->v.n_gone++] = n->pub.number;
	else if (facts != n->told) {
		t->v.members[t->v.n_members] = &t->members[t->v.n_members];
		head_view_member(t->v.members[t->v.n_members++], n);
	} else if (facts && n->pub.state != n->told_state && n->pub.state == SSI_NODE_SUSPECT)
		t->v.suspect[t->v.n_suspect++] = n->pub.number;
	else if (facts && n->pub.state != n->told_state)
		t->v.joined[t->v.n_joined++] = n->pub.number;
	view_known(n, facts, n->pub.state);
}

/* What changed since it was told last; nothing is untold afterwards. */
static int telling_changes(struct telling *t, struct head_system *s)
{
	struct head_node *n, *first = NULL;
	size_t max = 0;

	TAILQ_FOREACH_REVERSE(n, &s->nodes, head_nodes, link) {
		if (n->changed <= s->told)
			break;
		first = n;
		max++;
	}
	if (telling_room(t, max) < 0)
		return -ENOMEM;
	s->past[s->n_past++ % HEAD_PAST] = (struct head_past){ s->told, s->digest };
	t->v.since = s->told;
	t->v.number = s->told = s->totals.view;
	for (n = first; n; n = TAILQ_NEXT(n, link))
		telling_add(t, n);
	head_reply_stale(s);
	return 0;
}

static void view_send(struct head_node *n, struct ssi_ccm_body *body, uint64_t now)
{
	static const struct ssi_err slow = { .code = -EAGAIN, .text = "it does not take what it is told" };
	int r = body->len < VIEW_SHARE ? ssi_ccm_send(n->conn, SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW, 0, body->data, body->len)
				       : ssi_ccm_send_shared(n->conn, SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW, 0, NULL, 0, body);

	n->said = now;
	if (r == -EAGAIN)
		ssi_ccm_close(n->conn, &slow);     /* it comes again, and is given the whole view */
}

void head_view_tell(struct ssi_head *h, struct head_system *s)
{
	struct ssi_ccm_body *body;
	uint64_t now = head_now(h);
	struct head_node *n;
	struct telling t;
	size_t len;

	if (s->told == s->totals.view || telling_changes(&t, s) < 0)
		return;
	len = ssi__membership__view__get_packed_size(&t.v);
	body = len <= SSI_CCM_BODY_MAX ? ssi_ccm_body_new(len) : NULL;
	if (body) {
		ssi__membership__view__pack(&t.v, body->data);
		TAILQ_FOREACH(n, &s->nodes, link)
			if (n->conn && head_is_member(n->pub.state))
				view_send(n, body, now);
	}
	ssi_ccm_body_unref(body);
	free(t.room);
}

static int view_on_moment(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ssi_head *h = userdata;
	uint64_t began = head_now(h), rest;
	struct head_system *s;

	TAILQ_FOREACH(s, &h->systems, link)
		head_view_tell(h, s);
	rest = VIEW_REST * (head_now(h) - began);
	h->quiet_until = head_now(h) + (rest < VIEW_MOMENT_MAX_MS ? rest : VIEW_MOMENT_MAX_MS);
	return 0;
}

/* If no timer can be had, everyone is told at once instead. */
static void view_arm(struct ssi_head *h, struct head_system *s)
{
	uint64_t now = head_now(h), at = now + VIEW_MOMENT_MS;
	int on = SD_EVENT_OFF, r = 0;

	if (h->teller)
		sd_event_source_get_enabled(h->teller, &on);
	if (on != SD_EVENT_OFF)
		return;
	at = at > h->quiet_until ? at : h->quiet_until;
	if (!h->teller)
		r = sd_event_add_time_relative(h->event, &h->teller, CLOCK_MONOTONIC, 0, 1000, view_on_moment, h);
	if (r >= 0)
		r = sd_event_source_set_time_relative(h->teller, (at - now) * 1000);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->teller, SD_EVENT_ONESHOT);
	if (r < 0)
		head_view_tell(h, s);
}

void head_view_touch(struct ssi_head *h, struct head_node *n)
{
	struct head_system *s = n->sys;

	if (n->changed <= s->told && head_view_facts(n) == n->told && (!n->told || n->pub.state == n->told_state))
		return;
	n->changed = ++s->totals.view;
	TAILQ_REMOVE(&s->nodes, n, link);
	TAILQ_INSERT_TAIL(&s->nodes, n, link);
	view_arm(h, s);
}
