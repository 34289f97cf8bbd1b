/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about several nodes: each node has a result of its own, at once or later, and the answer goes out with the last of them. */
#include <errno.h>
#include "bootsvc/control.h"
#include "libssi/base/cleanup.h"

/* It outlives a client that went away: fences and fence agents go on. */
struct control_batch {
	struct ssi_control_request *request;     /* NULL: the client is gone */
	json_t *results;
	size_t left, failed;
};

static void batch_left(struct control_batch *b)
{
	if (--b->left)
		return;
	if (!b->request)
		json_decref(b->results);
	else if (b->failed)
		ssi_control_partial(b->request, b->results, b->failed);
	else
		ssi_control_ok(b->request, b->results);
	free(b);
}

static void gone(struct ssi_control_request *q, void *userdata)
{
	struct control_batch *b = userdata;

	b->request = NULL;
}

void control_batch_add(struct control_batch *b, json_t *result)
{
	b->failed += json_object_get(result, "error") != NULL;
	json_array_append_new(b->results, result);
	batch_left(b);
}

int control_each(struct ssi_control_request *q, struct daemon *d, const struct ssi_node **nodes, size_t n, control_one one, const void *how,
		 struct ssi_err *e)
{
	struct control_batch *b = malloc(sizeof(*b));

	if (!b)
		return ssi_errno(e, -ENOMEM, "nodes");
	*b = (struct control_batch) { q, json_array(), n + 1, 0 };       /* the loop's own share ends last */
	ssi_control_watch(q, NULL, gone, b);
	for (size_t i = 0; i < n; i++) {
		json_t *result = one(d, nodes[i], b, how);

		if (result)
			control_batch_add(b, result);
	}
	batch_left(b);
	return 0;
}

int control_range(struct ssi_control_request *q, struct daemon *d, const json_t *args, control_one one, const void *how, struct ssi_err *e)
{
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	size_t n;
	int r = control_nodes(d, ssi_json_str(args, "range"), &nodes, &n, e);

	return r < 0 ? r : control_each(q, d, nodes, n, one, how, e);
}
