/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decisions of failover.c. Whether it is the network is judged when a node is detached: who vanished in the same moment is at least suspect then
 * (silent for half of the time that detaches, which is three heartbeats at least, and they beat within one of each other), so nobody has to be waited for where
 * nobody is suspect.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/failover-plan.h"

static const char *const step_names[FAILOVER_STEPS] = {
	[FAILOVER_NONE] = "none", [FAILOVER_LOOK] = "look", [FAILOVER_DELAY] = "delay", [FAILOVER_ASK] = "ask", [FAILOVER_HAND] = "hand", [FAILOVER_NETWORK] = "network",
	[FAILOVER_LIMIT] = "limit", [FAILOVER_SPARE] = "spare", [FAILOVER_STOP] = "stop", [FAILOVER_FENCE] = "fence", [FAILOVER_BIND] = "bind",
	[FAILOVER_POWER] = "power", [FAILOVER_BOOT] = "boot",
};

const char *failover_step_name(enum failover_step s)
{
	return (unsigned)s < FAILOVER_STEPS ? step_names[s] : "unknown";
}

int failover_step_parse(const char *name)
{
	for (int s = 0; s < FAILOVER_STEPS; s++)
		if (!strcmp(step_names[s], name))
			return s;
	return -EINVAL;
}

/* Nothing was heard of it since, and no administrator keeps it out. Off, and failed: it was fenced by hand, or what a failover gave it did not come up. */
static bool is_lost(const struct failover_node *n)
{
	if (n->ordered || n->gone)
		return true;
	return n->state != SSI_NODE_BOOTING && n->state != SSI_NODE_JOINED && n->state != SSI_NODE_SUSPECT && n->hold != SSI_HOLD_OUT && !n->rebound;
}

static bool counts(const struct failover_node *n)
{
	return !n->ordered && n->step != FAILOVER_HAND && (is_lost(n) || failover_step_begun(n->step));
}

/* One that vanishes alone is no network: of a system of one node it could not be told. */
static bool too_many(const struct failover_policy *p, unsigned gone, unsigned all)
{
	return gone > 1 && (uint64_t)gone * 100 > (uint64_t)p->share * all;
}

static void ask_again(uint64_t *again, uint64_t at)
{
	if (!*again || at < *again)
		*again = at;
}

struct planning {
	const struct failover_policy *policy;
	const struct failover_facts *facts;
	const struct failover_node *nodes;
	size_t n;
	size_t from, to;                         /* those that vanished at once with the one that is looked at: [from, to), */
	unsigned gone;                           /* and how many of them count */
	unsigned spares, lately;                 /* with what was decided in this round */
	uint64_t again;
};

/* How many have vanished with node i, itself included; those that are on their way to a spare too. The window only moves on: nodes are in the order of their time. */
static unsigned vanished_with(struct planning *g, size_t i)
{
	const struct failover_node *n = g->nodes;
	uint64_t near = g->policy->at_once_ms;

	for (; g->to < g->n && n[g->to].detached <= n[i].detached + near; g->to++)
		g->gone += counts(&n[g->to]);
	for (; n[g->from].detached + near < n[i].detached; g->from++)
		g->gone -= counts(&n[g->from]);
	return g->gone;
}

/* Is it the network, and has it had its time? FAILOVER_NONE: it is this node, and it had. */
static enum failover_step look_around(struct planning *g, const struct failover_node *it)
{
	const struct failover_policy *p = g->policy;
	unsigned gone = vanished_with(g, it - g->nodes), all = g->facts->joined + g->facts->suspect + gone;

	if (p->link_down || too_many(p, gone, all))
		return FAILOVER_NETWORK;
	if (too_many(p, gone + g->facts->suspect, all)) {
		ask_again(&g->again, g->facts->now + p->at_once_ms);
		return FAILOVER_LOOK;
	}
	if (g->facts->now < it->detached + p->delay_ms) {
		ask_again(&g->again, it->detached + p->delay_ms);
		return FAILOVER_DELAY;
	}
	return FAILOVER_NONE;
}

/* The policy's word: FAILOVER_FENCE is "let it begin". */
static enum failover_step judge(struct planning *g, const struct failover_node *it)
{
	const struct failover_policy *p = g->policy;

	if (p->mode == SSI_FAILOVER_OFF)
		return FAILOVER_NONE;
	if (it->step < FAILOVER_SPARE) {
		enum failover_step s = look_around(g, it);

		if (s != FAILOVER_NONE)
			return s;
	} else if (p->link_down) {
		return it->gone ? FAILOVER_NETWORK : it->step;
	}
	if (p->mode == SSI_FAILOVER_ASK)
		return FAILOVER_ASK;
	return g->lately >= p->limit ? FAILOVER_LIMIT : FAILOVER_FENCE;
}

static enum failover_step decide(struct planning *g, const struct failover_node *it)
{
	enum failover_step next;

	if (failover_step_begun(it->step) && !it->gone)
		return it->step;
	if (!is_lost(it))
		return FAILOVER_NONE;
	/* What an administrator was told to decide stays his, whatever else happens meanwhile. */
	if (!it->ordered && (it->step == FAILOVER_HAND || it->step == FAILOVER_NETWORK || it->step == FAILOVER_LIMIT))
		return g->policy->mode == SSI_FAILOVER_OFF ? FAILOVER_NONE : it->step;
	next = it->ordered ? FAILOVER_FENCE : judge(g, it);
	if (next != FAILOVER_FENCE)
		return next;
	if (!g->spares)
		return FAILOVER_SPARE;
	g->spares--;
	g->lately += !it->ordered;
	return FAILOVER_FENCE;
}

void failover_plan(const struct failover_policy *p, const struct failover_facts *f, struct failover_node *nodes, size_t n, uint64_t *ret_again)
{
	struct planning g = { .policy = p, .facts = f, .nodes = nodes, .n = n, .spares = f->spares, .lately = f->lately };

	for (size_t i = 0; i < n; i++)
		nodes[i].next = decide(&g, &nodes[i]);
	*ret_again = g.again;
}
