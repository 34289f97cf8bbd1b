/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State volumes and their snapshots: whose which is, and what was decided. The files themselves are the business of volumes.c. */
#include <errno.h>
#include "bootsvc/state-internal.h"

#define VOLUME_COLUMNS "node, system, uuid, fs, size, made, serial, image, generation, incarnation, taker, decision, decided_for, next, trouble"
#define SNAPSHOT_COLUMNS "node, name, time, size, incarnation, uuid, fs, image, generation, how, why, system, file"

const char *const state_volume_sql[Q_COUNT] = {
	[Q_VOLUME_GET] = "SELECT " VOLUME_COLUMNS " FROM volume WHERE node = ?1",
	[Q_VOLUME_EACH] = "SELECT " VOLUME_COLUMNS " FROM volume ORDER BY node",
	[Q_VOLUME_PUT] = "INSERT OR REPLACE INTO volume(" VOLUME_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
	[Q_VOLUME_RM] = "DELETE FROM volume WHERE node = ?1",
	[Q_SNAPSHOT_GET] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot WHERE node = ?1 AND name = ?2",
	[Q_SNAPSHOT_EACH] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot WHERE node = ?1 ORDER BY time, name",
	[Q_SNAPSHOT_PUT] = "INSERT OR REPLACE INTO snapshot(" SNAPSHOT_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[Q_SNAPSHOT_RM] = "DELETE FROM snapshot WHERE node = ?1 AND name = ?2",
};

static void volume_row(sqlite3_stmt *q, struct state_volume *v)
{
	*v = (struct state_volume) {
		.size = (uint64_t)sqlite3_column_int64(q, 4), .made = (uint64_t)sqlite3_column_int64(q, 5),
		.serial = (unsigned)sqlite3_column_int64(q, 6), .incarnation = (uint64_t)sqlite3_column_int64(q, 9),
		.taker = (uint64_t)sqlite3_column_int64(q, 10),
	};
	state_text(q, 0, v->node, sizeof(v->node));
	state_text(q, 1, v->system, sizeof(v->system));
	state_text(q, 2, v->uuid, sizeof(v->uuid));
	state_text(q, 3, v->fs, sizeof(v->fs));
	state_text(q, 7, v->image, sizeof(v->image));
	state_text(q, 8, v->generation, sizeof(v->generation));
	state_text(q, 11, v->decision, sizeof(v->decision));
	state_text(q, 12, v->decided_for, sizeof(v->decided_for));
	state_text(q, 13, v->next, sizeof(v->next));
	state_text(q, 14, v->trouble, sizeof(v->trouble));
}

int state_volume_get(struct state *s, const char *node, struct state_volume *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_VOLUME_GET, "t", node);
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "%s has no state volume", node);
	if (r > 0)
		volume_row(q, ret);
	return r < 0 ? r : 0;
}

int state_volume_put(struct state *s, const struct state_volume *v, struct ssi_err *e)
{
	int r = state_run(s, e, Q_VOLUME_PUT, "ttttiiittiitttt", v->node, v->system, v->uuid, v->fs, v->size, v->made, (uint64_t)v->serial, v->image,
			  v->generation, v->incarnation, v->taker, v->decision, v->decided_for, v->next, v->trouble);

	return r < 0 ? r : 0;
}

int state_volume_each(struct state *s, state_volume_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_VOLUME_EACH, "");
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_volume v;

		volume_row(q, &v);
		fn(&v, userdata);
	}
	return r;
}

int state_volume_rm(struct state *s, const char *node, struct ssi_err *e)
{
	int r = state_run(s, e, Q_VOLUME_RM, "t", node);

	return r < 0 ? r : 0;
}

static void snapshot_row(sqlite3_stmt *q, struct state_snapshot *p)
{
	*p = (struct state_snapshot) {
		.time = (uint64_t)sqlite3_column_int64(q, 2), .size = (uint64_t)sqlite3_column_int64(q, 3),
		.incarnation = (uint64_t)sqlite3_column_int64(q, 4),
	};
	state_text(q, 0, p->node, sizeof(p->node));
	state_text(q, 1, p->name, sizeof(p->name));
	state_text(q, 5, p->uuid, sizeof(p->uuid));
	state_text(q, 6, p->fs, sizeof(p->fs));
	state_text(q, 7, p->image, sizeof(p->image));
	state_text(q, 8, p->generation, sizeof(p->generation));
	state_text(q, 9, p->how, sizeof(p->how));
	state_text(q, 10, p->why, sizeof(p->why));
	state_text(q, 11, p->system, sizeof(p->system));
	state_text(q, 12, p->file, sizeof(p->file));
}

int state_snapshot_get(struct state *s, const char *node, const char *name, struct state_snapshot *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_SNAPSHOT_GET, "tt", node, name);
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "%s has no snapshot %s", node, name);
	if (r > 0)
		snapshot_row(q, ret);
	return r < 0 ? r : 0;
}

int state_snapshot_put(struct state *s, const struct state_snapshot *p, struct ssi_err *e)
{
	int r = state_run(s, e, Q_SNAPSHOT_PUT, "ttiiitttttttt", p->node, p->name, p->time, p->size, p->incarnation, p->uuid, p->fs, p->image,
			  p->generation, p->how, p->why, p->system, p->file);

	return r < 0 ? r : 0;
}

int state_snapshot_each(struct state *s, const char *node, state_snapshot_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_SNAPSHOT_EACH, "t", node);
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_snapshot p;

		snapshot_row(q, &p);
		fn(&p, userdata);
	}
	return r;
}

int state_snapshot_rm(struct state *s, const char *node, const char *name, struct ssi_err *e)
{
	int r = state_run(s, e, Q_SNAPSHOT_RM, "tt", node, name);

	return r < 0 ? r : 0;
}
