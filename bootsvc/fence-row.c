/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is stored of a fence: how it begins, how it is shown, and whom it holds. Called by fence.c and by who starts a machine as a node. */
#include <errno.h>
#include <string.h>
#include "bootsvc/fence-row.h"
#include "bootsvc/fence.h"
#include "bootsvc/volumes.h"
#include "libssi/base/clock.h"

enum ssi_fence fence_row_policy(const struct daemon *d, const char *node)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);

	return n ? n->system->fence : SSI_FENCE_BOTH;
}

bool fence_row_keeps(struct daemon *d, const char *node)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);

	return n && (n->system->shared[0] || volumes_has(d, node));
}

int fence_row_store(struct daemon *d, const struct state_fence *row, bool end_keys, struct ssi_err *e)
{
	int r = state_begin(d->state, true, e);

	if (r == 0)
		r = state_fence_put(d->state, row, e);
	if (r == 0 && end_keys)
		r = state_boot_end_all(d->state, row->node, e);
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0)
		state_rollback(d->state);
	return r;
}

/* Has the machine of this boot booted as another node since? Then nothing of it runs there, and that node's machine is none of ours. */
static bool moved_on(struct daemon *d, const struct state_boot *b)
{
	struct state_boot newest;
	char node[64];
	bool is;

	if (state_node_of(d->state, b->mac, node, NULL) < 0 || strcmp(node, b->node) == 0 || state_boot_newest(d->state, node, &newest, NULL) < 0)
		return false;
	is = strcmp(newest.mac, b->mac) == 0 && newest.used && newest.armed > b->armed;
	explicit_bzero(&newest, sizeof(newest));
	return is;
}

int fence_row_begin(struct daemon *d, const struct ssi_node *n, struct state_fence *ret, struct ssi_err *e)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, n->name);
	struct state_boot b = { 0 };
	int r = -ENOENT;

	*ret = (struct state_fence) { .address = n->address, .incarnation = h ? h->incarnation : 0, .since = ssi_clock_wall_ms() };
	strcpy(ret->node, n->name);
	if (ret->incarnation)
		r = state_boot_get(d->state, n->name, ret->incarnation, &b, e);
	strcpy(ret->mac, b.mac);
	if (r == 0 && moved_on(d, &b))
		ret->mac[0] = '\0';
	else if (r == -ENOENT)
		r = state_machine_of(d->state, n->name, ret->mac, e);
	explicit_bzero(&b, sizeof(b));
	return r == -ENOENT ? 0 : r;
}

/* Is it in a state in which its last boot may still be somewhere? */
static bool may_run(struct daemon *d, const struct ssi_head_node *h)
{
	struct state_boot b;
	bool used;

	if (!h || h->state == SSI_NODE_OFF)
		return false;
	if (h->state != SSI_NODE_BOOTING && h->state != SSI_NODE_FAILED)
		return true;
	used = state_boot_get(d->state, h->name, h->incarnation, &b, NULL) < 0 || b.used;
	explicit_bzero(&b, sizeof(b));
	return used;
}

int fence_objection(struct daemon *d, const char *node, struct ssi_err *e)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, node);
	struct state_fence row;
	bool known = state_fence_get(d->state, node, &row, NULL) == 0;

	if (!fence_row_keeps(d, node))
		return 0;
	if (known && row.phase == STATE_FENCE_WORK)
		return ssi_errf(e, -EBUSY, "%s has state that two machines must not write to, and its fence is not confirmed%s%s: 'ssi node show %s'", node,
				row.reason[0] ? ": " : "", row.reason, node);
	if (known && row.phase == STATE_FENCE_DOUBT)
		return ssi_errf(e, -EBUSY, "%s has state that two machines must not write to, and may still run on %s: 'ssi node fence %s' first", node, row.mac, node);
	if (may_run(d, h))
		return ssi_errf(e, -EBUSY, "%s has state that two machines must not write to, and is %s: 'ssi node fence %s' first", node,
				ssi_nodestate_name(h->state), node);
	return 0;
}

bool fence_holds(struct daemon *d, const char *node)
{
	return fence_objection(d, node, NULL) < 0;
}

json_t *fence_json(struct daemon *d, const struct ssi_node *n)
{
	static const char *const phases[] = { [STATE_FENCE_DOUBT] = "doubt", [STATE_FENCE_WORK] = "work", [STATE_FENCE_CONFIRMED] = "confirmed" };
	struct state_fence row;
	json_t *o, *steps;

	if (state_fence_get(d->state, n->name, &row, NULL) < 0)
		return NULL;
	steps = json_object();
	for (int s = 0; s < FENCE_STEPS; s++)
		if (fence_plan_needs(n->system->fence) & FENCE_BIT(s))
			json_object_set_new(steps, fence_step_name((enum fence_step)s), json_boolean(row.proved & FENCE_BIT(s)));
	o = json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:s, s:i, s:o}", "phase", phases[row.phase], "machine", row.mac, "incarnation", (json_int_t)row.incarnation,
		      "policy", fence_policy_name(n->system->fence), "since", (json_int_t)row.since, "ended", (json_int_t)row.ended, "why", row.why,
		      "tries", (int)row.tries, "steps", steps);
	if (o)
		json_object_set_new(o, "reason", ssi_control_text(row.reason));       /* a fence agent's words */
	return o;
}
