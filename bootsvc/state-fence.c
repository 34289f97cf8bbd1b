/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fences and closed doors in the store. A fence's row stays after its end, until its node boots again: it is how one sees what was proved. */
#include <errno.h>
#include "bootsvc/state-internal.h"

#define FENCE_COLUMNS "node, mac, address, incarnation, phase, proved, tries, since, ended, why, reason FROM fence"

const char *const state_fence_sql[Q_COUNT] = {
	[Q_FENCE_PUT] = "INSERT OR REPLACE INTO fence(node, mac, address, incarnation, phase, proved, tries, since, ended, why, reason)"
			" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[Q_FENCE_GET] = "SELECT " FENCE_COLUMNS " WHERE node = ?1",
	[Q_FENCE_EACH] = "SELECT " FENCE_COLUMNS " ORDER BY node",
	[Q_FENCE_RM] = "DELETE FROM fence WHERE node = ?1",
	[Q_DOOR_PUT] = "INSERT OR REPLACE INTO door(mac, node, since) VALUES(?1, ?2, ?3)",
	[Q_DOOR_EACH] = "SELECT mac, node FROM door ORDER BY mac",
	[Q_DOOR_RM] = "DELETE FROM door WHERE mac = ?1",
};

int state_fence_put(struct state *s, const struct state_fence *f, struct ssi_err *e)
{
	int r = state_run(s, e, Q_FENCE_PUT, "ttiinnniitt", f->node, f->mac, (uint64_t)ntohl(f->address.s_addr), f->incarnation, (int)f->phase,
			  (int)f->proved, (int)f->tries, f->since, f->ended, f->why, f->reason);

	return r < 0 ? r : 0;
}

static void fence_row(sqlite3_stmt *q, struct state_fence *f)
{
	*f = (struct state_fence) {
		.address.s_addr = htonl((uint32_t)sqlite3_column_int64(q, 2)),
		.incarnation = (uint64_t)sqlite3_column_int64(q, 3),
		.phase = (enum state_fence_phase)sqlite3_column_int(q, 4),
		.proved = (unsigned)sqlite3_column_int(q, 5),
		.tries = (unsigned)sqlite3_column_int(q, 6),
		.since = (uint64_t)sqlite3_column_int64(q, 7),
		.ended = (uint64_t)sqlite3_column_int64(q, 8),
	};
	state_text(q, 0, f->node, sizeof(f->node));
	state_text(q, 1, f->mac, sizeof(f->mac));
	state_text(q, 9, f->why, sizeof(f->why));
	state_text(q, 10, f->reason, sizeof(f->reason));
}

int state_fence_get(struct state *s, const char *node, struct state_fence *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_FENCE_GET, "t", node);
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "%s was not fenced", node);
	if (r > 0)
		fence_row(q, ret);
	return r < 0 ? r : 0;
}

int state_fence_each(struct state *s, state_fence_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_FENCE_EACH, "");
	struct state_fence f;
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		fence_row(q, &f);
		fn(&f, userdata);
	}
	return r;
}

int state_fence_rm(struct state *s, const char *node, struct ssi_err *e)
{
	int r = state_run(s, e, Q_FENCE_RM, "t", node);

	return r < 0 ? r : 0;
}

int state_door_put(struct state *s, const char *mac, const char *node, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_DOOR_PUT, "tti", mac, node, now);

	return r < 0 ? r : 0;
}

int state_door_rm(struct state *s, const char *mac, struct ssi_err *e)
{
	return state_run(s, e, Q_DOOR_RM, "t", mac);
}

int state_door_each(struct state *s, void (*fn)(const char *mac, const char *node, void *userdata), void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_DOOR_EACH, "");
	int r;

	while ((r = state_step(s, q, e)) > 0)
		fn((const char *)sqlite3_column_text(q, 0), (const char *)sqlite3_column_text(q, 1), userdata);
	return r;
}
