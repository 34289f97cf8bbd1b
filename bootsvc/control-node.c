/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.list, node.show, node.reboot, machine.list, machine.rm: what is known of nodes and machines, as JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/doors.h"
#include "bootsvc/fence.h"
#include "bootsvc/failover.h"
#include "bootsvc/inventory.h"
#include "libssi/base/cleanup.h"

static void set(json_t *o, const char *key, json_t *v)
{
	json_object_set_new(o, key, v);
}

static json_t *node_json(struct daemon *d, const struct ssi_node *n)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, n->name);
	char address[INET_ADDRSTRLEN], mac[SSI_MAC_LEN] = "";
	struct state_boot b = { 0 };
	json_t *o, *failover;

	state_machine_of(d->state, n->name, mac, NULL);
	if (h && h->incarnation)
		state_boot_get(d->state, n->name, h->incarnation, &b, NULL);
	o = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", n->name, "number", (json_int_t)n->number, "system", n->system->name,
		      "state", h ? ssi_nodestate_name(h->state) : "off", "machine", mac,
		      "address", inet_ntop(AF_INET, &n->address, address, sizeof(address)), "role", n->role, "image", n->image,
		      "generation", b.generation, "root", b.root, "init", n->init);
	explicit_bzero(&b, sizeof(b));
	if (!o || !h)
		return o;
	set(o, "incarnation", json_integer((json_int_t)h->incarnation));
	set(o, "cpus", json_integer(h->inventory.cpus));
	set(o, "memory", json_integer((json_int_t)h->inventory.memory));
	set(o, "nics", json_integer((json_int_t)h->inventory.n_nics));
	set(o, "accelerators", json_integer((json_int_t)h->inventory.n_accelerators));
	set(o, "uptime_ms", json_integer((json_int_t)h->uptime_ms));
	set(o, "since", json_integer((json_int_t)h->since_ms));
	set(o, "reason", ssi_control_text(h->reason));
	set(o, "hold", json_string(ssi_nodehold_name(h->hold)));
	failover = failover_json(d->failover, n->name);
	if (failover)
		set(o, "failover", failover);
	return o;
}

static json_t *values_json(const struct ssi_node *n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n->n_values; i++)
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:i, s:s}", "key", n->values[i].key, "value", n->values[i].value,
						   "file", n->values[i].from.file, "line", (int)n->values[i].from.line,
						   "section", n->values[i].from.section ?: ""));
	return a;
}

static void add_stage(const struct state_stage *g, void *userdata)
{
	json_array_append_new(userdata, json_pack("{s:s, s:I, s:I, s:i}", "stage", g->name, "start_ms", (json_int_t)g->start_ms,
						  "end_ms", (json_int_t)g->end_ms, "tries", (int)g->tries));
}

static json_t *show_json(struct daemon *d, const struct ssi_node *n)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, n->name);
	json_t *o = node_json(d, n), *boot = json_array(), *fence = fence_json(d, n);

	set(o, "values", values_json(n));
	if (h)
		state_stage_each(d->state, n->name, h->incarnation, add_stage, boot, NULL);
	set(o, "boot", boot);
	if (fence)
		set(o, "fence", fence);
	if (h && h->inventory.cpus)
		set(o, "inventory", inventory_json(&h->inventory));
	return o;
}

static int answer_nodes(struct ssi_control_request *q, struct daemon *d, const char *range, const char *system,
			json_t *(*one)(struct daemon *d, const struct ssi_node *n), struct ssi_err *e)
{
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	json_t *a;
	size_t n;
	int r;

	if (system && !ssi_registry_system(d->registry, system))
		return ssi_errf(e, -ENOENT, "no system %s", system);
	r = control_nodes(d, range, &nodes, &n, e);
	if (r < 0)
		return r;
	a = json_array();
	for (size_t i = 0; i < n; i++)
		if (!system || strcmp(nodes[i]->system->name, system) == 0)
			json_array_append_new(a, one(d, nodes[i]));
	ssi_control_ok(q, a);
	return 0;
}

int control_node_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return answer_nodes(q, userdata, json_string_value(json_object_get(args, "range")), json_string_value(json_object_get(args, "system")),
			    node_json, e);
}

int control_node_show(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return answer_nodes(q, userdata, ssi_json_str(args, "range"), NULL, show_json, e);
}

static json_t *reboot_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *how)
{
	int r = ssi_head_order(d->head, n->name, SSI_HEAD_REBOOT, "asked for by ssi node reboot");

	return control_node_result(n->name, r == -ENOTCONN ? "it is not joined: 'ssi node power' reaches it all the same" : r < 0 ? strerror(-r) : NULL);
}

int control_node_reboot(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return control_range(q, userdata, args, reboot_one, NULL, e);
}

static void add_machine(const struct state_machine *m, void *userdata)
{
	char address[INET_ADDRSTRLEN];
	json_t *o;

	o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "mac", m->mac, "node", m->node, "system", m->system,
						  "state", m->node[0] ? "bound" : m->failed[0] ? "failed" : m->spare ? "spare" : "waiting",
						  "first_seen", (json_int_t)m->first_seen, "last_seen", (json_int_t)m->last_seen,
						  "address", m->address.s_addr ? inet_ntop(AF_INET, &m->address, address, sizeof(address)) : "");
	set(o, "reason", ssi_control_text(m->failed));
	set(o, "failed", json_integer((json_int_t)m->failed_at));
	json_array_append_new(userdata, o);
}

int control_machine_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	json_t *a = json_array();
	int r = state_machine_each(d->state, add_machine, a, e);

	if (r < 0) {
		json_decref(a);
		return r;
	}
	ssi_control_ok(q, a);
	return 0;
}

int control_machine_rm(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	char mac[SSI_MAC_LEN];
	int r = ssi_mac_parse(ssi_json_str(args, "mac"), mac);

	if (r < 0)
		return ssi_errf(e, r, "'%s' is no Ethernet address", ssi_json_str(args, "mac"));
	r = state_machine_rm(d->state, mac, e);
	if (r == 0)                      /* it is not to come back: nobody is to be kept out */
		r = doors_open(d->doors, mac, e);
	if (r >= 0)
		ssi_control_ok(q, NULL);
	return r < 0 ? r : 0;
}
