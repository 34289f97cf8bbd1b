/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people order about state volumes: snapshot, restore, rm, accept. A copy is made beside its place and renamed, and entered in the store then: half of one is never
 * seen. A node that runs has its file system stand still while it is copied (volumes-freeze.c); of all others no session may be left first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bootsvc/events.h"
#include "bootsvc/volumes-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"

/*
 * A node whose file system stands still for longer is no use to anyone. By reflink a copy takes an instant; a plain one of a volume with a few GiB written
 * takes this long, and of a larger one it is refused by time: the node lets go by itself, and the copy is thrown away.
 */
#define FREEZE_LIMIT_S 20

void volumes_snapshot_of(const struct state_volume *row, struct state_snapshot *ret, const char *why)
{
	uint64_t now = ssi_clock_wall_ms();
	time_t t = (time_t)(now / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	*ret = (struct state_snapshot){ .time = now, .size = row->size, .incarnation = row->incarnation };
	strcpy(ret->node, row->node);
	strcpy(ret->system, row->system);
	strcpy(ret->uuid, row->uuid);
	strcpy(ret->fs, row->fs);
	strcpy(ret->image, row->image);
	strcpy(ret->generation, row->generation);
	snprintf(ret->name, sizeof(ret->name), "%s-%04u%02u%02u-%02u%02u%02u.%03u", why, (unsigned)tm.tm_year % 10000 + 1900, (unsigned)tm.tm_mon % 12 + 1,
		 (unsigned)tm.tm_mday % 32, (unsigned)tm.tm_hour % 24, (unsigned)tm.tm_min % 60, (unsigned)tm.tm_sec % 61, (unsigned)(now % 1000));
}

/* ---- the order's beginning and end ---- */

static enum volume_way way_of(struct volumes *v, const struct state_volume *row, enum volume_want want, const char **why)
{
	const struct ssi_head_node *h = ssi_head_node(v->daemon->head, row->node);
	uint64_t now = ssi_clock_wall_ms();
	struct volume_super s = { .closed = VOLUME_UNKNOWN };
	struct volume_use u = { row->incarnation, row->taker, h ? h->state : SSI_NODE_OFF, h ? h->incarnation : 0,
		h && now > h->since_ms ? now - h->since_ms : 0, VOLUME_UNKNOWN };

	if (!h)
		u.off_ms = VOLUME_CLOSING_MS;    /* nodes.d has it no more */
	if (volume_look(v, row, &s, NULL) == 0)
		u.closed = s.closed;
	return volume_way(want, &u, why);
}

static int order_check(struct volumes *v, const char *node, enum volume_want want, struct state_volume *ret, enum volume_way *ret_way, struct ssi_err *e)
{
	struct volume_work *w = volumes_work(v, node);
	const char *why;
	int r = state_volume_get(v->daemon->state, node, ret, e);

	if (r < 0)
		return r;
	if (w)
		return ssi_errf(e, -EBUSY, "its state volume %s: try again when that is done", w->doing);
	*ret_way = way_of(v, ret, want, &why);
	return *ret_way == VOLUME_REFUSED ? ssi_errf(e, -EBUSY, "%s", why) : 0;
}

/* What waited for the order goes on. */
static void order_end(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct volumes *v = w->volumes;
	volumes_done done = w->done;
	void *userdata = w->userdata;
	struct ssi_err e = why ? *why : (struct ssi_err){ 0 };
	char node[64];

	strcpy(node, w->node);
	if (err < 0 && w->tmp)
		unlink(w->tmp);
	volumes_work_free(w);
	if (done)
		done(node, err, &e, userdata);
	volumes_proceed(v, node, false);
}

/* By reflink where the file system has it, else what is data and no holes. */
static int copy_begin(struct volume_work *w, volume_work_fn next, struct ssi_err *e)
{
	const struct volume_command c[] = {
		{ { "cp", "--reflink=always", "--", w->from, w->tmp }, .ok = 1 },
		{ { "cp", "--reflink=never", "--sparse=always", "--", w->from, w->tmp }, .ok = 1, .otherwise = true },
	};

	unlink(w->tmp);
	return volumes_work_run(w, c, 2, next, e);
}

static int sync_begin(struct volume_work *w, volume_work_fn next, struct ssi_err *e)
{
	const struct volume_command c = { { "sync", w->tmp }, .ok = 1 };

	return volumes_work_run(w, &c, 1, next, e);
}

static int copy_paths(struct volume_work *w, char *from, char *to)
{
	w->from = from;
	w->to = to;
	if (from && to && asprintf(&w->tmp, "%s.tmp", to) >= 0)
		return 0;
	w->tmp = NULL;
	return -ENOMEM;
}

/* ---- snapshot ---- */

static void on_snapshot_synced(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct state *s = w->volumes->daemon->state;
	struct ssi_err e = why ? *why : (struct ssi_err){ 0 };

	if (err == 0)
		err = volume_publish(w, &e);
	if (err == 0)
		err = state_begin(s, true, &e);
	if (err == 0)
		err = state_snapshot_put(s, &w->snapshot, &e);
	if (err == 0)
		err = state_commit(s, &e);
	if (err < 0) {
		state_rollback(s);
		unlink(w->to);
	} else {
		events_add(w->volumes->daemon->events, "state", w->node, "", w->snapshot.incarnation, "snapshot %s made (%s%s)", w->snapshot.name,
			   w->snapshot.how, w->frozen ? ", while its file system stood still" : "");
	}
	order_end(w, err, &e);
}

static void snapshot_sync(struct volume_work *w)
{
	struct ssi_err e;
	int r = sync_begin(w, on_snapshot_synced, &e);

	if (r < 0)
		order_end(w, r, &e);
}

static void on_snapshot_copied(struct volume_work *w, int err, const struct ssi_err *why)
{
	strcpy(w->snapshot.how, w->ran ? "copy" : "reflink");
	w->next = NULL;
	if (err < 0)
		order_end(w, err, why);
	else if (w->freeze)
		volume_thaw(w->freeze);  /* on_freeze says whether it stood still until now */
	else
		snapshot_sync(w);
}

static void on_freeze(struct volume_freeze *f, bool frozen, int err, const struct ssi_err *why, void *userdata)
{
	struct volume_work *w = userdata;
	struct ssi_err e;
	int r;

	if (frozen) {
		w->frozen = true;
		r = copy_begin(w, on_snapshot_copied, &e);
		if (r < 0)
			order_end(w, r, &e);
		return;
	}
	w->freeze = NULL;
	volume_job_end(TAKE_PTR(w->job));
	if (err < 0)
		order_end(w, err, why);
	else
		snapshot_sync(w);
}

static void on_snapshot_alone(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct ssi_err e;
	int r = err < 0 ? err : copy_begin(w, on_snapshot_copied, &e);

	if (r < 0)
		order_end(w, r, err < 0 ? why : &e);
}

/* Nobody may have it: then the work's next is called, from here or later. */
static void order_alone(struct volume_work *w, const struct state_volume *row, volume_work_fn next)
{
	struct volumes *v = w->volumes;

	w->next = next;
	if (row->incarnation)
		volumes_take_away(v, w->node);
	else
		next(w, 0, NULL);
}

static int snapshot_name(struct volumes *v, const char *node, const char *name, struct ssi_err *e)
{
	struct state_snapshot p;

	if (!ssi_path_is_name(name) || name[0] == '.')
		return ssi_errf(e, -EINVAL, "'%s' is no name for a snapshot: letters, digits, '.', '_', '+', '-', at most 64, and no '.' at the beginning", name);
	if (state_snapshot_get(v->daemon->state, node, name, &p, NULL) == 0)
		return ssi_errf(e, -EEXIST, "it has a snapshot %s already", name);
	return 0;
}

static int snapshot_new(struct volumes *v, const struct state_volume *row, const char *name, struct volume_work **ret)
{
	struct volume_work *w = volumes_work_new(v, row->node, "is being copied");

	if (!w)
		return -ENOMEM;
	volumes_snapshot_of(row, &w->snapshot, "at");
	if (name)
		snprintf(w->snapshot.name, sizeof(w->snapshot.name), "%s", name);
	snprintf(w->snapshot.file, sizeof(w->snapshot.file), "snapshot-%.64s.img", w->snapshot.name);
	strcpy(w->snapshot.why, "by hand");
	*ret = w;
	return copy_paths(w, volume_path(v, row), volume_snapshot_path(v, &w->snapshot));
}

int volumes_snapshot(struct daemon *d, const char *node, const char *name, volumes_done done, void *userdata, struct ssi_err *e)
{
	struct volumes *v = d->volumes;
	struct volume_work *w = NULL;
	struct state_volume row;
	struct volume_super s;
	enum volume_way way;
	int r = order_check(v, node, VOLUME_SNAPSHOT, &row, &way, e);

	if (r == 0 && name)
		r = snapshot_name(v, node, name, e);
	if (r == 0)
		r = volume_look(v, &row, &s, e);
	if (r < 0)
		return r;
	r = snapshot_new(v, &row, name, &w);
	if (r < 0)
		ssi_errno(e, r, "%s", node);
	if (r == 0 && way == VOLUME_FREEZE)
		r = volume_freeze(d, node, FREEZE_LIMIT_S, on_freeze, w, &w->freeze, e);
	if (r < 0) {
		volumes_work_free(w);
		return r;
	}
	w->done = done;
	w->userdata = userdata;
	if (way != VOLUME_FREEZE)
		order_alone(w, &row, on_snapshot_alone);
	return 0;
}

/* ---- restore ---- */

/* The copy becomes the volume, and the volume that was there a snapshot. */
static int restore_store(struct volume_work *w, struct ssi_err *e)
{
	struct state *s = w->volumes->daemon->state;
	const struct state_snapshot *from = &w->snapshot;
	_cleanup_free_ char *before = NULL;
	struct state_snapshot p;
	struct state_volume row = { 0 };
	int r = state_volume_get(s, w->node, &row, e);

	if (r == -ENOENT) {              /* it was removed; its snapshots were not */
		strcpy(row.node, w->node);
		strcpy(row.system, from->system);
	} else if (r < 0) {
		return r;
	} else {
		before = volume_path(w->volumes, &row);
	}
	volumes_snapshot_of(&row, &p, "before-restore");
	volume_file_name(row.serial, p.file);
	strcpy(p.how, "moved");
	snprintf(p.why, sizeof(p.why), "the volume before %s was restored", from->name);
	row.serial = w->serial;
	strcpy(row.uuid, from->uuid);
	strcpy(row.fs, from->fs);
	row.size = from->size;
	strcpy(row.image, from->image);
	strcpy(row.generation, from->generation);
	row.decision[0] = row.decided_for[0] = row.next[0] = row.trouble[0] = '\0';
	row.made = ssi_clock_wall_ms();
	r = state_begin(s, true, e);
	if (r == 0 && before && access(before, F_OK) == 0)
		r = state_snapshot_put(s, &p, e);
	if (r == 0)
		r = state_volume_put(s, &row, e);
	if (r == 0)
		r = state_commit(s, e);
	if (r < 0)
		state_rollback(s);
	else
		events_add(w->volumes->daemon->events, "state", w->node, "", 0, "its state volume is what snapshot %s was%s%s", from->name,
			   before ? "; the one before is snapshot " : "", before ? p.name : "");
	return r;
}

static void on_restore_synced(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct ssi_err e = why ? *why : (struct ssi_err){ 0 };

	if (err == 0)
		err = volume_publish(w, &e);
	if (err == 0) {
		err = restore_store(w, &e);
		if (err < 0)
			unlink(w->to);
	}
	order_end(w, err, &e);
}

static void on_restore_copied(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct ssi_err e;
	int r = err < 0 ? err : sync_begin(w, on_restore_synced, &e);

	if (r < 0)
		order_end(w, r, err < 0 ? why : &e);
}

static void on_restore_alone(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct ssi_err e;
	int r = err < 0 ? err : copy_begin(w, on_restore_copied, &e);

	if (r < 0)
		order_end(w, r, err < 0 ? why : &e);
}

static int restore_new(struct volumes *v, const struct state_volume *row, const struct state_snapshot *p, struct volume_work **ret, struct ssi_err *e)
{
	struct volume_work *w = volumes_work_new(v, row->node, "is being restored");
	struct state_volume fresh = *row;
	int r = w ? volume_serial(v, row->system, row->node, &fresh.serial, e) : ssi_errno(e, -ENOMEM, "%s", row->node);

	*ret = w;
	if (r < 0)
		return r;
	w->snapshot = *p;
	w->serial = fresh.serial;
	r = copy_paths(w, volume_snapshot_path(v, p), volume_path(v, &fresh));
	return r < 0 ? ssi_errno(e, r, "%s", row->node) : 0;
}

int volumes_restore(struct daemon *d, const char *node, const char *name, volumes_done done, void *userdata, struct ssi_err *e)
{
	struct volumes *v = d->volumes;
	struct volume_work *w = NULL;
	struct state_snapshot p = { 0 };
	struct state_volume row = { 0 };
	enum volume_way way;
	int r = state_snapshot_get(d->state, node, name, &p, e);

	if (r == 0)
		r = order_check(v, node, VOLUME_RESTORE, &row, &way, e);
	if (r == -ENOENT && strcmp(p.node, node) == 0) {
		strcpy(row.node, node);
		strcpy(row.system, p.system);
		r = 0;
	}
	if (r == 0)
		r = restore_new(v, &row, &p, &w, e);
	if (r == 0 && access(w->from, R_OK) < 0)
		r = ssi_errno(e, -errno, "%s", w->from);
	if (r < 0) {
		volumes_work_free(w);
		return r;
	}
	w->done = done;
	w->userdata = userdata;
	order_alone(w, &row, on_restore_alone);
	return 0;
}

/* ---- rm, accept ---- */

static void on_rm_alone(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct state *s = w->volumes->daemon->state;
	struct ssi_err e = why ? *why : (struct ssi_err){ 0 };

	if (err == 0)
		err = state_begin(s, true, &e);
	if (err == 0)
		err = state_volume_rm(s, w->node, &e);
	if (err == 0)
		err = state_commit(s, &e);
	if (err < 0) {
		state_rollback(s);
	} else {
		if (unlink(w->from) < 0 && errno != ENOENT)
			log_warning("%s: %m", w->from);
		events_add(w->volumes->daemon->events, "state", w->node, "", 0, "its state volume was removed by hand");
	}
	order_end(w, err, &e);
}

int volumes_rm(struct daemon *d, const char *node, volumes_done done, void *userdata, struct ssi_err *e)
{
	struct volumes *v = d->volumes;
	struct volume_work *w;
	struct state_volume row;
	enum volume_way way;
	int r = order_check(v, node, VOLUME_REMOVE, &row, &way, e);

	if (r < 0)
		return r;
	w = volumes_work_new(v, node, "is being removed");
	if (w)
		w->from = volume_path(v, &row);
	if (!w || !w->from) {
		volumes_work_free(w);
		return ssi_errno(e, -ENOMEM, "%s", node);
	}
	w->done = done;
	w->userdata = userdata;
	order_alone(w, &row, on_rm_alone);
	return 0;
}

int volumes_rm_snapshot(struct daemon *d, const char *node, const char *name, struct ssi_err *e)
{
	_cleanup_free_ char *path = NULL;
	struct volume_work *w = volumes_work(d->volumes, node);
	struct state_snapshot p;
	int r = state_snapshot_get(d->state, node, name, &p, e);

	if (r < 0)
		return r;
	if (w)
		return ssi_errf(e, -EBUSY, "its state volume %s: try again when that is done", w->doing);
	path = volume_snapshot_path(d->volumes, &p);
	if (!path)
		return ssi_errno(e, -ENOMEM, "%s", name);
	r = state_snapshot_rm(d->state, node, name, e);
	if (r < 0)
		return r;
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("%s: %m", path);
	events_add(d->events, "state", node, "", 0, "snapshot %s removed", name);
	return 0;
}

int volumes_accept(struct daemon *d, const char *node, enum ssi_on_upgrade what, struct ssi_err *e)
{
	enum volume_upgrade u = what == SSI_UPGRADE_FRESH ? VOLUME_FRESH : VOLUME_KEEP;
	struct state_volume row;
	int r = state_volume_get(d->state, node, &row, e);

	if (r < 0)
		return r;
	if (strcmp(row.decision, volume_upgrade_name(VOLUME_ASK)) != 0)
		return ssi_errf(e, -EINVAL, "its state volume waits for no decision");
	strcpy(row.decision, volume_upgrade_name(u));
	r = volumes_put(d->volumes, &row, e);
	if (r == 0)
		events_add(d->events, "state", node, "", 0, "decided by hand for generation %.19s: %s", row.decided_for, row.decision);
	return r;
}
