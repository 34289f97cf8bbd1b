/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node.drain, node.detach, node.accept: what an administrator decides about nodes (doc/states.md). The decisions of one request are stored together, before
 * any of them counts.
 */
#include <errno.h>
#include "bootsvc/control.h"
#include "bootsvc/events.h"
#include "bootsvc/images.h"
#include "libssi/base/cleanup.h"

static enum ssi_nodehold hold_of(struct daemon *d, const struct ssi_node *n)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, n->name);

	return h ? h->hold : SSI_HOLD_NONE;
}

/* Why it cannot be so, or NULL. */
static const char *hold_objection(enum ssi_nodehold from, enum ssi_nodehold to)
{
	return from == SSI_HOLD_OUT && to == SSI_HOLD_DRAINED ? "it is detached: 'ssi node accept' lets it in again" : NULL;
}

static bool hold_changes(struct daemon *d, const struct ssi_node *n, enum ssi_nodehold to)
{
	enum ssi_nodehold from = hold_of(d, n);

	return from != to && !hold_objection(from, to);
}

/* What a detached node's machine holds opens nothing any more, also not after a restart of the daemon. */
static int hold_store(struct daemon *d, const struct ssi_node **nodes, size_t n, enum ssi_nodehold to, struct ssi_err *e)
{
	int r = state_begin(d->state, true, e);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (!hold_changes(d, nodes[i], to))
			continue;
		r = state_node_hold(d->state, nodes[i]->name, ssi_nodehold_name(to), e);
		if (r == 0 && to == SSI_HOLD_OUT)
			r = state_boot_end_all(d->state, nodes[i]->name, e);
	}
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0)
		state_rollback(d->state);
	return r;
}

static void hold_apply(struct daemon *d, const char *name, enum ssi_nodehold from, enum ssi_nodehold to)
{
	ssi_head_set_hold(d->head, name, to);
	if (to == SSI_HOLD_OUT) {
		ssi_head_detach(d->head, name, "taken out by hand");
		images_look_soon(d->images);             /* its iSCSI door goes */
		return;
	}
	events_add(d->events, to == SSI_HOLD_DRAINED ? "drain" : "accept", name, "", 0, "%s",
		   to == SSI_HOLD_DRAINED ? "nothing new is placed there" : from == SSI_HOLD_OUT ? "may boot again" : "is drained no more");
	if (from == SSI_HOLD_OUT)
		ssi_head_accept(d->head, name);
}

static json_t *hold_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *how)
{
	enum ssi_nodehold from = hold_of(d, n), to = *(const enum ssi_nodehold *)how;
	const char *objection = hold_objection(from, to);
	json_t *o = control_node_result(n->name, objection);

	if (objection)
		return o;
	if (from != to)
		hold_apply(d, n->name, from, to);
	json_object_set_new(o, "changed", json_boolean(from != to));
	return o;
}

static int hold(struct ssi_control_request *q, const json_t *args, struct daemon *d, enum ssi_nodehold to, struct ssi_err *e)
{
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	size_t n;
	int r = control_nodes(d, ssi_json_str(args, "range"), &nodes, &n, e);

	if (r == 0)
		r = hold_store(d, nodes, n, to, e);
	return r < 0 ? r : control_each(q, d, nodes, n, hold_one, &to, e);
}

int control_node_drain(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return hold(q, args, userdata, SSI_HOLD_DRAINED, e);
}

int control_node_detach(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return hold(q, args, userdata, SSI_HOLD_OUT, e);
}

int control_node_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return hold(q, args, userdata, SSI_HOLD_NONE, e);
}
