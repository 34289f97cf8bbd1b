/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.power: the machines of some nodes, by their fence agents (power.h); the answer comes when the last one is done. */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"

/* One request. It outlives a client that went away, because agents go on. */
struct batch {
	struct daemon *daemon;
	struct ssi_control_request *request;     /* NULL: the client is gone */
	json_t *answer;
	size_t left, failed;
};
struct one { struct batch *batch; char node[64]; };

static void batch_end(struct batch *b)
{
	if (b->left)
		return;
	if (!b->request)
		json_decref(b->answer);
	else if (b->failed)
		ssi_control_partial(b->request, b->answer, b->failed);
	else
		ssi_control_ok(b->request, b->answer);
	free(b);
}

static void batch_add(struct batch *b, const char *node, const char *mac, const char *power, const char *error)
{
	json_t *o = control_node_result(node, error);

	json_object_set_new(o, "machine", json_string(mac));
	if (power)
		json_object_set_new(o, "power", json_string(power));
	b->failed += error != NULL;
	json_array_append_new(b->answer, o);
}

/* An agent takes its time: the node may have got another machine meanwhile, and that one runs. */
static bool still_plays(struct daemon *d, const char *node, const char *mac)
{
	char now[SSI_MAC_LEN];

	return state_machine_of(d->state, node, now, NULL) == 0 && strcmp(now, mac) == 0;
}

static void done(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	struct one *o = userdata;
	struct batch *b = o->batch;

	batch_add(b, o->node, mac, err < 0 ? NULL : state < 0 ? "unknown" : state ? "on" : "off", err < 0 ? why->text : NULL);
	if (a != SSI_POWER_STATUS)
		events_add(b->daemon->events, "power", o->node, mac, 0, "%s%s%s", ssi_power_name(a), err < 0 ? " failed: " : ": done",
			   err < 0 ? why->text : "");
	if (err == 0 && a == SSI_POWER_OFF && still_plays(b->daemon, o->node, mac))
		ssi_head_off(b->daemon->head, o->node, "powered off");
	free(o);
	b->left--;
	batch_end(b);
}

static void gone(struct ssi_control_request *q, void *userdata)
{
	struct batch *b = userdata;

	b->request = NULL;
}

static int start_one(struct batch *b, const struct ssi_node *n, enum ssi_power_action a, char mac[SSI_MAC_LEN], struct ssi_err *e)
{
	const struct ssi_machine *m;
	struct one *o;
	int r = state_machine_of(b->daemon->state, n->name, mac, e);

	if (r == -ENOENT)
		return ssi_errf(e, r, "no machine plays %s", n->name);
	if (r < 0)
		return r;
	m = ssi_registry_machine(b->daemon->registry, mac);
	if (!m)
		return ssi_errf(e, -ENOENT, "nodes.d has no section [machine %s] that says how to switch it", mac);
	o = calloc(1, sizeof(*o));
	if (!o)
		return ssi_errno(e, -ENOMEM, "%s", n->name);
	o->batch = b;
	strcpy(o->node, n->name);
	r = ssi_power_start(b->daemon->power, m, a, done, o, e);
	if (r < 0)
		free(o);
	return r;
}

int control_node_power(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	int action = ssi_power_parse(ssi_json_str(args, "action")), r;
	struct batch *b;
	size_t n;

	if (action < 0)
		return ssi_errf(e, -EINVAL, "'%s' is no power action: on, off, cycle or status", ssi_json_str(args, "action"));
	r = control_nodes(userdata, ssi_json_str(args, "range"), &nodes, &n, e);
	if (r < 0)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return ssi_errno(e, -ENOMEM, "power");
	*b = (struct batch) { userdata, q, json_array(), n, 0 };
	for (size_t i = 0; i < n; i++) {
		char mac[SSI_MAC_LEN] = "";

		if (start_one(b, nodes[i], (enum ssi_power_action)action, mac, e) < 0) {
			batch_add(b, nodes[i]->name, mac, NULL, e->text);
			b->left--;
		}
	}
	if (b->left)
		ssi_control_watch(q, NULL, gone, b);
	else
		batch_end(b);
	return 0;
}
