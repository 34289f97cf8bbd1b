/* SPDX-License-Identifier: GPL-2.0-or-later */
/* load: what nodes do, as they told it in the last second. */
#include "bootsvc/control.h"
#include "bootsvc/loads.h"
#include "libssi/base/cleanup.h"

/* Asked for by name, a node that tells nothing is named too; else only those that do. */
static json_t *load_one(struct daemon *d, const struct ssi_node *n, bool named)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, n->name);
	const struct ssi_load_of *l = loads_of(d, h);
	json_t *o;

	if (!l && !named && (!h || h->state != SSI_NODE_JOINED))
		return NULL;
	o = l ? loads_json(l) : json_object();
	json_object_set_new(o, "name", json_string(n->name));
	json_object_set_new(o, "system", json_string(n->system->name));
	json_object_set_new(o, "state", json_string(h ? ssi_nodestate_name(h->state) : "off"));
	json_object_set_new(o, "hold", json_string(h ? ssi_nodehold_name(h->hold) : ""));
	return o;
}

int control_load(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	const char *range = json_string_value(json_object_get(args, "range"));
	json_t *a;
	size_t n;
	int r = control_nodes(d, range, &nodes, &n, e);

	if (r < 0)
		return r;
	a = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *o = load_one(d, nodes[i], range != NULL);

		if (o)
			json_array_append_new(a, o);
	}
	ssi_control_ok(q, a);
	return 0;
}
