/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.power: the machines of some nodes, by their fence agents (power.h); the answer comes when the last one is done. */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/events.h"
#include "bootsvc/failover.h"
#include "libssi/base/cleanup.h"

/* An agent under way for a request. */
struct one { struct daemon *daemon; struct control_batch *batch; char node[64]; };

static json_t *result(const char *node, const char *mac, const char *power, const char *error)
{
	json_t *o = control_node_result(node, error);

	json_object_set_new(o, "machine", json_string(mac));
	if (power)
		json_object_set_new(o, "power", json_string(power));
	return o;
}

/* An agent takes its time: the node may have got another machine meanwhile, and that one runs. */
static bool still_plays(struct daemon *d, const char *node, const char *mac)
{
	char now[SSI_MAC_LEN];

	return state_machine_of(d->state, node, now, NULL) == 0 && strcmp(now, mac) == 0;
}

/* Also one that fell silent, and was detached for it, while its power went off: nothing is wrong with it. */
static void went_off(struct daemon *d, const char *node)
{
	const struct ssi_head_node *h;

	ssi_head_off(d->head, node, "powered off");
	h = ssi_head_node(d->head, node);
	if (h && h->state == SSI_NODE_DETACHED && h->hold != SSI_HOLD_OUT)
		ssi_head_accept(d->head, node);
}

static void done(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	_cleanup_free_ struct one *o = userdata;
	struct daemon *d = o->daemon;

	if (a != SSI_POWER_STATUS)
		events_add(d->events, "power", o->node, mac, 0, "%s%s%s", ssi_power_name(a), err < 0 ? " failed: " : ": done", err < 0 ? why->text : "");
	if (err < 0 && (a == SSI_POWER_OFF || a == SSI_POWER_CYCLE))
		failover_by_hand(d->failover, o->node, true);
	if (err == 0 && a == SSI_POWER_OFF && still_plays(d, o->node, mac))
		went_off(d, o->node);
	control_batch_add(o->batch, result(o->node, mac, err < 0 ? NULL : state < 0 ? "unknown" : state ? "on" : "off", err < 0 ? why->text : NULL));
}

static int start(struct daemon *d, const struct ssi_node *n, enum ssi_power_action a, struct control_batch *b, char mac[SSI_MAC_LEN], struct ssi_err *e)
{
	const struct ssi_machine *m;
	struct one *o;
	int r = state_machine_of(d->state, n->name, mac, e);

	if (r == -ENOENT)
		return ssi_errf(e, r, "no machine plays %s", n->name);
	if (r < 0)
		return r;
	m = ssi_registry_machine(d->registry, mac);
	if (!m)
		return ssi_errf(e, -ENOENT, "nodes.d has no section [machine %s] that says how to switch it", mac);
	o = calloc(1, sizeof(*o));
	if (!o)
		return ssi_errno(e, -ENOMEM, "%s", n->name);
	*o = (struct one) { .daemon = d, .batch = b };
	strcpy(o->node, n->name);
	r = ssi_power_start(d->power, m, a, done, o, e);
	if (r >= 0 && (a == SSI_POWER_OFF || a == SSI_POWER_CYCLE))
		failover_by_hand(d->failover, n->name, false);
	if (r < 0)
		free(o);
	return r;
}

static json_t *power_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *how)
{
	char mac[SSI_MAC_LEN] = "";
	struct ssi_err e;

	return start(d, n, *(const enum ssi_power_action *)how, b, mac, &e) < 0 ? result(n->name, mac, NULL, e.text) : NULL;
}

int control_node_power(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	const char *name = ssi_json_str(args, "action");
	int parsed = ssi_power_parse(name);
	enum ssi_power_action action = (enum ssi_power_action)parsed;

	if (parsed < 0)
		return ssi_errf(e, -EINVAL, "'%s' is no power action: on, off, cycle or status", name);
	return control_range(q, userdata, args, power_one, &action, e);
}
