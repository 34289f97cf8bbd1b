/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unknown machines and free nodes. Free is a node of the system that no machine is bound to and that nodes.d fixes to none; the
 * first in the registry's order is taken. Requests are answered one after the other, each binding in the transaction that answers it, so two
 * machines never get one node.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/discovery.h"
#include "bootsvc/dnsmasq.h"
#include "bootsvc/events.h"
#include "bootsvc/fence.h"
#include "bootsvc/failover.h"
#include "bootsvc/images.h"
#include "libssi/base/clock.h"

struct discovery {
	bool *taken;             /* by the node's number; NULL: to be looked up */
	const struct ssi_registry *of;
};

int discovery_new(struct discovery **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void discovery_free(struct discovery *v)
{
	if (v)
		free(v->taken);
	free(v);
}

void discovery_forget(struct discovery *v)
{
	free(v->taken);
	v->taken = NULL;
}

static void note_taken(const struct state_machine *m, void *userdata)
{
	struct discovery *v = userdata;
	const struct ssi_node *n = m->node[0] ? ssi_registry_node(v->of, m->node) : NULL;

	if (n)
		v->taken[n->number] = true;
}

static int look(struct daemon *d, struct ssi_err *e)
{
	struct discovery *v = d->discovery;
	uint32_t highest = 0;
	int r;

	if (v->taken && v->of == d->registry)
		return 0;
	discovery_forget(v);
	v->of = d->registry;
	for (size_t i = 0; i < v->of->n_nodes; i++)
		highest = v->of->nodes[i]->number > highest ? v->of->nodes[i]->number : highest;
	v->taken = calloc((size_t)highest + 1, sizeof(*v->taken));
	if (!v->taken)
		return ssi_errno(e, -ENOMEM, "free nodes");
	for (size_t i = 0; i < v->of->n_nodes; i++)
		v->taken[v->of->nodes[i]->number] = v->of->nodes[i]->machine[0] != '\0';
	r = state_machine_each(d->state, note_taken, v, e);
	if (r < 0)
		discovery_forget(v);
	return r;
}

/* A node that an administrator has taken out is not free, though no machine plays it; nor is one whose last machine may still write to its state. */
static const struct ssi_node *first_free(struct daemon *d, const struct discovery *v, const struct ssi_system *system)
{
	for (size_t i = 0; i < v->of->n_nodes; i++) {
		const struct ssi_node *n = v->of->nodes[i];
		const struct ssi_head_node *h;

		if (v->taken[n->number] || n->system != system)
			continue;
		h = ssi_head_node(d->head, n->name);
		if ((!h || h->hold != SSI_HOLD_OUT) && !fence_holds(d, n->name))
			return n;
	}
	return NULL;
}

static int bind_free(struct daemon *d, const struct ssi_system *system, const char *mac, char ret_node[64], char *text, size_t size, struct ssi_err *e)
{
	const struct ssi_node *n;
	int r = look(d, e);

	if (r < 0)
		return r;
	n = first_free(d, d->discovery, system);
	if (!n) {
		snprintf(text, size, "machine %s waits: system %s has no free node (add one to nodes.d, then 'ssi-bootsvc reload')", mac, system->name);
		return 0;
	}
	r = state_bind(d->state, n->name, mac, ssi_clock_wall_ms(), e);
	if (r < 0)
		return r;
	d->discovery->taken[n->number] = true;
	events_add(d->events, "bind", n->name, mac, 0, "an unknown machine, bound to the first free node of %s", system->name);
	dnsmasq_machine_changed(d->dnsmasq, mac);
	strcpy(ret_node, n->name);
	return 1;
}

/* "spares = N": a machine that no free node is there for, or that has just turned up and nobody binds, fills up the spares. 1: it is one now. */
static int keep(struct daemon *d, const struct ssi_system *system, const char *mac, bool fresh, struct ssi_err *e)
{
	unsigned n = 0;
	int r;

	if (!system->spares || (system->discovery == SSI_DISCOVERY_ASK && !fresh))
		return 0;
	if (system->discovery == SSI_DISCOVERY_BIND) {
		r = look(d, e);
		if (r < 0)
			return r;
		if (first_free(d, d->discovery, system))
			return 0;
	}
	r = state_spare_count(d->state, system->name, &n, e);
	if (r < 0 || n >= system->spares)
		return r;
	r = state_machine_set_spare(d->state, mac, true, e);
	if (r < 0)
		return r;
	events_add(d->events, "discover", "", mac, 0, "kept as a spare of system %s: it has %u of %u", system->name, n + 1, system->spares);
	return 1;
}

int discovery_place(struct daemon *d, const struct ssi_system *system, const char *mac, bool fresh, char ret_node[64], char *text, size_t n,
		    struct ssi_err *e)
{
	static const char *const becomes[] = {
		[SSI_DISCOVERY_ASK] = "waits to be bound", [SSI_DISCOVERY_SPARE] = "kept as a spare", [SSI_DISCOVERY_BIND] = "to be bound to a free node",
	};
	struct state_machine m;
	int r = state_machine_get(d->state, mac, &m, e);

	if (r < 0)
		return r;
	if (fresh)
		events_add(d->events, "discover", "", mac, 0, "a new machine in system %s: %s", system->name, becomes[system->discovery]);
	if (fresh && system->discovery == SSI_DISCOVERY_SPARE) {
		r = state_machine_set_spare(d->state, mac, true, e);
		m.spare = true;
	}
	if (r < 0)
		return r;
	if (!m.spare) {
		r = keep(d, system, mac, fresh, e);
		m.spare = r > 0;
	}
	if (r < 0)
		return r;
	if (m.spare)
		snprintf(text, n, "machine %s is kept as a spare of system %s ('ssi node set NODE machine=%s' makes it a node)", mac, system->name, mac);
	else if (system->discovery != SSI_DISCOVERY_BIND)
		snprintf(text, n, "machine %s is not bound to a node: 'ssi node set NODE machine=%s' on the master does it", mac, mac);
	else
		return bind_free(d, system, mac, ret_node, text, n, e);
	return 0;
}

/* Who loses what by the new binding. */
struct before { char mac[SSI_MAC_LEN], node[64]; };

/* 1: this is another binding than there is, and who would lose what by it is in b. */
static int look_before(struct daemon *d, const char *node, const char *mac, struct before *b, struct ssi_err *e)
{
	int r = state_machine_of(d->state, node, b->mac, e);

	if (r < 0 && r != -ENOENT)
		return r;
	if (mac ? strcmp(b->mac, mac) == 0 : !b->mac[0])
		return 0;
	r = mac ? state_node_of(d->state, mac, b->node, e) : -ENOENT;
	return r < 0 && r != -ENOENT ? r : 1;
}

/* The one place where a node changes its machine: not before it is sure that the last one does no harm any more. */
static int may_bind(struct daemon *d, const char *node, const char *mac, struct before *b, struct ssi_err *e)
{
	int r = look_before(d, node, mac, b, e), held;
	struct state_machine m;

	if (r <= 0)
		return r;
	if (mac && state_machine_get(d->state, mac, &m, NULL) == 0 && m.failed[0])
		return ssi_errf(e, -EBUSY, "machine %s has failed (%s): 'ssi machine accept %s' first", mac, m.failed, mac);
	held = failover_objection(d->failover, node, mac, e);
	if (held == 0)
		held = fence_objection(d, node, e);
	if (held == 0 && b->node[0])
		held = fence_objection(d, b->node, e);
	return held < 0 ? held : 1;
}

int discovery_may_bind(struct daemon *d, const char *node, const char *mac, struct ssi_err *e)
{
	struct before b = { 0 };
	int r = may_bind(d, node, mac, &b, e);

	return r < 0 ? r : 0;
}

static int rebind(struct daemon *d, const char *node, const char *mac, const struct before *b, struct ssi_err *e)
{
	/* What the machines that lose their node still hold opens nothing any more. */
	int r = state_boot_end_all(d->state, node, e);

	if (r == 0 && b->node[0])
		r = state_boot_end_all(d->state, b->node, e);
	if (r == 0)
		r = mac ? state_bind(d->state, node, mac, ssi_clock_wall_ms(), e) : state_unbind(d->state, node, e);
	return r < 0 ? r : 0;
}

int discovery_bind(struct daemon *d, const char *node, const char *mac, const char *why, struct ssi_err *e)
{
	struct before b = { 0 };
	int r = may_bind(d, node, mac, &b, e);   /* before anything is begun: a rollback undoes what it is within */

	if (r <= 0)
		return r;
	r = state_begin(d->state, true, e);
	if (r < 0)
		return r;
	r = rebind(d, node, mac, &b, e);
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0) {
		state_rollback(d->state);
		return r;
	}
	discovery_forget(d->discovery);
	failover_look(d->failover);
	if (b.mac[0]) {
		events_add(d->events, "unbind", node, b.mac, 0, "%s", why);
		dnsmasq_machine_changed(d->dnsmasq, b.mac);
		ssi_head_off(d->head, node, "its machine was taken from it");
	}
	if (b.node[0]) {
		events_add(d->events, "unbind", b.node, mac, 0, "%s", why);
		ssi_head_off(d->head, b.node, "its machine was taken from it");
	}
	if (mac) {
		events_add(d->events, "bind", node, mac, 0, "%s", why);
		dnsmasq_machine_changed(d->dnsmasq, mac);
	}
	if (d->images)
		images_look_soon(d->images);             /* iSCSI doors of what they booted go */
	return 1;
}
