/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what was placed in the last moments: a node's load shows it a second late, and until then everything would go to the same one. Called for each job.
 * What was placed counts for one to two seconds; what has really begun by then is counted twice for as long.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/jobs.h"
#include "bootsvc/loads.h"
#include "bootsvc/placement.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/map.h"
#include "libssi/base/num.h"

#define PLACEMENT_SLICE_MS 1000

/* Of one node: processors and bytes that were promised in this slice of time and in the one before. */
struct placed {
	char name[64];
	uint64_t slice;
	double cpus[2], memory[2];
};
struct placements { struct ssi_map nodes; uint32_t last; };     /* last: the number of the node that had the last turn */

struct placements *placements_new(void)
{
	return calloc(1, sizeof(struct placements));
}

void placements_free(struct placements *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nodes.cap; i++)
		if (p->nodes.slots[i].key)
			free(p->nodes.slots[i].value);
	ssi_map_free(&p->nodes);
	free(p);
}

/* NULL: no memory. */
static struct placed *placed_at(struct placements *p, const char *name)
{
	uint64_t slice = ssi_clock_mono_ms() / PLACEMENT_SLICE_MS;
	struct placed *o = ssi_map_get(&p->nodes, name);

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return NULL;
		snprintf(o->name, sizeof(o->name), "%s", name);
		if (ssi_map_put(&p->nodes, o->name, o) < 0) {
			free(o);
			return NULL;
		}
	}
	if (slice != o->slice) {
		o->cpus[1] = slice == o->slice + 1 ? o->cpus[0] : 0;
		o->memory[1] = slice == o->slice + 1 ? o->memory[0] : 0;
		o->cpus[0] = o->memory[0] = 0;
		o->slice = slice;
	}
	return o;
}

static bool is_same_as(const char *policy, uint32_t *ret_pid)
{
	return policy && strncmp(policy, "same-as=", 8) == 0 && ssi_num_u32(policy + 8, 1, INT32_MAX, ret_pid) == 0;
}

/* --- what a node looks like --- */

static void metrics_of(struct ssi_policy_node *o, const struct ssi_load_of *l, const struct placed *at, unsigned jobs)
{
	const uint64_t *v = l->load->values;
	double cpus = l->load->shape.n_cpus ?: 1, busy = (double)l->busy / 1000, memory = (double)v[SSI_LOAD_MEM_TOTAL] * 1024;
	/* Who reads it runs too. */
	double running = v[SSI_LOAD_PROCS_RUNNING] ? (double)v[SSI_LOAD_PROCS_RUNNING] - 1 : 0, promised = at ? at->memory[0] + at->memory[1] : 0;
	double available = (double)v[SSI_LOAD_MEM_AVAILABLE] * 1024 - promised;

	available = available < 0 ? 0 : available;
	/* A moment without anything running says little of a second that was busy. */
	running = running > busy * cpus ? running : busy * cpus;
	o->cpus = l->load->shape.n_cpus;
	o->available = (uint64_t)available;
	o->metric[SSI_METRIC_LOAD] = (running + (at ? at->cpus[0] + at->cpus[1] : 0)) / cpus;
	o->metric[SSI_METRIC_AVERAGE] = (double)v[SSI_LOAD_1] / 100 / cpus;
	o->metric[SSI_METRIC_BUSY] = busy;
	o->metric[SSI_METRIC_MEMORY] = memory > 0 ? 1 - available / memory : 1;
	o->metric[SSI_METRIC_JOBS] = jobs / cpus;
	o->metric[SSI_METRIC_PRESSURE_CPU] = (double)v[SSI_LOAD_CPU_SOME10] / 10000;
	o->metric[SSI_METRIC_PRESSURE_MEMORY] = (double)v[SSI_LOAD_MEM_SOME10] / 10000;
	o->metric[SSI_METRIC_PRESSURE_IO] = (double)v[SSI_LOAD_IO_SOME10] / 10000;
}

/* It has just come: what its heartbeats say will do. */
static void metrics_of_beat(struct ssi_policy_node *o, const struct ssi_head_node *h)
{
	double cpus = h->inventory.cpus ?: 1;

	o->cpus = h->inventory.cpus;
	o->available = h->mem_free ?: h->inventory.memory;
	o->metric[SSI_METRIC_LOAD] = o->metric[SSI_METRIC_AVERAGE] = h->load / cpus;
	o->metric[SSI_METRIC_MEMORY] = h->inventory.memory ? 1 - (double)o->available / (double)h->inventory.memory : 1;
}

static struct ssi_policy_node view_of(struct daemon *d, const struct ssi_head_node *h, const char *avoid)
{
	const struct ssi_load_of *l = loads_of(d, h);
	struct ssi_policy_node o = { .name = h->name, .number = h->number };

	if (h->state == SSI_NODE_SUSPECT)
		o.objection = "it is not heard of just now";
	else if (h->state != SSI_NODE_JOINED)
		o.objection = "it is not joined";
	else if (h->hold != SSI_HOLD_NONE)
		o.objection = "it is drained";
	else if (avoid && strcmp(avoid, h->name) == 0)
		o.objection = "it is where it was";
	if (!l)
		metrics_of_beat(&o, h);
	else
		metrics_of(&o, l, placed_at(d->placements, h->name), jobs_on_node(d->jobs, h->name));
	return o;
}

/* --- which nodes there are --- */

struct candidates { struct ssi_policy_node *nodes; const struct ssi_head_node **heads; size_t n; };

static void candidates_free(struct candidates *c)
{
	free(c->nodes);
	free(c->heads);
}

static bool candidates_wait(const struct candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->heads[i]->state == SSI_NODE_SUSPECT)
			return true;
	return false;
}

static int candidates_add(struct daemon *d, struct candidates *c, const char *name, const char *system, bool named, const char *avoid)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, name);

	if (!h || (system && strcmp(h->system, system) != 0))
		return named ? -ENOENT : 0;
	/* Of nodes that nobody named, those that are off are not worth a word. */
	if (!named && h->state != SSI_NODE_JOINED && h->state != SSI_NODE_SUSPECT)
		return 0;
	c->heads[c->n] = h;
	c->nodes[c->n++] = view_of(d, h, avoid);
	return 0;
}

static int candidates_find(struct daemon *d, const char *system, const char *range, const char *avoid, struct candidates *c, struct ssi_err *e)
{
	_cleanup_nodelist_ struct ssi_nodelist *list = NULL;
	int r = range ? ssi_nodelist_parse(range, &list, e) : 0;
	size_t n = list ? list->n : d->registry->n_nodes;

	if (r < 0)
		return r;
	c->nodes = calloc(n + 1, sizeof(*c->nodes));
	c->heads = calloc(n + 1, sizeof(*c->heads));
	if (!c->nodes || !c->heads)
		return ssi_errno(e, -ENOMEM, "nodes");
	for (size_t i = 0; i < n; i++) {
		const char *name = list ? list->names[i] : d->registry->nodes[i]->name;

		if (candidates_add(d, c, name, system, list != NULL, avoid) < 0)
			return ssi_errf(e, -ENOENT, "no node %s%s%s", name, system ? " in the system " : "", system ?: "");
	}
	return 0;
}

static int system_of(struct daemon *d, const char **system, struct ssi_err *e)
{
	if (*system && !ssi_registry_system(d->registry, *system))
		return ssi_errf(e, -ENOENT, "no system %s", *system);
	if (!*system && d->registry->n_systems == 1)
		*system = d->registry->systems[0]->name;
	return *system ? 0 : ssi_errf(e, -ENOENT, d->registry->n_systems ? "there are several systems: say with --system which one" : "there is no system");
}

/* --- choosing --- */

/* ret_as: the node that same-as means, NULL if there is none. */
static int policy_of(struct daemon *d, const char *name, const struct policies_entry **ret, const char **ret_as, struct ssi_err *e)
{
	const struct policies_entry *o = policies_get(d->policies, name ?: "default");
	uint32_t pid;

	if (!name && !o)
		o = policies_get(d->policies, PLACEMENT_DEFAULT);
	*ret_as = NULL;
	if (is_same_as(name, &pid)) {
		o = policies_get(d->policies, "same-as");
		*ret_as = jobs_node_of(d->jobs, pid);
	}
	if (!o)
		return ssi_errf(e, -ENOENT, "no policy '%.64s': 'ssi policy list' shows those there are", name ?: PLACEMENT_DEFAULT);
	*ret = o;
	return 0;
}

static void promise(struct daemon *d, const struct placement_ask *ask, const struct ssi_head_node *h)
{
	struct placed *o = placed_at(d->placements, h->name);

	if (o) {
		o->cpus[0] += ask->cpus ?: 1;
		o->memory[0] += (double)ask->memory;
	}
	d->placements->last = h->number;
}

int placement_choose(struct daemon *d, const struct placement_ask *ask, struct placement *ret, struct ssi_err *e)
{
	struct ssi_policy_want w = { ask->count, ask->cpus, ask->memory, d->placements->last, NULL };
	SSI_CLEANUP(candidates_free) struct candidates c = { 0 };
	const char *system = ask->system;
	const struct policies_entry *o = NULL;
	size_t chosen[PLACEMENT_NODES_MAX];
	int r = policy_of(d, ask->policy, &o, &w.same_as, e);

	if (r < 0)
		return r;
	if (o->policy->choose == SSI_CHOOSE_LOCAL) {
		*ret = (struct placement) { .policy = o->name, .local = true };
		return 0;
	}
	if (!ask->count || ask->count > PLACEMENT_NODES_MAX)
		return ssi_errf(e, -EINVAL, "a number of nodes is from 1 to %u", PLACEMENT_NODES_MAX);
	r = system_of(d, &system, e);
	if (r == 0)
		r = candidates_find(d, system, ask->range, ask->avoid, &c, e);
	if (r == 0)
		r = ssi_policy_choose(o->policy, c.nodes, c.n, &w, chosen, e);
	if (r < 0)
		return r == -ENOSPC && candidates_wait(&c) ? -EAGAIN : r;
	ret->policy = o->name;
	ret->local = false;
	ret->n = ask->count;
	ret->nodes = calloc(ask->count, sizeof(*ret->nodes));
	if (!ret->nodes)
		return ssi_errno(e, -ENOMEM, "nodes");
	for (size_t i = 0; i < ret->n; i++) {
		ret->nodes[i] = c.heads[chosen[i]];
		promise(d, ask, ret->nodes[i]);
	}
	return 0;
}

void placement_free(struct placement *p)
{
	free(p->nodes);
	*p = (struct placement) { 0 };
}

/* --- for people --- */

static json_t *score_json(const struct ssi_policy *p, const struct ssi_policy_node *n)
{
	struct ssi_policy_want w = { .count = 1, .same_as = n->name };
	char buf[128];
	const char *objection = ssi_policy_objection(p, n, &w, buf, sizeof(buf));
	json_t *o = json_pack("{s:s, s:f}", "name", n->name, "score", ssi_policy_score(p, n)), *metrics = json_object();

	if (objection)
		json_object_set_new(o, "objection", json_string(objection));
	for (int i = 0; i < SSI_METRICS; i++)
		json_object_set_new(metrics, ssi_policy_metrics[i], json_real(n->metric[i]));
	json_object_set_new(o, "metrics", metrics);
	return o;
}

json_t *placement_scores(struct daemon *d, const struct ssi_policy *p, const char *system)
{
	SSI_CLEANUP(candidates_free) struct candidates c = { 0 };
	struct ssi_policy_want w = { .count = 1, .after = d->placements->last };
	json_t *a = json_array();

	if (system_of(d, &system, NULL) < 0 || candidates_find(d, system, NULL, NULL, &c, NULL) < 0 || p->choose == SSI_CHOOSE_LOCAL)
		return a;
	/* One after the other, as they would be chosen; then those that would not. */
	for (size_t best; c.n && p->choose != SSI_CHOOSE_SAME_AS && ssi_policy_choose(p, c.nodes, c.n, &w, &best, NULL) == 0;) {
		json_array_append_new(a, score_json(p, &c.nodes[best]));
		w.after = c.nodes[best].number;
		memmove(&c.nodes[best], &c.nodes[best + 1], (--c.n - best) * sizeof(*c.nodes));
	}
	for (size_t i = 0; i < c.n; i++)
		json_array_append_new(a, score_json(p, &c.nodes[i]));
	return a;
}
