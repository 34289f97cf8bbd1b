/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry: made from texts in the steps that registry-internal.h lists, or refused with every mistake; then looked up.
 * Called by bootsvc at start and reload, and by whoever checks nodes.d. A made one never changes.
 */
#include <errno.h>
#include <string.h>
#include "libssi/model/registry-internal.h"

static void reg_free(struct reg *r)
{
	ssi_map_free(&r->systems);
	ssi_map_free(&r->nodes);
	ssi_map_free(&r->machines);
	ssi_arena_free(&r->arena);
	free(r);
}

void ssi_registry_free(struct ssi_registry *r)
{
	if (r)
		reg_free(r->priv);
}

int ssi_registry_parse(const struct ssi_registry_source *src, size_t n, struct ssi_registry **ret, struct ssi_buf *errors)
{
	struct reg *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->pub.priv = r;
	r->errors.to = errors;
	for (size_t i = 0; i < n; i++)
		reg_read(r, &src[i]);
	if (r->pub.n_nodes > REG_NODES_MAX)
		ssi_conf_error(&r->errors, r->file, 0, "%zu nodes so far: at most %d can be", r->pub.n_nodes, REG_NODES_MAX);
	reg_make_systems(r);
	reg_make_nodes(r);
	reg_check_addresses(r);
	reg_check_machines(r);
	reg_check_spare_machines(r);
	err = ssi_conf_errors_end(&r->errors);
	if (r->arena.failed)
		err = -ENOMEM;
	if (err < 0) {
		reg_free(r);
		return err;
	}
	*ret = &r->pub;
	return 0;
}

static const struct reg *reg_of(const struct ssi_registry *r)
{
	return r->priv;
}

const struct ssi_node *ssi_registry_node(const struct ssi_registry *r, const char *name)
{
	const struct reg_node *n = ssi_map_get(&reg_of(r)->nodes, name);

	return n ? &n->pub : NULL;
}

const struct ssi_system *ssi_registry_system(const struct ssi_registry *r, const char *name)
{
	const struct reg_system *s = ssi_map_get(&reg_of(r)->systems, name);

	return s ? &s->pub : NULL;
}

const struct ssi_machine *ssi_registry_machine(const struct ssi_registry *r, const char *mac)
{
	return ssi_map_get(&reg_of(r)->machines, mac);
}

const char *ssi_machine_value(const struct ssi_machine *m, const char *key)
{
	for (size_t i = 0; i < m->n_values; i++)
		if (!strcmp(m->values[i].key, key))
			return m->values[i].value;
	return NULL;
}

bool ssi_node_equal(const struct ssi_node *a, const struct ssi_node *b)
{
	const struct ssi_system *s = a->system, *t = b->system;

	return !strcmp(a->name, b->name) && a->address.s_addr == b->address.s_addr && !strcmp(a->role, b->role) &&
		!strcmp(a->image, b->image) && !strcmp(a->init, b->init) && !strcmp(a->root, b->root) &&
		a->state == b->state && a->state_size == b->state_size && !strcmp(a->state_fs, b->state_fs) && a->state_on_upgrade == b->state_on_upgrade &&
		!strcmp(a->args, b->args) && !strcmp(a->machine, b->machine) && !strcmp(s->name, t->name) &&
		s->network.s_addr == t->network.s_addr && s->prefix == t->prefix && s->master.s_addr == t->master.s_addr;
}
