/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what who joins is told. All who join between two tellings get the same bytes: the view that everyone was told of last, packed once
 * and shared by their connections; the joiner's own entry goes before it, and the next telling builds on it. Who comes back with a view that is
 * remembered is told what changed since, so that a master's restart does not cost n whole views.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"

#define REPLY_OWN_MAX 512            /* bytes of a reply without the shared part: a member's entry has at most 64 of name and some numbers */
#define TAG_REPLY_VIEW 0x32          /* JoinReply.view: field 6, with a length */
#define TAG_VIEW_MEMBER 0x12         /* View.members: field 2, with a length */

void head_reply_stale(struct head_system *s)
{
	ssi_ccm_body_unref(s->whole);
	s->whole = NULL;
}

void head_reply_forget(struct head_system *s)
{
	s->n_past = 0;
	head_reply_stale(s);
}

static int by_number(const void *a, const void *b)
{
	const Ssi__Membership__Member *const *x = a, *const *y = b;

	return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

/* Members as they were told of, if they changed after the view of that number; facts that are newer do no harm, they are told again. */
static struct ssi_ccm_body *reply_pack(const struct head_system *s, uint64_t after, uint64_t since)
{
	Ssi__Membership__View v = SSI__MEMBERSHIP__VIEW__INIT;
	_cleanup_free_ Ssi__Membership__Member **pointers = NULL, *members = NULL;
	_cleanup_free_ uint32_t *gone = NULL;
	struct ssi_ccm_body *body;
	const struct head_node *n;
	size_t max = 0;

	TAILQ_FOREACH_REVERSE(n, &s->nodes, head_nodes, link) {
		if (since && n->changed <= after)
			break;
		max++;
	}
	pointers = calloc(max + 1, sizeof(*pointers));
	members = calloc(max + 1, sizeof(*members));
	gone = calloc(max + 1, sizeof(*gone));
	if (!pointers || !members || !gone)
		return NULL;
	v.number = s->told;
	v.since = since;
	v.members = pointers;
	v.gone = gone;
	n = TAILQ_LAST(&s->nodes, head_nodes);
	for (; max; max--, n = TAILQ_PREV(n, head_nodes, link)) {
		if (!n->told) {
			if (since)
				gone[v.n_gone++] = n->pub.number;
			continue;
		}
		pointers[v.n_members] = &members[v.n_members];
		head_view_member(pointers[v.n_members], n);
		pointers[v.n_members++]->state = (char *)ssi_nodestate_name(n->told_state);
	}
	qsort(pointers, v.n_members, sizeof(*pointers), by_number);   /* who takes it keeps it so */
	body = ssi_ccm_body_new(ssi__membership__view__get_packed_size(&v));
	if (body)
		ssi__membership__view__pack(&v, body->data);
	return body;
}

static size_t put_varint(uint8_t *to, size_t v)
{
	size_t n = 0;

	for (; v > 0x7f; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	return n;
}

static void reply_accepted(const struct head_node *n, Ssi__Membership__JoinReply *m)
{
	ssi__membership__join_reply__init(m);
	m->accepted = true;
	m->heartbeat_ms = n->sys->heartbeat_ms;
	m->detach_ms = n->sys->detach_ms;
	m->node_number = n->pub.number;
}

/* The reply without what is shared: a field with a length may be written in pieces, a member at a time. */
static size_t reply_own(const struct head_node *n, size_t shared, uint8_t *to)
{
	Ssi__Membership__JoinReply m;
	Ssi__Membership__Member member;
	uint8_t entry[REPLY_OWN_MAX / 2];
	size_t len = 0, at;

	head_view_member(&member, n);
	entry[len++] = TAG_VIEW_MEMBER;
	len += put_varint(entry + len, ssi__membership__member__get_packed_size(&member));
	len += ssi__membership__member__pack(&member, entry + len);
	reply_accepted(n, &m);
	at = ssi__membership__join_reply__pack(&m, to);
	to[at++] = TAG_REPLY_VIEW;
	at += put_varint(to + at, len + shared);
	memcpy(to + at, entry, len);
	return at + len;
}

/* The number of the view that somebody holds as we count, if it is remembered. */
static bool reply_remembers(const struct head_system *s, uint64_t digest, uint64_t *ret)
{
	unsigned n = s->n_past < HEAD_PAST ? s->n_past : HEAD_PAST;

	if (digest == s->digest) {
		*ret = s->told;
		return true;
	}
	for (unsigned i = 1; i <= n; i++) {
		const struct head_past *p = &s->past[(s->n_past - i) % HEAD_PAST];
		if (p->digest == digest) {
			*ret = p->number;
			return true;
		}
	}
	return false;
}

int head_reply_accept(struct ssi_ccm_conn *c, uint64_t sequence, const struct head_node *n, uint64_t view, uint64_t digest)
{
	struct head_system *s = n->sys;
	struct ssi_ccm_body *changes = NULL;
	uint8_t own[REPLY_OWN_MAX];
	uint64_t after;
	int r;

	if (view && reply_remembers(s, digest, &after)) {
		changes = reply_pack(s, after, view);
	} else if (!s->whole) {
		s->whole = reply_pack(s, 0, 0);
	}
	if (!changes && !s->whole)
		return -ENOMEM;
	r = ssi_ccm_send_shared(c, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, sequence, own,
				reply_own(n, (changes ? changes : s->whole)->len, own), changes ? changes : s->whole);
	ssi_ccm_body_unref(changes);
	return r;
}

static int reply_send(struct ssi_ccm_conn *c, uint64_t sequence, const Ssi__Membership__JoinReply *m)
{
	size_t len = ssi__membership__join_reply__get_packed_size(m);
	_cleanup_free_ uint8_t *body = malloc(len + 1);

	if (!body)
		return -ENOMEM;
	ssi__membership__join_reply__pack(m, body);
	return ssi_ccm_send(c, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, sequence, body, len);
}

int head_reply_update(struct ssi_ccm_conn *c, uint64_t sequence, const struct head_node *n)
{
	Ssi__Membership__JoinReply m;

	reply_accepted(n, &m);
	return reply_send(c, sequence, &m);
}

int head_reply_refuse(struct ssi_ccm_conn *c, uint64_t sequence, const char *reason)
{
	Ssi__Membership__JoinReply m = SSI__MEMBERSHIP__JOIN_REPLY__INIT;

	m.reason = (char *)reason;
	return reply_send(c, sequence, &m);
}
