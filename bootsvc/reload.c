/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Applying a registry. Called at start with none before, by the verb reload, and by node.set. A store that fails in the middle is
 * logged and leaves the daemon on the new registry: the next reload or start mends it.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include "bootsvc/discovery.h"
#include "bootsvc/dnsmasq.h"
#include "bootsvc/events.h"
#include "bootsvc/failover.h"
#include "bootsvc/images.h"
#include "bootsvc/members.h"
#include "bootsvc/policies.h"
#include "bootsvc/ra.h"
#include "bootsvc/reload.h"
#include "bootsvc/shared.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"

#define TRIM_PAST 64             /* changed nodes */

static void fix_binding(struct daemon *d, const struct ssi_node *n)
{
	const struct ssi_origin *from = config_origin(n, "machine");
	char was[96], instead[SSI_MAC_LEN] = "";
	struct ssi_err e;

	if (!n->machine[0])
		return;
	/* Since a failover another plays it, in place of just this one: nodes.d says nothing new. */
	if (state_bound_instead(d->state, n->name, instead, NULL) == 0 && strcmp(instead, n->machine) == 0)
		return;
	snprintf(was, sizeof(was), "fixed in %.72s:%u", from->file, from->line);
	if (discovery_bind(d, n->name, n->machine, was, &e) < 0)
		events_add(d->events, "bind", n->name, n->machine, 0, "not yet, though it is %s: %s", was, e.text);
}

void reload_binding(struct daemon *d, const char *node)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);

	if (n)
		fix_binding(d, n);
}

/* Its host file follows its address. */
static void follow_machine(struct daemon *d, const struct ssi_node *n)
{
	char mac[SSI_MAC_LEN];

	if (d->dnsmasq && state_machine_of(d->state, n->name, mac, NULL) == 0)
		dnsmasq_machine_changed(d->dnsmasq, mac);
}

static void take_out(struct daemon *d, const struct ssi_node *n)
{
	struct ssi_err e;

	if (discovery_bind(d, n->name, NULL, "its node is not in nodes.d any more", &e) < 0)
		log_error("binding of %s: %s", n->name, e.text);
	ssi_head_remove_node(d->head, n->name);
}

static void apply_nodes(struct daemon *d, const struct config_diff *diff)
{
	for (size_t i = 0; i < d->registry->n_systems; i++)
		members_set_system(d, d->registry->systems[i]);
	for (size_t i = 0; i < diff->n_removed; i++)
		take_out(d, diff->removed[i]);
	for (size_t i = 0; i < diff->n_added; i++)
		members_set_node(d, diff->added[i]);
	for (size_t i = 0; i < diff->n_changed; i++)
		members_set_node(d, diff->changed[i]);
	if (diff->n_added)
		members_restore(d);
	/* A new node may fix a machine that another played until now. */
	for (size_t i = 0; i < diff->n_added; i++)
		fix_binding(d, diff->added[i]);
	for (size_t i = 0; i < diff->n_changed; i++) {
		fix_binding(d, diff->changed[i]);
		follow_machine(d, diff->changed[i]);
	}
}

struct numbering { struct ssi_registry *reg; uint32_t highest; };

static void number_known(const char *node, uint32_t number, void *userdata)
{
	struct numbering *g = userdata;
	struct ssi_node *n = (struct ssi_node *)ssi_registry_node(g->reg, node);   /* ours until it is applied */

	if (n)
		n->number = number;
	g->highest = number > g->highest ? number : g->highest;
}

/* A node's number goes with its name, for good: a file that is read earlier, or a node added before others, must not move those that run. */
static int number_nodes(struct daemon *d, struct ssi_registry *fresh, struct ssi_err *e)
{
	struct numbering g = { fresh, 0 };
	int r;

	for (size_t i = 0; i < fresh->n_nodes; i++)
		fresh->nodes[i]->number = 0;
	r = state_number_each(d->state, number_known, &g, e);
	for (size_t i = 0; r == 0 && i < fresh->n_nodes; i++)
		if (!fresh->nodes[i]->number) {
			fresh->nodes[i]->number = ++g.highest;
			r = state_number_put(d->state, fresh->nodes[i]->name, g.highest, e);
		}
	return r;
}

/* Takes over fresh. */
static int apply(struct daemon *d, struct ssi_registry *fresh, struct reload_stats *ret, struct ssi_err *e)
{
	_cleanup_registry_ struct ssi_registry *old = NULL;
	SSI_CLEANUP(config_diff_free) struct config_diff diff = { 0 };
	int r = config_compare(d->registry, fresh, &diff);

	if (r == 0)
		r = state_begin(d->state, true, e);
	if (r == 0)
		r = number_nodes(d, fresh, e);
	if (r < 0) {
		state_rollback(d->state);
		ssi_registry_free(fresh);
		return r;
	}
	old = d->registry;
	d->registry = fresh;
	discovery_forget(d->discovery);
	apply_nodes(d, &diff);
	r = state_commit(d->state, e);
	if (r < 0)
		log_error("%s", e->text);
	dnsmasq_registry_changed(d->dnsmasq);
	ra_registry_changed(d->ra);
	failover_registry_changed(d->failover);
	if (d->images)
		images_look_soon(d->images);
	*ret = (struct reload_stats) { diff.n_added, diff.n_removed, diff.n_changed, 0 };
	return 0;
}

int reload_run(struct daemon *d, struct reload_stats *ret, struct ssi_buf *errors)
{
	uint64_t began = ssi_clock_mono_ms();
	struct ssi_registry *fresh = NULL;
	struct ssi_err e = { 0 };
	int r = config_read(d->opt->config, NULL, &fresh, errors);

	if (r < 0)
		return r;
	/* At the start it is said and waited for instead: a disk that is not there must not keep all nodes from booting. */
	r = shared_look(fresh, errors);
	if (r < 0 && d->registry) {
		ssi_registry_free(fresh);
		return r;
	}
	if (r < 0)
		log_error("%snodes of these systems wait until it is there and 'ssi-bootsvc reload' was run", errors->data);
	/* Before anything is changed: their mistakes are no less mistakes. At the start they are read later. */
	r = d->policies ? policies_reload(d->policies, errors) : 0;
	if (r < 0) {
		ssi_registry_free(fresh);
		return r;
	}
	r = apply(d, fresh, ret, &e);
	if (r < 0) {
		ssi_buf_addf(errors, "%s\n", e.text[0] ? e.text : strerror(-r));
		return r;
	}
	/* The registry before may have been large: its memory goes back, so that a master idles small. */
	if (ret->added + ret->removed + ret->changed > TRIM_PAST)
		malloc_trim(0);
	ret->ms = ssi_clock_mono_ms() - began;
	return 0;
}

int reload_try(struct daemon *d, const struct config_draft *drafts, struct ssi_registry **ret, struct ssi_buf *errors)
{
	return config_read(d->opt->config, drafts, ret, errors);
}
