/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.state.*: state volumes and their snapshots. What takes time tells how far it is every second, and goes on when the client goes away. */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/volumes.h"
#include "libssi/base/cleanup.h"

#define PROGRESS_US (1000ull * 1000)

/* ---- looking ---- */

static void add_snapshot(const struct state_snapshot *p, void *userdata)
{
	json_array_append_new(userdata, json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:s}", "name", p->name, "time", (json_int_t)p->time,
						  "size", (json_int_t)p->size, "fs", p->fs, "image", p->image, "generation", p->generation, "incarnation",
						  (json_int_t)p->incarnation, "how", p->how, "why", p->why));
}

struct used { struct daemon *d; uint64_t bytes; json_t *list; size_t i; };

static void add_used(const struct state_snapshot *p, void *userdata)
{
	struct used *u = userdata;
	uint64_t bytes = volumes_snapshot_used(u->d, p);

	u->bytes += bytes;
	json_object_set_new(json_array_get(u->list, u->i++), "used", json_integer((json_int_t)bytes));
}

static json_t *snapshots_json(struct daemon *d, const char *node)
{
	json_t *list = json_array();
	struct used u = { .d = d, .list = list };

	state_snapshot_each(d->state, node, add_snapshot, list, NULL);
	state_snapshot_each(d->state, node, add_used, &u, NULL);
	return list;
}

static json_t *volume_json(struct daemon *d, const struct state_volume *row)
{
	struct volume_status s;
	json_t *o;

	volumes_status(d, row, &s);
	o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:s}", "name", row->node, "system", row->system, "state", s.state, "fs", row->fs,
		      "size", (json_int_t)row->size, "used", (json_int_t)s.used, "uuid", row->uuid, "image", row->image, "generation", row->generation,
		      "incarnation", (json_int_t)row->incarnation, "made", (json_int_t)row->made, "decision", row->decision);
	if (row->decided_for[0])
		json_object_set_new(o, "decided_for", json_string(row->decided_for));
	if (s.text[0])
		json_object_set_new(o, "text", ssi_control_text(s.text));
	if (s.to_copy)
		json_object_update_new(o, json_pack("{s:I, s:I}", "copied", (json_int_t)s.copied, "to_copy", (json_int_t)s.to_copy));
	json_object_set_new(o, "snapshots", snapshots_json(d, row->node));
	return o;
}

struct names { const struct ssi_nodelist *only; char **name; size_t n, room; int r; };

static void names_add(struct names *l, const char *node)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->name[i], node) == 0)
			return;
	if (l->n == l->room) {
		void *grown = reallocarray(l->name, 2 * l->room + 16, sizeof(*l->name));

		if (!grown) {
			l->r = -ENOMEM;
			return;
		}
		l->name = grown;
		l->room = 2 * l->room + 16;
	}
	l->name[l->n] = strdup(node);
	l->r = l->name[l->n++] ? l->r : -ENOMEM;
}

static void names_volume(const struct state_volume *row, void *userdata)
{
	names_add(userdata, row->node);
}

static void names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
}

/* With a range those of it; else all that have a volume, or are to get one. */
static int names_collect(struct daemon *d, const char *range, struct names *l, struct ssi_err *e)
{
	_cleanup_nodelist_ struct ssi_nodelist *list = NULL;
	int r = range ? ssi_nodelist_parse(range, &list, e) : state_volume_each(d->state, names_volume, l, e);

	for (size_t i = 0; r == 0 && list && i < list->n; i++)
		names_add(l, list->names[i]);
	for (size_t i = 0; r == 0 && !list && i < d->registry->n_nodes; i++)
		if (d->registry->nodes[i]->state)
			names_add(l, d->registry->nodes[i]->name);
	return r < 0 ? r : l->r < 0 ? ssi_errno(e, l->r, "state volumes") : 0;
}

/* One that has none yet, but snapshots, or nothing at all. */
static json_t *no_volume_json(struct daemon *d, const char *node, struct ssi_err *e)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);
	json_t *snapshots = snapshots_json(d, node);

	if (n || json_array_size(snapshots))
		return json_pack("{s:s, s:s, s:s, s:o}", "name", node, "state", "none", "text",
				 n && n->state ? "made at its first boot" : "state = none", "snapshots", snapshots);
	json_decref(snapshots);
	ssi_errf(e, -ENOENT, "no node %s", node);
	return NULL;
}

int control_node_state_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	SSI_CLEANUP(names_free) struct names l = { 0 };
	json_t *list;
	int r = names_collect(d, json_string_value(json_object_get(args, "range")), &l, e);

	if (r < 0)
		return r;
	list = json_array();
	for (size_t i = 0; i < l.n; i++) {
		struct state_volume row;
		json_t *o = state_volume_get(d->state, l.name[i], &row, NULL) == 0 ? volume_json(d, &row) : no_volume_json(d, l.name[i], e);

		if (!o) {
			json_decref(list);
			return -ENOENT;
		}
		json_array_append_new(list, o);
	}
	ssi_control_ok(q, list);
	return 0;
}

/* ---- orders ---- */

struct order {
	struct daemon *daemon;
	struct ssi_control_request *request;     /* NULL: the client is gone */
	char node[64];
	const char *what;
	sd_event_source *progress;
};

static void order_free(struct order *o)
{
	sd_event_source_disable_unref(o->progress);
	free(o);
}

static void last_name(const struct state_snapshot *p, void *userdata)
{
	snprintf(userdata, 65, "%s", p->name);
}

static void done(const char *node, int err, const struct ssi_err *why, void *userdata)
{
	struct order *o = userdata;
	char name[65] = "";
	struct ssi_err e;

	if (o->request && err < 0) {
		ssi_errf(&e, err, "%s: %.400s", node, why->text);
		ssi_control_fail(o->request, &e, NULL, NULL);
	} else if (o->request) {
		if (strcmp(o->what, "snapshot") == 0)
			state_snapshot_each(o->daemon->state, node, last_name, name, NULL);
		ssi_control_ok(o->request, json_pack("{s:s, s:s}", "name", node, "snapshot", name));
	}
	order_free(o);
}

static void gone(struct ssi_control_request *q, void *userdata)
{
	struct order *o = userdata;

	o->request = NULL;
	sd_event_source_set_enabled(o->progress, SD_EVENT_OFF);
}

static int on_progress(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct order *o = userdata;
	struct state_volume row;
	struct volume_status st = { .state = "none" };

	if (!o->request)
		return 0;
	if (state_volume_get(o->daemon->state, o->node, &row, NULL) == 0)
		volumes_status(o->daemon, &row, &st);
	sd_event_source_set_time_relative(s, PROGRESS_US);
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	ssi_control_event(o->request, json_pack("{s:s, s:I, s:I}", "name", o->node, "copied", (json_int_t)st.copied, "to_copy", (json_int_t)st.to_copy));
	return 0;
}

static int order_new(struct daemon *d, const json_t *args, const char *what, struct order **ret, struct ssi_err *e)
{
	struct order *o = calloc(1, sizeof(*o));
	int r = o ? sd_event_add_time_relative(d->event, &o->progress, CLOCK_MONOTONIC, PROGRESS_US, 10000, on_progress, o) : -ENOMEM;

	if (r < 0) {
		free(o);
		return ssi_errno(e, r, "%s", what);
	}
	o->daemon = d;
	o->what = what;
	snprintf(o->node, sizeof(o->node), "%s", ssi_json_str(args, "node"));
	*ret = o;
	return 0;
}

typedef int (*order_fn)(struct daemon *d, const char *node, const char *name, volumes_done done, void *userdata, struct ssi_err *e);

static int order(struct ssi_control_request *q, const json_t *args, struct daemon *d, const char *what, order_fn begin, struct ssi_err *e)
{
	struct order *o = NULL;
	int r = order_new(d, args, what, &o, e);

	if (r < 0)
		return r;
	/* It may be done at once: the request is the order's before it begins. */
	o->request = q;
	ssi_control_watch(q, NULL, gone, o);
	r = begin(d, o->node, json_string_value(json_object_get(args, "name")), done, o, e);
	if (r < 0) {
		struct ssi_err why = *e;

		ssi_errf(e, r, "%s: %.400s", o->node, why.text);
		ssi_control_watch(q, NULL, NULL, NULL);
		order_free(o);
	}
	return r;
}

static int begin_rm(struct daemon *d, const char *node, const char *name, volumes_done fn, void *userdata, struct ssi_err *e)
{
	const struct ssi_err none = { 0 };
	int r;

	if (!name)
		return volumes_rm(d, node, fn, userdata, e);
	r = volumes_rm_snapshot(d, node, name, e);
	if (r == 0)
		fn(node, 0, &none, userdata);
	return r;
}

int control_node_state_snapshot(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return order(q, args, userdata, "snapshot", volumes_snapshot, e);
}

int control_node_state_restore(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return order(q, args, userdata, "restore", volumes_restore, e);
}

int control_node_state_rm(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	return order(q, args, userdata, "rm", begin_rm, e);
}

static json_t *accept_one(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *how)
{
	struct ssi_err why;

	return control_node_result(n->name, volumes_accept(d, n->name, *(const enum ssi_on_upgrade *)how, &why) < 0 ? why.text : NULL);
}

int control_node_state_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	const char *decision = ssi_json_str(args, "decision");
	enum ssi_on_upgrade how = strcmp(decision, "keep") == 0 ? SSI_UPGRADE_KEEP : SSI_UPGRADE_FRESH;

	if (how == SSI_UPGRADE_FRESH && strcmp(decision, "fresh"))
		return ssi_errf(e, -EINVAL, "'%s' is neither keep nor fresh", decision);
	return control_range(q, userdata, args, accept_one, &how, e);
}
