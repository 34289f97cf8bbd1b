/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has which address and which machine: that each has one of its own, and one it can have. */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include "libssi/model/registry-internal.h"

enum address_fault { ADDRESS_OUTSIDE, ADDRESS_EDGE, ADDRESS_MASTER, ADDRESS_POOL, ADDRESS_FAULTS };

static const char *const address_says[ADDRESS_FAULTS] = {
	[ADDRESS_OUTSIDE] = "lie outside the network", [ADDRESS_EDGE] = "have the first or last address (network, broadcast) of",
	[ADDRESS_MASTER] = "have the master's own address in", [ADDRESS_POOL] = "have an address of the pool in",
};

static enum address_fault address_fault(const struct ssi_system *s, uint64_t a)
{
	uint32_t base = reg_host(s->network), last = base | ~reg_host(s->netmask);

	if (a < base || a > last)
		return ADDRESS_OUTSIDE;
	if (a == base || a == last)
		return ADDRESS_EDGE;
	if (a == reg_host(s->master))
		return ADDRESS_MASTER;
	if (s->pool_first.s_addr && a >= reg_host(s->pool_first) && a <= reg_host(s->pool_last))
		return ADDRESS_POOL;
	return ADDRESS_FAULTS;
}

/* One "address =" and all nodes that count from it. They may be of several systems. */
static void address_check_entry(struct reg *r, const struct reg_section *s, const struct reg_entry *e)
{
	struct reg_names faulty[ADDRESS_FAULTS] = { 0 };
	const struct ssi_system *system[ADDRESS_FAULTS] = { 0 };
	uint32_t first = reg_address(e->value);
	char network[INET_ADDRSTRLEN];

	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct reg_node *n = s->nodes[i];
		enum address_fault f;

		if (n->chosen[REG_ADDRESS].entry != e || !n->pub.system || !((const struct reg_system *)n->pub.system)->sound)
			continue;
		f = address_fault(n->pub.system, (uint64_t)first + i);
		if (f < ADDRESS_FAULTS) {
			reg_names_add(r, &faulty[f], n);
			system[f] = n->pub.system;
		}
	}
	for (int f = 0; f < ADDRESS_FAULTS; f++)
		if (faulty[f].n)
			reg_entry_error(r, e, "%.200s would %s %s/%u", reg_names_text(r, &faulty[f]), address_says[f],
					inet_ntop(AF_INET, &system[f]->network, network, sizeof(network)), system[f]->prefix);
}

static int address_compare(const void *x, const void *y)
{
	const struct reg_node *const *a = x, *const *b = y;
	uint32_t m = reg_host((*a)->pub.address), n = reg_host((*b)->pub.address);

	if (m != n)
		return m < n ? -1 : 1;
	return (*a)->pub.number < (*b)->pub.number ? -1 : (*a)->pub.number > (*b)->pub.number;
}

/* Nodes of one entry that have the addresses of nodes of another, gathered while they lie side by side. */
struct address_clash {
	const struct reg_entry *entry, *other;
	struct reg_names nodes, others;
};

static void clash_report(struct reg *r, struct address_clash *c)
{
	if (c->nodes.n)
		reg_entry_error(r, c->entry, "%.150s would have the address of %.150s (%s:%u)", reg_names_text(r, &c->nodes),
				reg_names_text(r, &c->others), c->other->section->file, c->other->line);
	*c = (struct address_clash){ 0 };
}

static void address_check_clashes(struct reg *r)
{
	struct reg_node **sorted = ssi_arena_alloc(&r->arena, (r->pub.n_nodes + 1) * sizeof(*sorted));
	struct address_clash c = { 0 };
	size_t n = 0, owner = 0;

	for (size_t i = 0; sorted && i < r->pub.n_nodes; i++)
		if (r->pub.nodes[i]->address.s_addr && r->pub.nodes[i]->system)
			sorted[n++] = (struct reg_node *)r->pub.nodes[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted), address_compare);
	for (size_t i = 1; i < n; i++) {
		const struct reg_entry *e = sorted[i]->chosen[REG_ADDRESS].entry, *other;

		if (sorted[i]->pub.address.s_addr != sorted[owner]->pub.address.s_addr) {
			owner = i;
			continue;
		}
		other = sorted[owner]->chosen[REG_ADDRESS].entry;
		if (e != c.entry || other != c.other)
			clash_report(r, &c);
		c.entry = e;
		c.other = other;
		reg_names_add(r, &c.nodes, sorted[i]);
		reg_names_add(r, &c.others, sorted[owner]);
	}
	clash_report(r, &c);
}

void reg_check_addresses(struct reg *r)
{
	for (size_t i = 0; i < r->n_sections; i++) {
		const struct reg_section *s = r->sections[i];
		const struct reg_entry *e = s->entries[REG_ADDRESS];

		if (s->n_nodes && e && !e->refused)
			address_check_entry(r, s, e);
	}
	address_check_clashes(r);
}

void reg_check_machines(struct reg *r)
{
	_cleanup_map_ struct ssi_map seen = { 0 };

	for (size_t i = 0; i < r->n_sections; i++) {
		struct reg_entry *e = r->sections[i]->entries[REG_MACHINE];

		if (e && !e->refused && *e->value && r->sections[i]->n_nodes > 1) {
			reg_entry_error(r, e, "in a section of %zu nodes, but a machine plays one node", r->sections[i]->n_nodes);
			e->refused = true;
		}
	}
	for (size_t i = 0; i < r->pub.n_nodes; i++) {
		struct reg_node *n = (struct reg_node *)r->pub.nodes[i], *other;
		const struct reg_entry *e = n->chosen[REG_MACHINE].entry;

		if (!n->pub.machine[0] || e->refused)
			continue;
		other = ssi_map_get(&seen, n->pub.machine);
		if (other)
			reg_entry_error(r, e, "is fixed to %s already (%s:%u)", other->pub.name,
					other->chosen[REG_MACHINE].entry->section->file, other->chosen[REG_MACHINE].entry->line);
		else if (ssi_map_put(&seen, n->pub.machine, n) < 0)
			r->arena.failed = true;
	}
}
