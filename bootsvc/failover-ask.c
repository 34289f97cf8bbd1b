/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people ask of the failover (moves, machines that are mended), and what other parts of the daemon ask. Called by the verbs' requests, by boot.c and by status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/events.h"
#include "bootsvc/failover-internal.h"
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/comm/json.h"

/* A machine that somebody names for a node. */
static int check_target(struct failover *f, const char *node, const char *mac, struct ssi_err *e)
{
	struct daemon *d = f->daemon;
	struct failover_case *c;
	struct state_machine m;
	int r = state_machine_get(d->state, mac, &m, e);

	if (r == -ENOENT && ssi_registry_machine(d->registry, mac))
		return 0;                /* it never asked; nodes.d knows it */
	if (r < 0)
		return r;
	if (!strcmp(m.node, node))
		return ssi_errf(e, -EINVAL, "machine %s plays %s already", mac, node);
	if (m.node[0])
		return ssi_errf(e, -EBUSY, "machine %s plays %s", mac, m.node);
	if (m.failed[0])
		return ssi_errf(e, -EBUSY, "machine %s has failed (%s): 'ssi machine accept %s' first", mac, m.failed, mac);
	TAILQ_FOREACH(c, &f->cases, link)
		if (strcmp(c->s.node, node) != 0 && !strcmp(c->s.spare, mac))
			return ssi_errf(e, -EBUSY, "machine %s is to become %s", mac, c->s.node);
	return 0;
}

static bool is_up(const struct ssi_head_node *h)
{
	return h && (h->state == SSI_NODE_JOINED || h->state == SSI_NODE_SUSPECT || h->state == SSI_NODE_BOOTING);
}

/* The machine it has is well: who asks for a move says nothing against it. */
static bool is_sound(const struct ssi_head_node *h)
{
	return h && (h->state == SSI_NODE_JOINED || h->state == SSI_NODE_BOOTING || h->state == SSI_NODE_OFF);
}

int failover_order(struct failover *f, const char *node, const char *mac, struct ssi_err *e)
{
	const struct ssi_head_node *h = ssi_head_node(f->daemon->head, node);
	struct failover_case *c = case_find(f, node);
	int r = mac ? check_target(f, node, mac, e) : 0;

	if (r < 0)
		return r;
	if (c && failover_step_begun(c->step))
		return ssi_errf(e, -EBUSY, "%s is on its way to machine %s already ('ssi node show %s' tells how far)", node, c->s.spare, node);
	if (!mac && is_up(h))
		return ssi_errf(e, -EINVAL, "%s is %s: 'ssi node move %s --to MACHINE' moves a node that is up", node, ssi_nodestate_name(h->state), node);
	if (!c)
		c = case_new(f, node, ssi_clock_wall_ms(), h && h->reason[0] ? h->reason : "asked for by hand");
	if (!c)
		return ssi_errf(e, -ENOENT, "no machine plays %s: 'ssi node set %s machine=MAC' gives it one", node, node);
	c->s.ordered = true;
	c->s.sound = is_sound(h);
	if (mac)
		snprintf(c->s.spare, sizeof(c->s.spare), "%s", mac);
	r = case_put(c, !mac ? FAILOVER_ASK : h && h->state == SSI_NODE_JOINED ? FAILOVER_STOP : FAILOVER_FENCE, e);
	if (r < 0)
		return r;
	if (mac)
		case_event(c, "failover", "asked for by hand: machine %s is to take the place of %s", mac, c->s.machine);
	else
		case_event(c, "failover", "asked for by hand");
	failover_look(f);
	return 0;
}

int failover_accept(struct failover *f, const char *mac, struct ssi_err *e)
{
	struct daemon *d = f->daemon;
	struct state_machine m;
	int r = state_machine_get(d->state, mac, &m, e);

	if (r < 0)
		return r;
	if (m.node[0])
		return ssi_errf(e, -EBUSY, "machine %s plays %s", mac, m.node);
	if (m.spare && !m.failed[0])
		return 0;
	r = state_begin(d->state, true, e);
	if (r == 0)
		r = state_machine_fail(d->state, mac, "", 0, e);
	if (r == 0)
		r = state_machine_set_spare(d->state, mac, true, e);
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0) {
		state_rollback(d->state);
		return r;
	}
	events_add(d->events, "accept", "", mac, 0, "a spare from now on%s%s", m.failed[0] ? "; it had failed: " : "", m.failed);
	failover_look(f);
	return 1;
}

/* ---- what others ask ---- */

int failover_admits(struct failover *f, const char *mac, const char *node, char *text, size_t n)
{
	struct failover_case *c = f && node[0] ? case_find(f, node) : NULL;
	struct state_machine m;

	if (f)
		failover_look(f);        /* a spare that asks can be had */
	if (c && c->step >= FAILOVER_STOP && c->step <= FAILOVER_BIND && (c->busy || c->step != FAILOVER_FENCE)) {
		snprintf(text, n, "%s is on its way to machine %s ('ssi node show %s' on the master tells how far)", node, c->s.spare, node);
		return -EAGAIN;
	}
	if (node[0] || !f || state_machine_get(f->daemon->state, mac, &m, NULL) < 0 || !m.failed[0])
		return 0;
	snprintf(text, n, "machine %s has failed (%s): 'ssi machine accept %s' on the master makes it a spare again", mac, m.failed, mac);
	return -EAGAIN;
}

int failover_objection(struct failover *f, const char *node, const char *mac, struct ssi_err *e)
{
	const struct failover_case *c;
	struct state_machine m;

	if (!f)
		return 0;
	if (mac && state_machine_get(f->daemon->state, mac, &m, NULL) == 0 && m.failed[0])
		return ssi_errf(e, -EBUSY, "machine %s has failed (%s): 'ssi machine accept %s' first", mac, m.failed, mac);
	TAILQ_FOREACH(c, &f->cases, link)
		if (failover_step_begun(c->step) && (!strcmp(c->s.node, node) || (mac && !strcmp(c->s.spare, mac))))
			return ssi_errf(e, -EBUSY, "%s is on its way to machine %s ('ssi node show %s' tells how far)", c->s.node, c->s.spare, c->s.node);
	return 0;
}

bool failover_waits(struct failover *f, const char *node)
{
	const struct failover_case *c = f ? case_find(f, node) : NULL;

	return c && c->step >= FAILOVER_POWER;
}

json_t *failover_json(struct failover *f, const char *node)
{
	const struct failover_case *c = f ? case_find(f, node) : NULL;
	json_t *o;

	if (!c || c->step == FAILOVER_NONE)
		return NULL;
	o = json_pack("{s:s, s:I, s:I, s:s, s:s, s:b}", "step", failover_step_name(c->step), "since", (json_int_t)(c->s.since ?: c->s.detached),
		      "detached", (json_int_t)c->s.detached, "spare", c->s.spare, "from", c->s.machine, "ordered", (int)c->s.ordered);
	if (!o)
		return NULL;
	json_object_set_new(o, "why", ssi_control_text(c->s.why));
	json_object_set_new(o, "note", ssi_control_text(c->note));
	return o;
}

const char *failover_alarm(struct failover *f, const char *system)
{
	unsigned network = 0, limit = 0;
	struct failover_case *c;

	if (!f)
		return "";
	TAILQ_FOREACH(c, &f->cases, link) {
		const struct ssi_system *s = failover_system_of(f, c->s.node);

		if (!s || strcmp(s->name, system) != 0)
			continue;
		network += c->step == FAILOVER_NETWORK;
		limit += c->step == FAILOVER_LIMIT;
	}
	f->alarm[0] = '\0';
	if (network)
		snprintf(f->alarm, sizeof(f->alarm), "%u node%s vanished at once: taken for the network, nobody is fenced", network, ssi_num_plural(network));
	else if (limit)
		snprintf(f->alarm, sizeof(f->alarm), "the limit of failovers is reached: %u node%s wait%s for a decision", limit, ssi_num_plural(limit),
			 limit == 1 ? "s" : "");
	return f->alarm;
}
