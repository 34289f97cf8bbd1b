/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the nodes of the membership engine and what becomes of them in time. Called by the daemon and, through head-msg.c, by what
 * nodes say. It judges silence, so it must be sure of its own ears: a node with something unread in its socket is not silent, between
 * suspicion and verdict those that connect anew have their turn, and a timer that came late (this process did not run) judges nobody but
 * starts counting anew. When the master's own link was down and is back, everyone has a while to be heard again; while it is down, silence counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "ssi/boot/text.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"

#define HEAD_STALL_MS 1000           /* a timer later than this: it was we who were silent */
#define HEAD_HEARING_MS 100          /* between suspicion and verdict, at least */
#define HEAD_SLACK_US 20000          /* of the timer, so that deadlines close together cost one wake-up */

uint64_t head_now(const struct ssi_head *h)
{
	return h->ops->mono ? h->ops->mono(h->userdata) : ssi_clock_mono_ms();
}

static uint64_t head_wall(const struct ssi_head *h)
{
	return h->ops->wall ? h->ops->wall(h->userdata) : ssi_clock_wall_ms();
}

int ssi_head_new(sd_event *event, struct ssi_ccm *m, const struct ssi_head_ops *ops, void *userdata, struct ssi_head **ret)
{
	struct ssi_head *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->event = sd_event_ref(event);
	h->ccm = m;
	h->ops = ops;
	h->userdata = userdata;
	TAILQ_INIT(&h->systems);
	r = head_msg_register(h);
	if (r < 0) {
		ssi_head_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

static void head_drop_conn(struct head_node *n, const char *why)
{
	struct ssi_err e;

	if (!n->conn)
		return;
	ssi_errf(&e, -ECANCELED, "%s", why);
	ssi_ccm_set_userdata(n->conn, NULL);
	ssi_ccm_close(n->conn, &e);
	n->conn = NULL;
}

static void head_unlink(struct ssi_head *h, struct head_node *n)
{
	head_due_clear(&h->due, n);
	head_view_assume(n, SSI_NODE_OFF);
	head_reply_forget(n->sys);       /* whoever builds on what was told before would keep it */
	head_count(n, -1);
	TAILQ_REMOVE(&n->sys->nodes, n, link);
}

static void head_link(struct head_node *n, struct head_system *s)
{
	n->sys = s;
	snprintf(n->pub.system, sizeof(n->pub.system), "%s", s->name);
	n->changed = 0;
	TAILQ_INSERT_HEAD(&s->nodes, n, link);
	head_count(n, 1);
}

void ssi_head_free(struct ssi_head *h)
{
	struct head_system *s;
	struct head_node *n;

	if (!h)
		return;
	while ((s = TAILQ_FIRST(&h->systems))) {
		while ((n = TAILQ_FIRST(&s->nodes))) {
			if (n->conn)
				ssi_ccm_set_userdata(n->conn, NULL);
			head_unlink(h, n);
			free(n);
		}
		TAILQ_REMOVE(&h->systems, s, link);
		head_reply_forget(s);
		free(s);
	}
	head_table_free(&h->table);
	head_due_free(&h->due);
	sd_event_source_disable_unref(h->timer);
	sd_event_source_disable_unref(h->teller);
	sd_event_unref(h->event);
	free(h);
}

/* --- time --- */

static int head_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	head_tick(userdata);
	return 0;
}

/* Set the timer to the earliest deadline; turn it off when there is none. */
static void head_arm(struct ssi_head *h)
{
	struct head_node *first = head_due_first(&h->due);
	uint64_t now = head_now(h);
	int r = 0;

	if (first && h->armed && h->armed <= first->due)
		return;                      /* it fires early enough, and looks again then */
	h->armed = first ? first->due : 0;
	if (!first) {
		if (h->timer)
			sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
		return;
	}
	if (!h->timer)
		r = sd_event_add_time_relative(h->event, &h->timer, CLOCK_MONOTONIC, 0, HEAD_SLACK_US, head_on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_time_relative(h->timer, (first->due > now ? first->due - now : 0) * 1000);
	if (r >= 0)
		sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

/*
 * Silence counts from when the next heartbeat was due: until then nothing is missing, and a process that was stopped just before it is not
 * worse off than one that was stopped just after.
 */
static uint64_t head_deadline(const struct head_node *n)
{
	uint64_t due = n->heard + n->sys->heartbeat_ms;
	uint64_t limit = due + n->sys->detach_ms, back = n->sys->link_back + n->sys->detach_ms / 2;

	if (n->pub.state != SSI_NODE_SUSPECT)
		return due + n->sys->detach_ms / 2;
	if (n->sys->link_back && limit < back)
		limit = back;
	return limit > n->grace ? limit : n->grace;
}

/* Before somebody is judged: has our own link come up since that happened last? What was said meanwhile is on its way again, at the pace of TCP. */
static void head_look_at_link(struct ssi_head *h, struct head_system *s, uint64_t now)
{
	uint64_t ups;

	if (!h->ops->link_ups || s->link_asked == now)
		return;
	ups = h->ops->link_ups(s->name, h->userdata);
	if (s->link_ups && ups > s->link_ups)
		s->link_back = now;
	s->link_ups = ups;
	s->link_asked = now;
}

/* We did not run for a while: nobody's silence in that time is theirs. */
static void head_forgive(struct ssi_head *h, uint64_t now)
{
	for (size_t i = 0; i < h->due.n; i++)
		if (h->due.heap[i]->heard < now)
			h->due.heap[i]->heard = now;
}

void head_tick(struct ssi_head *h)
{
	uint64_t now = head_now(h);
	struct head_node *n;

	if (h->armed && now > h->armed + HEAD_STALL_MS)
		head_forgive(h, now);
	h->armed = 0;
	while ((n = head_due_first(&h->due)) && n->due <= now) {
		uint64_t due;
		char reason[64];

		if (head_deadline(n) <= now && n->conn && ssi_ccm_waiting(n->conn))
			n->heard = now;      /* it is not silent: we have not listened yet */
		if (head_deadline(n) <= now)
			head_look_at_link(h, n->sys, now);
		due = head_deadline(n);

		if (due > now) {
			head_due_set(&h->due, n, due);
			continue;
		}
		snprintf(reason, sizeof(reason), "nothing heard for %.1f s", (double)(now - n->heard) / 1000);
		head_event(h, n, n->pub.state == SSI_NODE_SUSPECT ? SSI_EVENT_TIMEOUT : SSI_EVENT_SILENT, reason, NULL);
	}
	head_arm(h);
}

/* --- states --- */

/* A member is looked at when its silence would count, and not before it could be heard once more. */
static void head_watch(struct ssi_head *h, struct head_node *n)
{
	uint64_t soon = head_now(h) + HEAD_HEARING_MS, due = head_deadline(n);

	head_due_set(&h->due, n, due > soon ? due : soon);
}

/* Enter a state: counted, timed, and to be told. */
static void head_enter(struct ssi_head *h, struct head_node *n, enum ssi_nodestate state, const char *reason)
{
	head_count(n, -1);
	n->pub.state = state;
	head_count(n, 1);
	n->pub.since_ms = head_wall(h);
	ssi_text_copy(n->pub.reason, sizeof(n->pub.reason), reason);
	if (head_is_member(state))
		head_watch(h, n);
	else
		head_due_clear(&h->due, n);
	head_arm(h);
}

void head_event(struct ssi_head *h, struct head_node *n, enum ssi_nodeevent ev, const char *reason, const struct ssi_head_join *join)
{
	enum ssi_nodestate before = n->pub.state, next = ssi_nodestate_next(before, ev);

	if (next == before && !join)
		return;
	if (next != before || !join->update)
		head_enter(h, n, next, reason);
	if (join || head_is_member(before) || head_is_member(next))
		head_view_touch(h, n);
	h->ops->changed(&n->pub, before, ev, join, h->userdata);
	if ((next == SSI_NODE_DETACHED || next == SSI_NODE_FENCING) && n->conn) {
		/* Frozen, perhaps: this is what it finds when it wakes. */
		head_send_order(n->conn, SSI_HEAD_REBOOT, next == SSI_NODE_FENCING ? "fenced: this incarnation is over" : "detached: this incarnation is over");
		head_drop_conn(n, reason);
	}
}

/* --- what the daemon calls --- */

static struct head_system *head_system(const struct ssi_head *h, const char *name)
{
	struct head_system *s;

	TAILQ_FOREACH(s, &h->systems, link)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

int ssi_head_set_system(struct ssi_head *h, const char *system, uint32_t heartbeat_ms, uint32_t detach_ms, uint64_t view)
{
	struct head_system *s = head_system(h, system);
	struct head_node *n;

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		snprintf(s->name, sizeof(s->name), "%s", system);
		s->totals.view = s->told = view;
		TAILQ_INIT(&s->nodes);
		TAILQ_INSERT_TAIL(&h->systems, s, link);
	}
	s->heartbeat_ms = heartbeat_ms;
	s->detach_ms = detach_ms;
	TAILQ_FOREACH(n, &s->nodes, link)        /* who is silent already is so by the new measure */
		if (head_is_member(n->pub.state))
			head_watch(h, n);
	head_arm(h);
	return 0;
}

/* Out of one system and into another: in between it is in none, and has to boot. */
static void head_move(struct ssi_head *h, struct head_node *n, struct head_system *to)
{
	head_drop_conn(n, "moved to another system");
	n->over = true;
	if (head_is_member(n->pub.state)) {
		head_event(h, n, SSI_EVENT_LEAVE, "moved to another system", NULL);
		head_view_tell(h, n->sys);
	}
	head_unlink(h, n);
	head_link(n, to);
}

int ssi_head_set_node(struct ssi_head *h, const char *name, const char *system, uint32_t number, struct in_addr address, struct ssi_head_node **ret)
{
	struct head_node *n = head_table_find(&h->table, name);
	struct head_system *s = head_system(h, system);

	if (!s)
		return -ENOENT;
	if (!n) {
		n = calloc(1, sizeof(*n));
		if (!n)
			return -ENOMEM;
		snprintf(n->pub.name, sizeof(n->pub.name), "%s", name);
		if (head_table_add(&h->table, n) < 0) {
			free(n);
			return -ENOMEM;
		}
		head_link(n, s);
	} else if (n->sys != s)
		head_move(h, n, s);
	if (n->pub.number != number || n->pub.address.s_addr != address.s_addr) {
		n->pub.number = number;
		n->pub.address = address;
		if (head_is_member(n->pub.state))
			head_view_touch(h, n);
	}
	if (ret)
		*ret = &n->pub;
	return 0;
}

void ssi_head_remove_node(struct ssi_head *h, const char *name)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return;
	head_drop_conn(n, "removed from the registry");
	if (head_is_member(n->pub.state)) {
		head_enter(h, n, SSI_NODE_OFF, "removed");
		head_view_touch(h, n);
		head_view_tell(h, n->sys);
	}
	head_unlink(h, n);
	head_table_remove(&h->table, n);
	free(n);
}

int ssi_head_restore(struct ssi_head *h, const char *name, enum ssi_nodestate state, uint64_t incarnation, uint64_t since_ms, const char *reason,
		     const struct ssi_inventory *inventory)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	head_count(n, -1);
	n->pub.incarnation = incarnation;
	if (inventory)
		n->pub.inventory = *inventory;
	head_count(n, 1);
	n->heard = head_now(h);
	n->grace = n->heard + SSI_HEAD_GRACE_MS + (uint64_t)SSI_HEAD_GRACE_EACH_MS * n->sys->totals.nodes;
	if (head_is_member(state))       /* remembered is not heard */
		head_enter(h, n, SSI_NODE_SUSPECT, "not heard of since the master started");
	else
		head_enter(h, n, state, reason);
	head_view_assume(n, state);      /* members were told of it by the daemon before us; who was not says so when it comes */
	n->pub.since_ms = since_ms;
	return 0;
}

int ssi_head_boot(struct ssi_head *h, const char *name, uint64_t incarnation)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	if (incarnation < n->pub.incarnation)
		return -ESTALE;
	head_drop_conn(n, "its machine boots again");
	n->pub.incarnation = incarnation;
	n->over = false;
	head_event(h, n, SSI_EVENT_BOOT, "", NULL);
	return 0;
}

int ssi_head_boot_failed(struct ssi_head *h, const char *name, uint64_t incarnation, const char *text)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	if (incarnation != n->pub.incarnation)
		return -ESTALE;
	head_event(h, n, SSI_EVENT_BOOT_FAILED, text, NULL);
	return 0;
}

int ssi_head_off(struct ssi_head *h, const char *name, const char *reason)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	n->over = true;
	head_drop_conn(n, reason);
	head_event(h, n, SSI_EVENT_LEAVE, reason, NULL);
	return 0;
}

int ssi_head_set_hold(struct ssi_head *h, const char *name, enum ssi_nodehold hold)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	if (n->pub.hold == hold)
		return 0;
	head_count(n, -1);
	n->pub.hold = hold;
	head_count(n, 1);
	if (head_is_member(n->pub.state))
		head_view_touch(h, n);
	return 1;
}

int ssi_head_detach(struct ssi_head *h, const char *name, const char *reason)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	n->over = true;
	if (n->pub.state == SSI_NODE_DETACHED)
		ssi_text_copy(n->pub.reason, sizeof(n->pub.reason), reason);
	head_event(h, n, SSI_EVENT_DETACH, reason, NULL);
	return 0;
}

static int head_fence_event(struct ssi_head *h, const char *name, enum ssi_nodeevent ev, const char *reason)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	n->over |= ev == SSI_EVENT_FENCE;
	head_event(h, n, ev, reason, NULL);
	return 0;
}

int ssi_head_fence(struct ssi_head *h, const char *name, const char *reason)
{
	return head_fence_event(h, name, SSI_EVENT_FENCE, reason);
}

int ssi_head_fenced(struct ssi_head *h, const char *name, const char *reason)
{
	return head_fence_event(h, name, SSI_EVENT_FENCED, reason);
}

int ssi_head_fence_failed(struct ssi_head *h, const char *name, const char *reason)
{
	return head_fence_event(h, name, SSI_EVENT_FENCE_FAILED, reason);
}

int ssi_head_accept(struct ssi_head *h, const char *name)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	head_event(h, n, SSI_EVENT_ACCEPT, "", NULL);
	return 0;
}

int head_send_order(struct ssi_ccm_conn *c, enum ssi_head_order what, const char *reason)
{
	Ssi__Membership__Order m = SSI__MEMBERSHIP__ORDER__INIT;
	char text[128];
	uint8_t buf[256];

	m.what = what == SSI_HEAD_REBOOT ? SSI__MEMBERSHIP__ORDER__WHAT__REBOOT : SSI__MEMBERSHIP__ORDER__WHAT__POWEROFF;
	m.reason = ssi_text_copy(text, sizeof(text), reason);
	return ssi_ccm_send(c, SSI_MOD_MEMBERSHIP, SSI_MEMBER_ORDER, 0, buf, ssi__membership__order__pack(&m, buf));
}

int ssi_head_order(struct ssi_head *h, const char *name, enum ssi_head_order what, const char *reason)
{
	struct head_node *n = head_table_find(&h->table, name);

	if (!n)
		return -ENOENT;
	return n->conn ? head_send_order(n->conn, what, reason) : -ENOTCONN;
}

void ssi_head_closed(struct ssi_head *h, struct ssi_ccm_conn *c)
{
	struct head_node *n = ssi_ccm_get_userdata(c);

	if (n && n->conn == c)
		n->conn = NULL;
}

const struct ssi_head_node *ssi_head_node(const struct ssi_head *h, const char *name)
{
	struct head_node *n = head_table_find(&h->table, name);

	return n ? &n->pub : NULL;
}

struct ssi_ccm_conn *ssi_head_conn(const struct ssi_head *h, const char *name)
{
	struct head_node *n = head_table_find(&h->table, name);

	return n ? n->conn : NULL;
}

int ssi_head_totals(const struct ssi_head *h, const char *system, struct ssi_head_totals *ret)
{
	struct head_system *s = head_system(h, system);

	if (!s)
		return -ENOENT;
	*ret = s->totals;
	return 0;
}
