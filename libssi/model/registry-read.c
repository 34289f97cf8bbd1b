/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts to sections and entries. As an entry of a [node] section comes, it is offered to every node the section names: it
 * counts if the section that counted until now names more nodes, or as many and stands earlier. So the work is linear in
 * the names written, and those are bounded.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/path.h"
#include "libssi/model/nodelist.h"
#include "libssi/model/registry-internal.h"

#define REG_NAMED_MAX (16 * REG_NODES_MAX)       /* names in all [node] sections together */

void reg_entry_error(struct reg *r, const struct reg_entry *e, const char *fmt, ...)
{
	char text[SSI_ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ssi_conf_error(&r->errors, e->section->file, e->line, "%s = %s: %s", e->key, e->value, text);
}

/* A name that is also a host's: RFC 1123, in lower case because names are compared as they are. */
static bool read_is_host(const char *s)
{
	size_t n = strlen(s);

	return n && n <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && s[0] != '-' && s[n - 1] != '-';
}

static int read_system(struct reg *r, struct ssi_conf *c, const char *name)
{
	struct reg_system *s = ssi_map_get(&r->systems, name);

	if (!ssi_path_is_name(name) || strlen(name) >= sizeof(s->pub.name)) {
		ssi_conf_mistake(c, "[system %.60s]: not a name (letters, digits and . _ + -, at most 63)", name);
		return -EINVAL;
	}
	if (!s) {
		s = ssi_arena_alloc(&r->arena, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->first = r->now;
		strcpy(s->pub.name, name);
		s->pub.from = (struct ssi_origin){ r->now->file, r->now->line, r->now->text };
		if (ssi_arena_push(&r->arena, &r->pub.systems, &r->pub.n_systems, s) < 0)
			return -ENOMEM;
		if (ssi_map_put(&r->systems, s->pub.name, s) < 0)
			r->arena.failed = true;
	}
	r->now->system = s;
	return 0;
}

static int read_machine(struct reg *r, struct ssi_conf *c, const char *name)
{
	char mac[SSI_MAC_LEN];
	struct ssi_machine *m;

	if (ssi_mac_parse(name, mac) < 0) {
		ssi_conf_mistake(c, "[machine %.60s]: not a machine's Ethernet address such as 52:54:00:00:00:01", name);
		return -EINVAL;
	}
	m = ssi_map_get(&r->machines, mac);
	if (m) {
		ssi_conf_mistake(c, "[machine %s] a second time, first in %s:%u", mac, m->from.file, m->from.line);
		return -EINVAL;
	}
	m = ssi_arena_alloc(&r->arena, sizeof(*m));
	if (!m)
		return -ENOMEM;
	strcpy(m->mac, mac);
	m->from = (struct ssi_origin){ r->now->file, r->now->line, r->now->text };
	if (ssi_arena_push(&r->arena, &r->pub.machines, &r->pub.n_machines, m) < 0)
		return -ENOMEM;
	if (ssi_map_put(&r->machines, m->mac, m) < 0)
		r->arena.failed = true;
	r->now->machine = m;
	return 0;
}

static struct reg_node *read_node(struct reg *r, const char *name)
{
	struct reg_node *n = ssi_map_get(&r->nodes, name);

	if (n)
		return n;
	n = ssi_arena_alloc(&r->arena, sizeof(*n));
	if (!n || ssi_arena_push(&r->arena, &r->pub.nodes, &r->pub.n_nodes, n) < 0)
		return NULL;
	n->first = r->now;
	strcpy(n->pub.name, name);
	n->pub.number = r->pub.n_nodes;
	n->pub.from = (struct ssi_origin){ r->now->file, r->now->line, r->now->text };
	if (ssi_map_put(&r->nodes, n->pub.name, n) < 0)
		r->arena.failed = true;
	return n;
}

static bool read_names_ok(struct reg *r, struct ssi_conf *c, const struct ssi_nodelist *l)
{
	size_t before = r->n_named;

	for (size_t i = 0; i < l->n; i++) {
		if (!read_is_host(l->names[i])) {
			ssi_conf_mistake(c, "'%s' cannot be a node's name (lower-case letters, digits and -, at most 63)", l->names[i]);
			return false;
		}
		if (!strcmp(l->names[i], "master")) {
			ssi_conf_mistake(c, "'master' is the master's own name, no node's");
			return false;
		}
	}
	r->n_named += l->n;
	if (r->n_named <= REG_NAMED_MAX)
		return true;
	if (before <= REG_NAMED_MAX)
		ssi_conf_mistake(c, "more than %d names in the [node] sections together", REG_NAMED_MAX);
	return false;
}

static int read_nodes(struct reg *r, struct ssi_conf *c, const char *range)
{
	_cleanup_nodelist_ struct ssi_nodelist *l = NULL;
	struct reg_section *s = r->now;
	struct ssi_err e = { 0 };

	if (ssi_nodelist_parse(range, &l, &e) < 0) {
		ssi_conf_mistake(c, "[node] %s", e.text);
		return -EINVAL;
	}
	if (!read_names_ok(r, c, l))
		return -EINVAL;
	s->nodes = ssi_arena_alloc(&r->arena, l->n * sizeof(*s->nodes));
	for (size_t i = 0; s->nodes && i < l->n; i++) {
		s->nodes[i] = read_node(r, l->names[i]);
		if (!s->nodes[i])
			return -ENOMEM;
	}
	s->n_nodes = s->nodes ? l->n : 0;
	return 0;
}

static int read_section(struct ssi_conf *c, const struct ssi_conf_section *table, const char *name, void *userdata)
{
	struct reg *r = userdata;
	struct reg_section *s = ssi_arena_alloc(&r->arena, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct reg_section){
		.kind = table->id, .file = r->file, .line = ssi_conf_line(c), .order = r->n_sections,
		.text = ssi_arena_printf(&r->arena, "[%s %s]", table->kind, name),
	};
	if (ssi_arena_push(&r->arena, &r->sections, &r->n_sections, s) < 0)
		return -ENOMEM;
	r->now = s;
	switch (s->kind) {
	case REG_SECTION_SYSTEM:
		return read_system(r, c, name);
	case REG_SECTION_NODE:
		return read_nodes(r, c, name);
	case REG_SECTION_MACHINE:
		return read_machine(r, c, name);
	}
	return -EINVAL;
}

static void read_offer(struct reg_section *s, enum reg_key k, const struct reg_entry *e)
{
	if (s->system)
		s->system->chosen[k] = e;
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct reg_entry *old = s->nodes[i]->chosen[k].entry;

		if (!old || s->n_nodes <= old->section->n_nodes) {
			s->nodes[i]->chosen[k].entry = e;
			s->nodes[i]->chosen[k].place = i;
		}
	}
}

static void read_keep(struct reg *r, unsigned line, enum reg_key k, const char *key, const char *value, bool refused)
{
	struct reg_entry *e = ssi_arena_alloc(&r->arena, sizeof(*e));

	if (!e)
		return;
	*e = (struct reg_entry){
		.section = r->now, .line = line, .refused = refused,
		.key = ssi_arena_strdup(&r->arena, key), .value = ssi_arena_strdup(&r->arena, value),
	};
	r->now->entries[k] = e;
	read_offer(r->now, k, e);
}

/* A machine's keys are few and not looked at here: they are kept as they are, each once. */
static void read_machine_value(struct reg *r, struct ssi_conf *c, const char *key, const char *value)
{
	struct ssi_machine *m = r->now->machine;
	struct ssi_value *bigger;

	for (size_t i = 0; i < m->n_values; i++)
		if (!strcmp(m->values[i].key, key)) {
			ssi_conf_mistake(c, "'%s' a second time in this section, first in line %u", key, m->values[i].from.line);
			return;
		}
	if ((m->n_values & (m->n_values - 1)) == 0) {
		bigger = ssi_arena_alloc(&r->arena, (m->n_values ? 2 * m->n_values : 1) * sizeof(*bigger));
		if (!bigger)
			return;
		if (m->n_values)
			memcpy(bigger, m->values, m->n_values * sizeof(*bigger));
		m->values = bigger;
	}
	m->values[m->n_values++] = (struct ssi_value){
		ssi_arena_strdup(&r->arena, key), ssi_arena_strdup(&r->arena, value),
		{ r->now->file, ssi_conf_line(c), r->now->text },
	};
}

static void read_entry(struct ssi_conf *c, const struct ssi_conf_section *table, const struct ssi_conf_key *k,
		       const char *key, const char *value, void *userdata)
{
	struct reg *r = userdata;

	if (k->id == REG_OTHER)
		read_machine_value(r, c, key, value);
	else
		read_keep(r, ssi_conf_line(c), k->id, key, value, false);
}

static void read_refused(struct ssi_conf *c, const struct ssi_conf_section *table, const struct ssi_conf_key *k, void *userdata)
{
	if (k->id != REG_OTHER)
		read_keep(userdata, ssi_conf_line(c), k->id, k->name, "", true);
}

void reg_read(struct reg *r, const struct ssi_registry_source *src)
{
	static const struct ssi_conf_ops ops = { .section = read_section, .entry = read_entry, .refused = read_refused };

	r->file = ssi_arena_strdup(&r->arena, src->name);
	if (r->file)
		ssi_conf_parse(r->file, src->text, src->len, reg_sections, &ops, r, &r->errors);
}
