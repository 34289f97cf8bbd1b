/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries to systems: their values, what must hold within one, and that no two of them meet. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/model/registry-internal.h"

/* The value of a key or its default; NULL when there is neither, or the value was refused. */
static const char *system_value(const struct reg_system *s, enum reg_key k)
{
	const struct reg_entry *e = s->chosen[k];

	if (e)
		return e->refused ? NULL : e->value;
	return reg_key_default(k);
}

static void system_error(struct reg *r, const struct reg_system *s, enum reg_key k, const char *text)
{
	if (s->chosen[k])
		reg_entry_error(r, s->chosen[k], "%s", text);
	else
		ssi_conf_error(&r->errors, s->first->file, s->first->line, "%s: its %s: %s", s->first->text, reg_key_name(k), text);
}

static void system_missing(struct reg *r, const struct reg_system *s, enum reg_key k, const char *what)
{
	if (!s->chosen[k])
		ssi_conf_error(&r->errors, s->first->file, s->first->line, "%s has no '%s': %s", s->first->text, reg_key_name(k), what);
}

static void system_choose(struct reg *r, struct reg_system *s)
{
	const char *dhcp = system_value(s, REG_DHCP), *discovery = system_value(s, REG_DISCOVERY);
	const char *interface = system_value(s, REG_INTERFACE), *fence = system_value(s, REG_FENCE);
	const char *shared = system_value(s, REG_SHARED);
	uint64_t ms = 0;

	s->pub.shared = shared ? shared : "";
	s->pub.dhcp = dhcp && !strcmp(dhcp, "proxy") ? SSI_DHCP_PROXY : SSI_DHCP_SERVER;
	if (discovery)
		s->pub.discovery = !strcmp(discovery, "bind") ? SSI_DISCOVERY_BIND :
			!strcmp(discovery, "spare") ? SSI_DISCOVERY_SPARE : SSI_DISCOVERY_ASK;
	if (fence)
		s->pub.fence = !strcmp(fence, "storage") ? SSI_FENCE_STORAGE : !strcmp(fence, "power") ? SSI_FENCE_POWER : SSI_FENCE_BOTH;
	if (interface)
		snprintf(s->pub.interface, sizeof(s->pub.interface), "%s", interface);
	if (system_value(s, REG_HEARTBEAT) && ssi_num_duration_ms(system_value(s, REG_HEARTBEAT), &ms) == 0)
		s->pub.heartbeat_ms = ms;
	if (system_value(s, REG_DETACH) && ssi_num_duration_ms(system_value(s, REG_DETACH), &ms) == 0)
		s->pub.detach_ms = ms;
	for (enum reg_key k = REG_SPARES; k <= REG_FAILOVER_SHARE; k++)
		if (system_value(s, k))
			reg_failover_take(r, &s->pub, k, system_value(s, k));
}

static void system_times(struct reg *r, const struct reg_system *s)
{
	char text[160];

	if (!s->pub.heartbeat_ms || !s->pub.detach_ms || s->pub.detach_ms >= 3 * s->pub.heartbeat_ms)
		return;
	snprintf(text, sizeof(text), "detach (%u ms) is less than 3 heartbeats (%u ms): one lost packet would detach a node",
		 s->pub.detach_ms, s->pub.heartbeat_ms);
	system_error(r, s, s->chosen[REG_DETACH] ? REG_DETACH : REG_HEARTBEAT, text);
}

/* Network, master and pool; false when one of them cannot be relied on. */
static bool system_addresses(struct reg *r, struct reg_system *s)
{
	const char *network = system_value(s, REG_NETWORK), *pool = system_value(s, REG_POOL), *portal = system_value(s, REG_PORTAL);
	uint32_t base, mask, last, master, first_in, last_in;
	char text[80];

	if (!network)
		return false;
	reg_network(network, &base, &s->pub.prefix);
	mask = reg_mask(s->pub.prefix);
	last = base | ~mask;
	s->pub.network.s_addr = htonl(base);
	s->pub.netmask.s_addr = htonl(mask);
	if (s->chosen[REG_MASTER] && s->chosen[REG_MASTER]->refused)
		return false;
	master = s->chosen[REG_MASTER] ? reg_address(s->chosen[REG_MASTER]->value) : base + 1;
	s->pub.master.s_addr = htonl(master);
	snprintf(text, sizeof(text), "lies outside the network %s", network);
	if ((master & mask) != base)
		system_error(r, s, REG_MASTER, text);
	else if (master == base || master == last)
		system_error(r, s, REG_MASTER, "the network's own address or its broadcast address");
	if (portal && *portal && reg_address(portal) == master)
		system_error(r, s, REG_PORTAL, "is the master's first address already");
	s->pub.portal.s_addr = portal && *portal ? htonl(reg_address(portal)) : 0;
	if (!pool || !*pool)
		return !s->chosen[REG_POOL] || !s->chosen[REG_POOL]->refused;
	reg_pool(pool, &first_in, &last_in);
	s->pub.pool_first.s_addr = htonl(first_in);
	s->pub.pool_last.s_addr = htonl(last_in);
	if ((first_in & mask) != base || (last_in & mask) != base)
		system_error(r, s, REG_POOL, text);
	else if (first_in == base || last_in == last)
		system_error(r, s, REG_POOL, "holds the network's own address or its broadcast address");
	if (master >= first_in && master <= last_in)
		system_error(r, s, REG_POOL, "holds the master's own address");
	return true;
}

static void system_show(struct reg *r, struct reg_system *s)
{
	static const enum reg_key order[] = {
		REG_INTERFACE, REG_NETWORK, REG_MASTER, REG_PORTAL, REG_DHCP, REG_POOL, REG_DISCOVERY, REG_HEARTBEAT, REG_DETACH, REG_FENCE, REG_SHARED,
		REG_SPARES, REG_FAILOVER, REG_FAILOVER_DELAY, REG_FAILOVER_LIMIT, REG_FAILOVER_SHARE,
		REG_IMAGE, REG_ROLE, REG_INIT, REG_ROOT, REG_ARGS,
	};
	size_t n = sizeof(order) / sizeof(*order);
	char master[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &s->pub.master, master, sizeof(master));
	s->pub.values = ssi_arena_alloc(&r->arena, n * sizeof(*s->pub.values));
	for (size_t i = 0; s->pub.values && i < n; i++) {
		enum reg_key k = order[i];
		const char *v = system_value(s, k);

		if (k == REG_MASTER && !s->chosen[k])
			v = ssi_arena_strdup(&r->arena, master);
		/* A node's key that is not set here is no value of the system. */
		if (v && (k >= REG_NODE_KEYS || s->chosen[k]))
			reg_add_value(r, s->pub.values, &s->pub.n_values, k, v, s->chosen[k]);
	}
}

static int system_by_network(const void *x, const void *y)
{
	const struct reg_system *const *a = x, *const *b = y;
	uint32_t m = reg_host((*a)->pub.network), n = reg_host((*b)->pub.network);

	if (m != n)
		return m < n ? -1 : 1;
	return (*a)->pub.prefix < (*b)->pub.prefix ? -1 : (*a)->pub.prefix > (*b)->pub.prefix;
}

/* Whoever stands later is told. */
static void systems_overlap_error(struct reg *r, const struct reg_system *a, const struct reg_system *b)
{
	const struct reg_entry *later = a->chosen[REG_NETWORK], *first = b->chosen[REG_NETWORK];

	if (first->section->order > later->section->order) {
		later = b->chosen[REG_NETWORK];
		first = a->chosen[REG_NETWORK];
	}
	reg_entry_error(r, later, "overlaps with %s of [system %s] (%s:%u)", first->value, first->section->system->pub.name,
			first->section->file, first->line);
}

/* Two networks overlap only as one within the other: sorted, those around the present one are a stack. */
static void systems_overlap(struct reg *r)
{
	size_t n = r->pub.n_systems, k = 0, depth = 0;
	struct reg_system **sorted = ssi_arena_alloc(&r->arena, (2 * n + 1) * sizeof(*sorted)), **around;

	for (size_t i = 0; sorted && i < n; i++) {
		struct reg_system *s = (struct reg_system *)r->pub.systems[i];

		if (s->pub.prefix)
			sorted[k++] = s;
	}
	if (!k)
		return;
	around = sorted + n;
	qsort(sorted, k, sizeof(*sorted), system_by_network);
	for (size_t i = 0; i < k; i++) {
		uint32_t base = reg_host(sorted[i]->pub.network);

		while (depth && (base & reg_mask(around[depth - 1]->pub.prefix)) != reg_host(around[depth - 1]->pub.network))
			depth--;
		if (depth)
			systems_overlap_error(r, sorted[i], around[depth - 1]);
		around[depth++] = sorted[i];
	}
}

static void systems_share_interface(struct reg *r)
{
	_cleanup_map_ struct ssi_map seen = { 0 };

	for (size_t i = 0; i < r->pub.n_systems; i++) {
		struct reg_system *s = (struct reg_system *)r->pub.systems[i], *other = ssi_map_get(&seen, s->pub.interface);

		if (!s->pub.interface[0])
			continue;
		if (other)
			reg_entry_error(r, s->chosen[REG_INTERFACE], "is the interface of [system %s] already (%s:%u)", other->pub.name,
					other->chosen[REG_INTERFACE]->section->file, other->chosen[REG_INTERFACE]->line);
		else if (ssi_map_put(&seen, s->pub.interface, s) < 0)
			r->arena.failed = true;
	}
}

void reg_make_systems(struct reg *r)
{
	for (size_t i = 0; i < r->pub.n_systems; i++) {
		struct reg_system *s = (struct reg_system *)r->pub.systems[i];

		system_missing(r, s, REG_INTERFACE, "the master's interface on the provisioning network");
		system_missing(r, s, REG_NETWORK, "the provisioning network, such as 10.77.0.0/24");
		system_choose(r, s);
		system_times(r, s);
		s->sound = system_addresses(r, s);
		system_show(r, s);
	}
	systems_share_interface(r);
	systems_overlap(r);
}
