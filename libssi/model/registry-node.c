/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries to nodes: which system each belongs to, and its values from range and system. Addresses come after (registry-address.c). */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/suggest.h"
#include "libssi/model/nodelist.h"
#include "libssi/model/registry-internal.h"

#define NODE_SUGGESTIONS 256

void reg_names_add(struct reg *r, struct reg_names *l, const struct reg_node *n)
{
	ssi_arena_push(&r->arena, &l->names, &l->n, n->pub.name);
}

const char *reg_names_text(struct reg *r, const struct reg_names *l)
{
	_cleanup_free_ char *s = ssi_nodelist_format(l->names, l->n);
	char *kept = s ? ssi_arena_strdup(&r->arena, s) : NULL;

	if (!kept)
		r->arena.failed = true;
	return kept ? kept : "";
}

void reg_add_value(struct reg *r, struct ssi_value *values, size_t *n, enum reg_key k, const char *value, const struct reg_entry *from)
{
	struct ssi_value *v = &values[(*n)++];

	v->key = reg_key_name(k);
	v->value = value;
	v->from = from ? (struct ssi_origin){ from->section->file, from->line, from->section->text } : (struct ssi_origin){ "default", 0, "" };
}

const struct reg_entry *reg_node_entry(const struct reg_node *n, enum reg_key k)
{
	const struct reg_system *s = (const struct reg_system *)n->pub.system;

	if (n->chosen[k].entry || !s)
		return n->chosen[k].entry;
	return s->chosen[k];
}

/* "system = NAME" once for each section, not for each of its nodes. */
static void nodes_name_systems(struct reg *r)
{
	const char *names[NODE_SUGGESTIONS];
	size_t n = 0;

	for (size_t i = 0; i < r->pub.n_systems && n < NODE_SUGGESTIONS; i++)
		names[n++] = r->pub.systems[i]->name;
	for (size_t i = 0; i < r->n_sections; i++) {
		struct reg_entry *e = r->sections[i]->entries[REG_SYSTEM];
		const char *meant;

		if (!e || e->refused || ssi_map_get(&r->systems, e->value))
			continue;
		meant = ssi_suggest(e->value, names, n);
		if (meant)
			reg_entry_error(r, e, "there is no [system %s]: did you mean '%s'?", e->value, meant);
		else
			reg_entry_error(r, e, "there is no [system %s]", e->value);
		e->refused = true;
	}
}

static void node_find_system(struct reg *r, struct reg_node *n)
{
	const struct reg_entry *e = n->chosen[REG_SYSTEM].entry;

	if (e && !e->refused)
		n->pub.system = ssi_map_get(&r->systems, e->value);
	else if (!e && r->pub.n_systems == 1)
		n->pub.system = r->pub.systems[0];
}

/* The value of a key or its default; NULL when there is neither, or the value was refused. */
static const char *node_value(const struct reg_node *n, enum reg_key k)
{
	const struct reg_entry *e = reg_node_entry(n, k);

	if (e)
		return e->refused ? NULL : e->value;
	return reg_key_default(k);
}

/* Into a field that was made for every value the key's check lets through. */
static void node_take(const struct reg_node *n, enum reg_key k, char *ret, size_t size)
{
	const char *v = node_value(n, k);

	if (v)
		snprintf(ret, size, "%s", v);
}

static void node_address(struct reg_node *n)
{
	const struct reg_entry *e = n->chosen[REG_ADDRESS].entry;

	/* Past the last address it wraps; registry-address.c has seen to that before anyone uses it. */
	if (e && !e->refused)
		n->pub.address.s_addr = htonl(reg_address(e->value) + n->chosen[REG_ADDRESS].place);
}

static void node_show(struct reg *r, struct reg_node *n)
{
	char address[INET_ADDRSTRLEN] = "";

	n->pub.values = ssi_arena_alloc(&r->arena, REG_NODE_KEYS * sizeof(*n->pub.values));
	for (enum reg_key k = 0; n->pub.values && k < REG_NODE_KEYS; k++) {
		const char *v = node_value(n, k);

		if (k == REG_SYSTEM && n->pub.system)
			v = n->pub.system->name;
		if (k == REG_ADDRESS && v)
			v = ssi_arena_strdup(&r->arena, inet_ntop(AF_INET, &n->pub.address, address, sizeof(address)));
		if (k == REG_MACHINE && v)
			v = n->pub.machine;
		if (v)
			reg_add_value(r, n->pub.values, &n->pub.n_values, k, v, reg_node_entry(n, k));
	}
}

static void node_state(struct reg_node *n)
{
	const char *state = node_value(n, REG_STATE), *size = node_value(n, REG_STATE_SIZE), *upgrade = node_value(n, REG_STATE_ON_UPGRADE);

	n->pub.state = state && strcmp(state, "disk") == 0;
	if (size)
		ssi_num_size(size, &n->pub.state_size);
	node_take(n, REG_STATE_FS, n->pub.state_fs, sizeof(n->pub.state_fs));
	if (upgrade)
		n->pub.state_on_upgrade = strcmp(upgrade, "keep") == 0 ? SSI_UPGRADE_KEEP : strcmp(upgrade, "fresh") == 0 ? SSI_UPGRADE_FRESH : SSI_UPGRADE_ASK;
}

static void node_make(struct reg *r, struct reg_node *n)
{
	const char *machine;

	node_find_system(r, n);
	node_address(n);
	node_take(n, REG_IMAGE, n->pub.image, sizeof(n->pub.image));
	node_take(n, REG_ROLE, n->pub.role, sizeof(n->pub.role));
	node_take(n, REG_INIT, n->pub.init, sizeof(n->pub.init));
	node_take(n, REG_ROOT, n->pub.root, sizeof(n->pub.root));
	node_state(n);
	n->pub.args = node_value(n, REG_ARGS);
	machine = node_value(n, REG_MACHINE);
	if (machine && *machine)
		ssi_mac_parse(machine, n->pub.machine);
	node_show(r, n);
}

/* Nodes without a value they need, named by the section that made them. */
static void nodes_missing(struct reg *r, const struct reg_section *s, enum reg_key k, const char *what)
{
	struct reg_names l = { 0 };

	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct reg_node *n = s->nodes[i];

		if (n->first != s || reg_node_entry(n, k))
			continue;
		/* What a system would have given is not missed where the system is. */
		if (k == REG_SYSTEM ? !n->pub.system : k == REG_ADDRESS || n->pub.system)
			reg_names_add(r, &l, n);
	}
	if (l.n)
		ssi_conf_error(&r->errors, s->file, s->line, "%.200s: %s", reg_names_text(r, &l), what);
}

void reg_make_nodes(struct reg *r)
{
	nodes_name_systems(r);
	for (size_t i = 0; i < r->pub.n_nodes; i++)
		node_make(r, (struct reg_node *)r->pub.nodes[i]);
	for (size_t i = 0; i < r->n_sections; i++) {
		nodes_missing(r, r->sections[i], REG_SYSTEM, r->pub.n_systems ? "there are several systems: say which with 'system = NAME'" :
			      "there is no [system] for them");
		nodes_missing(r, r->sections[i], REG_ADDRESS, "no address: write 'address = A.B.C.D' (of the first)");
		nodes_missing(r, r->sections[i], REG_IMAGE, "no image: write 'image = NAME' here or in [system]");
	}
}
