/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened, in order. The last EVENTS_KEPT are kept; ids are never used again. */
#include "bootsvc/state-internal.h"

#define EVENTS_KEPT 200000
#define PRUNE_EACH 256           /* events between two looks at their number */
#define EVENT_COLUMNS "id, time, kind, node, machine, incarnation, text FROM event"

const char *const state_event_sql[Q_COUNT] = {
	[Q_EVENT_ADD] = "INSERT INTO event(time, kind, node, machine, incarnation, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[Q_EVENT_PRUNE] = "DELETE FROM event WHERE id <= ?1",
	[Q_EVENT_EACH] = "SELECT " EVENT_COLUMNS " WHERE id > ?1 ORDER BY id",
	[Q_EVENT_BACK] = "SELECT " EVENT_COLUMNS " WHERE id > ?1 ORDER BY id DESC",
};

int state_event_add(struct state *s, struct state_event *ev, struct ssi_err *e)
{
	int r = state_run(s, e, Q_EVENT_ADD, "itttit", ev->time, ev->kind, ev->node, ev->machine, ev->incarnation, ev->text);

	if (r < 0)
		return r;
	ev->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	if (ev->id > EVENTS_KEPT && ev->id % PRUNE_EACH == 0)
		r = state_run(s, e, Q_EVENT_PRUNE, "i", ev->id - EVENTS_KEPT);
	return r < 0 ? r : 0;
}

int state_event_each(struct state *s, uint64_t since, bool newest_first, int (*fn)(const struct state_event *ev, void *userdata), void *userdata,
		     struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, newest_first ? Q_EVENT_BACK : Q_EVENT_EACH, "i", since);
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_event ev = {
			.id = (uint64_t)sqlite3_column_int64(q, 0),
			.time = (uint64_t)sqlite3_column_int64(q, 1),
			.kind = (const char *)sqlite3_column_text(q, 2),
			.node = (const char *)sqlite3_column_text(q, 3),
			.machine = (const char *)sqlite3_column_text(q, 4),
			.incarnation = (uint64_t)sqlite3_column_int64(q, 5),
			.text = (const char *)sqlite3_column_text(q, 6),
		};

		if (fn(&ev, userdata))
			return 0;
	}
	return r;
}
