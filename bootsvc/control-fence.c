/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.fence: nodes are fenced (fence.h), or a fence that waits for it is confirmed by hand; the answer comes when the last one is decided. */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/fence.h"
#include "libssi/base/cleanup.h"

/* What came of it, and how the node's fence stands. */
static json_t *result(struct daemon *d, const char *node, const char *error)
{
	json_t *o = control_node_result(node, error), *fence;
	const struct ssi_node *n = ssi_registry_node(d->registry, node);

	fence = n ? fence_json(d, n) : NULL;
	if (fence)
		json_object_set_new(o, "fence", fence);
	return o;
}

/* A fence under way for a request. */
struct one { struct daemon *daemon; struct control_batch *batch; };

static void done(const char *node, int err, const struct ssi_err *why, void *userdata)
{
	_cleanup_free_ struct one *o = userdata;

	control_batch_add(o->batch, result(o->daemon, node, err < 0 ? why->text : NULL));
}

static json_t *fence_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *who)
{
	struct one *o = malloc(sizeof(*o));
	struct ssi_err e;
	char why[64];

	if (!o)
		return control_node_result(n->name, strerror(ENOMEM));
	*o = (struct one) { d, b };
	snprintf(why, sizeof(why), "asked for by %s", (const char *)who);
	if (fence_start(d, n->name, why, done, o, &e) >= 0)
		return NULL;
	free(o);
	return result(d, n->name, e.text);
}

static json_t *confirm_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *who)
{
	struct ssi_err e;
	int r = fence_confirm(d, n->name, who, &e);

	return result(d, n->name, r < 0 ? e.text : NULL);
}

int control_node_fence(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	char who[48];

	snprintf(who, sizeof(who), "the user with uid %u", (unsigned)ssi_control_uid(q));
	return control_range(q, userdata, args, json_is_true(json_object_get(args, "confirm")) ? confirm_one : fence_one, who, e);
}
