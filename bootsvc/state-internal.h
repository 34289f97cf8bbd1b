/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the state-*.c files share: prepared statements by number, bound by letters. Each file has its statements in an own
 * part of one enum, and its texts in an own table.
 */
#include <sqlite3.h>
#include "bootsvc/state.h"
#include "libssi/base/cleanup.h"

enum state_query {
	Q_BEGIN, Q_COMMIT, Q_ROLLBACK, Q_SAVE, Q_RELEASE, Q_UNDO, Q_VALUE_GET, Q_VALUE_PUT,
	Q_MACHINE_NEW, Q_MACHINE_SEEN, Q_MACHINE_GET, Q_MACHINE_AT, Q_MACHINE_SPARE, Q_MACHINE_EACH, Q_MACHINE_COUNT, Q_MACHINE_RM, Q_MACHINE_ENTER,
	Q_BIND, Q_UNBIND, Q_UNBIND_MAC, Q_MACHINE_OF, Q_NODE_OF,
	Q_NODE_EACH, Q_NODE_PUT, Q_NODE_INVENTORY, Q_NODE_HOLD, Q_NODE_NEXT, Q_NODE_LAST, Q_NUMBER_EACH, Q_NUMBER_PUT,
	Q_BOOT_PUT, Q_BOOT_GET, Q_BOOT_NEWEST, Q_BOOT_BY_MAC, Q_BOOT_USE, Q_BOOT_END, Q_BOOT_LEAVE, Q_BOOT_END_ALL, Q_DOORS, Q_BOOT_PRUNE, Q_STAGE_PRUNE, Q_GENERATIONS, Q_BOOT_SHARED, Q_SHARED,
	Q_STAGE_PUT, Q_STAGE_EACH,
	Q_EVENT_ADD, Q_EVENT_PRUNE, Q_EVENT_EACH, Q_EVENT_BACK,
	Q_VOLUME_GET, Q_VOLUME_PUT, Q_VOLUME_EACH, Q_VOLUME_RM, Q_SNAPSHOT_GET, Q_SNAPSHOT_PUT, Q_SNAPSHOT_EACH, Q_SNAPSHOT_RM,
	Q_FENCE_PUT, Q_FENCE_GET, Q_FENCE_EACH, Q_FENCE_RM, Q_DOOR_PUT, Q_DOOR_EACH, Q_DOOR_RM,
	Q_MACHINE_FAIL, Q_MACHINE_KEEP, Q_MACHINE_WAITS, Q_BIND_INSTEAD, Q_INSTEAD_OF, Q_SPARE_COUNT, Q_SPARE_EACH,
	Q_FAILOVER_PUT, Q_FAILOVER_RM, Q_FAILOVER_EACH, Q_FAILOVER_BEGUN, Q_FAILOVER_LATELY, Q_FAILOVER_PRUNE, Q_IDENTITY_NEW, Q_IDENTITY_GET,
	Q_JOB_PUT, Q_JOB_EACH, Q_JOB_RM,
	Q_COUNT
};

struct state {
	sqlite3 *db;
	sqlite3_stmt *query[Q_COUNT];
	unsigned depth;                  /* of transactions begun within one another; the outermost counts */
	bool durable;                    /* how commits are made now */
	bool gathering, open;            /* between state_gather and state_settle; and a transaction was begun for it */
	int lost;                        /* -errno: some of what was gathered could not be stored */
};

/* SQL by enum state_query, entries of other files NULL. */
extern const char *const state_machine_sql[Q_COUNT], *const state_node_sql[Q_COUNT], *const state_event_sql[Q_COUNT];
extern const char *const state_volume_sql[Q_COUNT], *const state_fence_sql[Q_COUNT], *const state_failover_sql[Q_COUNT], *const state_job_sql[Q_COUNT];

/* A statement with its parameters bound: t text, i uint64_t, n int, b SSI_CCM_KEY bytes or NULL. Borrowed: end it with state_done (or _cleanup_query_). */
sqlite3_stmt *state_query(struct state *s, enum state_query q, const char *types, ...);
static inline void state_done(sqlite3_stmt **q) { if (*q) sqlite3_reset(*q); }
#define _cleanup_query_ SSI_CLEANUP(state_done)
int state_step(struct state *s, sqlite3_stmt *q, struct ssi_err *e);                 /* 1 = a row, 0 = done */
int state_run(struct state *s, struct ssi_err *e, enum state_query q, const char *types, ...);  /* to its end; rows changed */
int state_fail(struct state *s, struct ssi_err *e);                                  /* -EIO (-ENOSPC, -ENOMEM) with SQLite's words */
void state_text(sqlite3_stmt *q, int column, char *to, size_t n);                    /* "" for NULL; cut at n */
