/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may write to a state volume: taken from one incarnation, given to the next. Called by members.c (take), fencing (release), targets.c (wanted) and
 * volumes.c.
 */
#include <errno.h>
#include <unistd.h>
#include "bootsvc/targets.h"
#include "bootsvc/volumes-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"

#define LIO "/sys/kernel/config/target/iscsi"    /* not there: no machine can have a LUN of this master */

/* It is nobody's: no session can write to it any more. */
static int taken_away(struct volumes *v, const char *node, struct ssi_err *e)
{
	struct state_volume row;
	int r = state_volume_get(v->daemon->state, node, &row, e);

	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		row.incarnation = 0;
		r = volumes_put(v, &row, e);
	}
	if (r < 0)
		volumes_retry_soon(v);
	else
		volumes_proceed(v, node, false);
	return r;
}

static void on_revoked(const char *node, int err, const struct ssi_err *why, void *userdata)
{
	struct volumes *v = userdata;
	struct volume_work *w;
	struct ssi_err e = { 0 };

	if (err == -ECANCELED)
		return;
	w = volumes_work(v, node);
	if (err < 0) {
		log_error("state volume of %s: its iSCSI sessions could not be ended: %s", node, why->text);
		if (w && w->next && !w->job)
			w->next(w, err, why);
		volumes_retry_soon(v);
		return;
	}
	err = taken_away(v, node, &e);
	if (w && w->next && !w->job)     /* somebody's order waits for it */
		w->next(w, err, &e);
}

void volumes_take_away(struct volumes *v, const char *node)
{
	struct ssi_err e;

	if (access(LIO, F_OK) < 0 || !v->daemon->targets)
		on_revoked(node, 0, NULL, v);
	else if (targets_revoke(v->daemon->targets, node, on_revoked, v, &e) < 0)
		on_revoked(node, -EIO, &e, v);
}

void volumes_take(struct daemon *d, const char *node, uint64_t incarnation)
{
	struct volumes *v = d->volumes;
	struct state_volume row;
	bool had;

	if (state_volume_get(d->state, node, &row, NULL) < 0 || row.incarnation == incarnation)
		return;
	had = row.incarnation != 0;
	row.taker = incarnation;
	if (volumes_put(v, &row, NULL) < 0)
		return;                  /* the token's exchange is not stored either, and comes again */
	if (had)
		volumes_take_away(v, node);
	else
		volumes_proceed(v, node, false);
}

void volumes_release(struct daemon *d, const char *node)
{
	struct state_volume row;
	struct ssi_err e;

	if (state_volume_get(d->state, node, &row, NULL) == 0 && (row.incarnation || row.taker))
		taken_away(d->volumes, node, &e);
}

struct wanted { struct volumes *v; volume_lun_fn fn; void *userdata; };

static void want(const struct state_volume *row, void *userdata)
{
	struct wanted *w = userdata;
	_cleanup_free_ char *path = row->incarnation && !row->taker ? volume_path(w->v, row) : NULL;
	const struct volume_lun l = { row->node, row->incarnation, row->uuid, path, row->size };

	if (path)
		w->fn(&l, w->userdata);
}

int volumes_wanted(struct daemon *d, volume_lun_fn fn, void *userdata, struct ssi_err *e)
{
	struct wanted w = { d->volumes, fn, userdata };

	return d->volumes ? state_volume_each(d->state, want, &w, e) : 0;
}
