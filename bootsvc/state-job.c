/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs: whose, where, and how they ended. What runs is known by the nodes; this is for who asks for it before they have come back, and for the record. */
#include "bootsvc/state-internal.h"

#define JOB_COLUMNS "number, pid, uid, gid, node, incarnation, command, phase, started, ended, cause, status, signal, core, error, user_us, system_us, max_rss, text, boot, deputy"

const char *const state_job_sql[Q_COUNT] = {
	[Q_JOB_PUT] = "INSERT OR REPLACE INTO job(" JOB_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
	[Q_JOB_EACH] = "SELECT " JOB_COLUMNS " FROM job ORDER BY number",
	[Q_JOB_RM] = "DELETE FROM job WHERE number = ?1",
};

static void job_row(sqlite3_stmt *q, struct state_job *s)
{
	*s = (struct state_job) {
		.number = (uint64_t)sqlite3_column_int64(q, 0), .pid = (uint32_t)sqlite3_column_int64(q, 1),
		.uid = (uint32_t)sqlite3_column_int64(q, 2), .gid = (uint32_t)sqlite3_column_int64(q, 3),
		.incarnation = (uint64_t)sqlite3_column_int64(q, 5), .phase = sqlite3_column_int(q, 7),
		.started = (uint64_t)sqlite3_column_int64(q, 8), .ended = (uint64_t)sqlite3_column_int64(q, 9),
		.cause = sqlite3_column_int(q, 10), .status = sqlite3_column_int(q, 11), .signal = sqlite3_column_int(q, 12),
		.core = sqlite3_column_int(q, 13), .error = sqlite3_column_int(q, 14), .user_us = (uint64_t)sqlite3_column_int64(q, 15),
		.system_us = (uint64_t)sqlite3_column_int64(q, 16), .max_rss = (uint64_t)sqlite3_column_int64(q, 17),
		.boot = (uint64_t)sqlite3_column_int64(q, 19), .deputy = (uint64_t)sqlite3_column_int64(q, 20),
	};
	state_text(q, 4, s->node, sizeof(s->node));
	state_text(q, 6, s->command, sizeof(s->command));
	state_text(q, 18, s->text, sizeof(s->text));
}

int state_job_put(struct state *s, const struct state_job *j, struct ssi_err *e)
{
	int r = state_run(s, e, Q_JOB_PUT, "iiiititniinnnnniiitii", j->number, (uint64_t)j->pid, (uint64_t)j->uid, (uint64_t)j->gid, j->node, j->incarnation,
			  j->command, j->phase, j->started, j->ended, j->cause, j->status, j->signal, j->core, j->error, j->user_us, j->system_us,
			  j->max_rss, j->text, j->boot, j->deputy);

	return r < 0 ? r : 0;
}

int state_job_each(struct state *s, state_job_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_JOB_EACH, "");
	struct state_job j;
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		job_row(q, &j);
		fn(&j, userdata);
	}
	return r;
}

int state_job_rm(struct state *s, uint64_t number, struct ssi_err *e)
{
	int r = state_run(s, e, Q_JOB_RM, "i", number);

	return r < 0 ? r : 0;
}
