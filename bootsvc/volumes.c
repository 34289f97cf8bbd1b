/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose a state volume is. Called by boot.c (prepare); what goes on later comes back to volumes_proceed, which looks at the store and takes the next step: so a
 * daemon that was killed anywhere goes on by calling it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bootsvc/events.h"
#include "bootsvc/targets.h"
#include "bootsvc/volumes-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"

#define RETRY_US (2000ull * 1000)

/* ---- works ---- */

struct volume_work *volumes_work(struct volumes *v, const char *node)
{
	struct volume_work *w;

	LIST_FOREACH(w, &v->works, link)
		if (strcmp(w->node, node) == 0)
			return w;
	return NULL;
}

struct volume_work *volumes_work_new(struct volumes *v, const char *node, const char *doing)
{
	struct volume_work *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->volumes = v;
	w->doing = doing;
	snprintf(w->node, sizeof(w->node), "%s", node);
	LIST_INSERT_HEAD(&v->works, w, link);
	return w;
}

void volumes_work_free(struct volume_work *w)
{
	if (!w)
		return;
	volume_job_end(w->job);
	volume_freeze_end(w->freeze);
	LIST_REMOVE(w, link);
	free(w->from);
	free(w->to);
	free(w->tmp);
	free(w);
}

static void on_job(int err, const struct ssi_err *why, size_t ran, void *userdata)
{
	struct volume_work *w = userdata;

	w->job = NULL;
	w->ran = ran;
	w->next(w, err, why);
}

int volumes_work_run(struct volume_work *w, const struct volume_command *c, size_t n, volume_work_fn next, struct ssi_err *e)
{
	int r;

	w->next = next;
	r = volume_job_start(w->volumes->daemon->event, c, n, on_job, w, &w->job);
	return r < 0 ? ssi_errno(e, r, "%s", c->argv[0]) : 0;
}

/* ---- the store ---- */

int volumes_put(struct volumes *v, const struct state_volume *row, struct ssi_err *e)
{
	int r = state_begin(v->daemon->state, true, e);

	if (r == 0)
		r = state_volume_put(v->daemon->state, row, e);
	if (r == 0)
		r = state_commit(v->daemon->state, e);
	if (r < 0) {
		state_rollback(v->daemon->state);
		log_error("state volume of %s: %s", row->node, e ? e->text : strerror(-r));
	}
	return r;
}

bool volumes_has(struct daemon *d, const char *node)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);
	struct state_volume row;

	if (n && n->state)
		return true;
	/* One that it has no more by nodes.d, but had in a boot that may still run. */
	return state_volume_get(d->state, node, &row, NULL) == 0 && (row.incarnation || row.taker);
}

bool volumes_busy(struct daemon *d, const char *node)
{
	return volumes_work(d->volumes, node);
}

/* ---- at the boot answer ---- */

static int prepare_first(struct volumes *v, const struct ssi_node *n, struct state_volume *row, struct ssi_err *e)
{
	int r;

	*row = (struct state_volume){ .size = n->state_size };
	r = volume_serial(v, n->system->name, n->name, &row->serial, e);
	if (r == 0)
		r = volume_uuid_new(row->uuid, e);
	if (r < 0)
		return r;
	strcpy(row->node, n->name);
	strcpy(row->system, n->system->name);
	strcpy(row->fs, n->state_fs);
	return state_volume_put(v->daemon->state, row, e);
}

/* It is on its way; what the last try failed at stands in the store. */
static int prepare_making(struct volumes *v, const struct state_volume *row, struct ssi_err *e)
{
	int r = volume_make(v, row, e);

	if (r < 0)
		return r;
	return ssi_errf(e, -EAGAIN, "its state volume is being made%s%s", row->trouble[0] ? ", the last try failed: " : "", row->trouble);
}

static void say_decision(struct volumes *v, const struct state_volume *row, enum volume_upgrade u)
{
	struct events *ev = v->daemon->events;

	if (u == VOLUME_ASK)
		events_add(ev, "state", row->node, "", 0, "its image's generation is another than its state volume was used with (%.19s, before %.19s): it waits until"
			   " 'ssi node state accept %s keep' or 'fresh' decides", row->decided_for, row->generation, row->node);
	else
		events_add(ev, "state", row->node, "", 0, "its image's generation is another than its state volume was used with (%.19s, before %.19s): %s",
			   row->decided_for, row->generation, u == VOLUME_KEEP ? "the volume is kept, and lies over the new one" :
			   "it gets a fresh volume, the one before is kept as a snapshot");
}

/* Which volume a boot of this generation has; stored and told where it is another decision than before. */
static int prepare_decide(struct volumes *v, const struct ssi_node *n, const char *generation, struct state_volume *row, struct ssi_err *e)
{
	enum volume_upgrade u = volume_decide(row->generation, generation, n->state_on_upgrade, row->decision, row->decided_for);
	const char *name = volume_upgrade_name(u), *about = u == VOLUME_SAME ? "" : generation;
	int r = 0;

	if (strcmp(row->decision, name) != 0 || strcmp(row->decided_for, about) != 0) {
		snprintf(row->decision, sizeof(row->decision), "%s", name);
		snprintf(row->decided_for, sizeof(row->decided_for), "%s", about);
		row->next[0] = '\0';
		if (u == VOLUME_FRESH)
			r = volume_uuid_new(row->next, e);
		if (r == 0)
			r = state_volume_put(v->daemon->state, row, e);
		if (r < 0)
			return r;
		if (u != VOLUME_SAME)
			say_decision(v, row, u);
	}
	if (u == VOLUME_FRESH && !row->next[0]) {        /* somebody has said so since */
		r = volume_uuid_new(row->next, e);
		if (r == 0)
			r = state_volume_put(v->daemon->state, row, e);
	}
	if (u != VOLUME_ASK)
		return r;
	return ssi_errf(e, -EAGAIN, "its image's generation is another than its state volume was used with: 'ssi node state accept %s keep' lays the volume over the new"
			" one, '... fresh' begins with an empty one", n->name);
}

/* Nobody has it: what is to be done to it can be done before the node comes. */
static int prepare_check(struct volumes *v, struct state_volume *row, enum volume_closed closed, struct ssi_err *e)
{
	int r;

	if (closed == VOLUME_CLOSED || (closed == VOLUME_UNKNOWN && !row->trouble[0])) {
		row->trouble[0] = '\0';
		return 0;
	}
	if (row->trouble[0] && closed == VOLUME_OPEN)
		return ssi_errf(e, -EIO, "its state volume is damaged (%s): mend it (e2fsck), or restore a snapshot ('ssi node state restore'), or begin anew"
				" ('ssi node state rm %s')", row->trouble, row->node);
	r = volume_check(v, row, e);
	return r < 0 ? r : ssi_errf(e, -EAGAIN, "its state volume was not closed, and is being checked%s%s", row->trouble[0] ? " again: " : "", row->trouble);
}

int volumes_prepare(struct daemon *d, const struct ssi_node *n, const char *generation, char ret_uuid[VOLUMES_UUID], struct ssi_err *e)
{
	struct volumes *v = d->volumes;
	struct volume_work *w = volumes_work(v, n->name);
	struct volume_super s;
	struct state_volume row;
	int r;

	ret_uuid[0] = '\0';
	if (!n->state)
		return 0;
	if (w)
		return ssi_errf(e, -EAGAIN, "its state volume %s", w->doing);
	r = state_volume_get(d->state, n->name, &row, e);
	if (r == -ENOENT)
		r = prepare_first(v, n, &row, e);
	if (r < 0)
		return r;
	if (!row.made)
		return prepare_making(v, &row, e);
	r = volume_look(v, &row, &s, e);
	if (r == 0)
		r = prepare_decide(v, n, generation, &row, e);
	if (r == 0 && !row.incarnation && !row.taker && !row.next[0])
		r = prepare_check(v, &row, s.closed, e);
	if (r < 0)
		return r;
	strcpy(ret_uuid, row.next[0] ? row.next : row.uuid);
	return 0;
}

/* ---- taking it from one, giving it to the next ---- */

static void proceed_give_up(struct volumes *v, struct state_volume *row)
{
	row->taker = 0;
	if (volumes_put(v, row, NULL) < 0)
		volumes_retry_soon(v);
}

static void proceed_trouble(struct volumes *v, struct state_volume *row, const char *text)
{
	if (strncmp(row->trouble, text, sizeof(row->trouble) - 1) != 0)
		events_add(v->daemon->events, "state", row->node, "", row->taker, "its state volume is not given out: %s", text);
	snprintf(row->trouble, sizeof(row->trouble), "%.159s", text);
	proceed_give_up(v, row);
}

/* The volume that is there becomes a snapshot as it is: no file changes its name. */
static int proceed_fresh(struct volumes *v, struct state_volume *row, const struct state_boot *b)
{
	const struct ssi_node *n = ssi_registry_node(v->daemon->registry, row->node);
	struct state_snapshot p = { .size = row->size };
	struct ssi_err e;
	int r;

	volumes_snapshot_of(row, &p, "before");
	volume_file_name(row->serial, p.file);
	strcpy(p.how, "moved");
	snprintf(p.why, sizeof(p.why), "a fresh volume for generation %.19s", b->generation);
	strcpy(row->uuid, row->next);
	row->next[0] = row->decision[0] = row->decided_for[0] = row->generation[0] = row->image[0] = row->trouble[0] = '\0';
	row->made = 0;
	row->serial++;
	if (n) {
		strcpy(row->fs, n->state_fs);
		row->size = n->state_size;
	}
	r = state_begin(v->daemon->state, true, &e);
	if (r == 0)
		r = state_snapshot_put(v->daemon->state, &p, &e);
	if (r == 0)
		r = state_volume_put(v->daemon->state, row, &e);
	if (r == 0)
		r = state_commit(v->daemon->state, &e);
	if (r < 0) {
		state_rollback(v->daemon->state);
		log_error("state volume of %s: %s", row->node, e.text);
		return r;
	}
	events_add(v->daemon->events, "state", row->node, "", row->taker, "its state volume is kept as snapshot %s, a fresh one is made", p.name);
	return 0;
}

static void proceed_give(struct volumes *v, struct state_volume *row, const struct state_boot *b)
{
	row->incarnation = row->taker;
	row->taker = 0;
	strcpy(row->image, b->image);
	strcpy(row->generation, b->generation);
	row->decision[0] = row->decided_for[0] = row->next[0] = row->trouble[0] = '\0';
	if (volumes_put(v, row, NULL) < 0) {
		volumes_retry_soon(v);
		return;
	}
	events_add(v->daemon->events, "state", row->node, b->mac, row->incarnation, "its state volume is its own from now on");
	targets_reconcile(v->daemon->targets);
}

/* A boot takes it, and nobody has it: what has to be done before? */
static void proceed_taker(struct volumes *v, struct state_volume *row, bool checked)
{
	struct volume_super s;
	struct state_boot b;
	struct ssi_err e;
	int r = state_boot_get(v->daemon->state, row->node, row->taker, &b, &e);

	if (r < 0 || b.over || !b.state[0]) {            /* that boot is over, or has no state volume */
		proceed_give_up(v, row);
		return;
	}
	if (row->next[0] && strcmp(b.state, row->next) == 0) {
		if (proceed_fresh(v, row, &b) < 0) {
			volumes_retry_soon(v);
			return;
		}
	}
	if (strcmp(b.state, row->uuid) != 0) {
		proceed_trouble(v, row, "its boot script named another one; it has to boot again");
	} else if (!row->made) {
		volume_make(v, row, &e);
	} else if (volume_look(v, row, &s, &e) < 0) {
		proceed_trouble(v, row, e.text);
	} else if (s.closed == VOLUME_CLOSED || checked) {
		proceed_give(v, row, &b);
	} else if (volume_check(v, row, &e) < 0) {
		log_error("state volume of %s: %s", row->node, e.text);
		volumes_retry_soon(v);
	}
}

void volumes_proceed(struct volumes *v, const char *node, bool checked)
{
	struct state_volume row;
	struct volume_super s;
	struct ssi_err e;

	if (volumes_work(v, node) || state_volume_get(v->daemon->state, node, &row, NULL) < 0 || row.incarnation)
		return;
	if (row.taker)
		proceed_taker(v, &row, checked);
	else if (!checked && row.made && !row.trouble[0] && volume_look(v, &row, &s, &e) == 0 && s.closed == VOLUME_OPEN)
		volume_check(v, &row, &e);
}

/* ---- life ---- */

struct names { char (*name)[64]; size_t n; bool sweep; struct volumes *v; };

static void collect(const struct state_volume *row, void *userdata)
{
	struct names *l = userdata;
	void *grown;

	if (l->sweep)
		volume_sweep(l->v, row->system, row->node);
	if (!row->taker)
		return;
	grown = reallocarray(l->name, l->n + 1, sizeof(*l->name));
	if (!grown)
		return;
	l->name = grown;
	strcpy(l->name[l->n++], row->node);
}

/* Whatever was under way. A door is closed again, whether it was or not. */
static void go_on(struct volumes *v, bool sweep)
{
	struct names l = { .sweep = sweep, .v = v };
	struct ssi_err e;

	if (state_volume_each(v->daemon->state, collect, &l, &e) < 0)
		log_error("state volumes: %s", e.text);
	for (size_t i = 0; i < l.n; i++)
		if (!volumes_work(v, l.name[i]))
			volumes_take_away(v, l.name[i]);
	free(l.name);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	go_on(userdata, false);
	return 0;
}

static int on_start(sd_event_source *s, void *userdata)
{
	sd_event_source_disable_unref(s);
	go_on(userdata, true);
	return 0;
}

void volumes_retry_soon(struct volumes *v)
{
	sd_event_source_set_time_relative(v->retry, RETRY_US);
	sd_event_source_set_enabled(v->retry, SD_EVENT_ONESHOT);
}

int volumes_new(struct daemon *d, struct volumes **ret, struct ssi_err *e)
{
	struct volumes *v = calloc(1, sizeof(*v));
	sd_event_source *start;
	int r = v ? 0 : -ENOMEM;

	if (r == 0) {
		v->daemon = d;
		LIST_INIT(&v->works);
		r = sd_event_add_time_relative(d->event, &v->retry, CLOCK_MONOTONIC, 0, 10000, on_retry, v);
	}
	if (r >= 0)
		r = sd_event_source_set_enabled(v->retry, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(d->event, &start, on_start, v);
	if (r < 0) {
		volumes_free(v);
		return ssi_errno(e, r, "state volumes");
	}
	*ret = v;
	return 0;
}

void volumes_free(struct volumes *v)
{
	struct volume_work *w;

	if (!v)
		return;
	while ((w = LIST_FIRST(&v->works))) {
		const struct ssi_err e = { -ECANCELED, "the daemon ends" };
		volumes_done done = w->done;
		void *userdata = w->userdata;
		char node[64];

		strcpy(node, w->node);
		volumes_work_free(w);
		if (done)
			done(node, -ECANCELED, &e, userdata);
	}
	sd_event_source_disable_unref(v->retry);
	free(v);
}
