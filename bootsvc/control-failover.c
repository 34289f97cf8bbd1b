/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.failover, node.move, machine.accept: what an administrator decides about nodes that lost their machine, and about machines (doc/failover.md). */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/failover.h"
#include "libssi/base/cleanup.h"

static json_t *failover_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *how)
{
	struct ssi_err why;

	return control_node_result(n->name, failover_order(d->failover, n->name, NULL, &why) < 0 ? why.text : NULL);
}

int control_node_failover(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return control_range(q, userdata, args, failover_one, NULL, e);
}

int control_node_move(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	char mac[SSI_MAC_LEN];
	size_t n;
	int r = control_nodes(d, ssi_json_str(args, "range"), &nodes, &n, e);

	if (r < 0)
		return r;
	if (n != 1)
		return ssi_errf(e, -EINVAL, "a machine plays one node: move one at a time");
	if (ssi_mac_parse(ssi_json_str(args, "machine"), mac) < 0)
		return ssi_errf(e, -EINVAL, "'%s' is no Ethernet address", ssi_json_str(args, "machine"));
	r = failover_order(d->failover, nodes[0]->name, mac, e);
	if (r == 0)
		ssi_control_ok(q, json_pack("[{s:s, s:s}]", "name", nodes[0]->name, "machine", mac));
	return r;
}

int control_machine_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	char mac[SSI_MAC_LEN];
	int r = ssi_mac_parse(ssi_json_str(args, "mac"), mac);

	if (r < 0)
		return ssi_errf(e, r, "'%s' is no Ethernet address", ssi_json_str(args, "mac"));
	r = failover_accept(d->failover, mac, e);
	if (r >= 0)
		ssi_control_ok(q, json_pack("{s:s, s:b}", "mac", mac, "changed", r > 0));
	return r < 0 ? r : 0;
}
