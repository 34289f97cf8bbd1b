/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failovers under way, machines that have failed, and what a node is known by whatever machine plays it. Called by failover.c, reload.c and members.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/state-internal.h"
#include "libssi/base/hash.h"

#define BEGUN_KEPT_MS (7 * 86400000ull)      /* longer than the longest failover_limit */

const char *const state_failover_sql[Q_COUNT] = {
	[Q_MACHINE_FAIL] = "UPDATE machine SET failed = ?2, failed_at = ?3, spare = 0 WHERE mac = ?1",
	[Q_MACHINE_KEEP] = "UPDATE machine SET spare = 1, system = CASE system WHEN '' THEN ?2 ELSE system END WHERE mac = ?1 AND failed = ''"
			   " AND NOT EXISTS (SELECT 1 FROM binding b WHERE b.mac = ?1)",
	[Q_MACHINE_WAITS] = "UPDATE machine SET waited = ?2 WHERE mac = ?1",
	[Q_SPARE_COUNT] = "SELECT count(*) FROM machine m WHERE m.spare AND m.system = ?1 AND m.failed = ''"
			  " AND NOT EXISTS (SELECT 1 FROM binding b WHERE b.mac = m.mac)",
	[Q_SPARE_EACH] = "SELECT m.mac, m.waited FROM machine m WHERE m.spare AND m.system = ?1 AND m.failed = ''"
			 " AND NOT EXISTS (SELECT 1 FROM binding b WHERE b.mac = m.mac) ORDER BY m.mac",
	[Q_BIND_INSTEAD] = "UPDATE binding SET instead = ?2 WHERE node = ?1",
	[Q_INSTEAD_OF] = "SELECT instead FROM binding WHERE node = ?1",
	[Q_FAILOVER_PUT] = "INSERT OR REPLACE INTO failover(node, step, since, detached, machine, spare, ordered, sound, why)"
			   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[Q_FAILOVER_RM] = "DELETE FROM failover WHERE node = ?1",
	[Q_FAILOVER_EACH] = "SELECT node, step, since, detached, machine, spare, ordered, sound, why FROM failover ORDER BY detached, node",
	[Q_FAILOVER_BEGUN] = "INSERT INTO failover_begun(system, node, time) VALUES(?1, ?2, ?3)",
	[Q_FAILOVER_LATELY] = "SELECT count(*), min(time) FROM failover_begun WHERE system = ?1 AND time > ?2",
	[Q_FAILOVER_PRUNE] = "DELETE FROM failover_begun WHERE time < ?1",
	[Q_IDENTITY_NEW] = "INSERT OR IGNORE INTO identity(node, seed) VALUES(?1, ?2)",
	[Q_IDENTITY_GET] = "SELECT seed FROM identity WHERE node = ?1",
};

int state_failover_put(struct state *s, const struct state_failover *f, struct ssi_err *e)
{
	int r = state_run(s, e, Q_FAILOVER_PUT, "ttiittnnt", f->node, f->step, f->since, f->detached, f->machine, f->spare, (int)f->ordered,
			  (int)f->sound, f->why);

	return r < 0 ? r : 0;
}

int state_failover_rm(struct state *s, const char *node, struct ssi_err *e)
{
	int r = state_run(s, e, Q_FAILOVER_RM, "t", node);

	return r < 0 ? r : 0;
}

int state_failover_each(struct state *s, void (*fn)(const struct state_failover *f, void *userdata), void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_FAILOVER_EACH, "");
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_failover f = {
			.since = (uint64_t)sqlite3_column_int64(q, 2), .detached = (uint64_t)sqlite3_column_int64(q, 3),
			.ordered = sqlite3_column_int(q, 6), .sound = sqlite3_column_int(q, 7),
		};

		state_text(q, 0, f.node, sizeof(f.node));
		state_text(q, 1, f.step, sizeof(f.step));
		state_text(q, 4, f.machine, sizeof(f.machine));
		state_text(q, 5, f.spare, sizeof(f.spare));
		state_text(q, 8, f.why, sizeof(f.why));
		fn(&f, userdata);
	}
	return r;
}

int state_failover_begun(struct state *s, const char *system, const char *node, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_FAILOVER_BEGUN, "tti", system, node, now);

	if (r >= 0 && now > BEGUN_KEPT_MS)
		r = state_run(s, e, Q_FAILOVER_PRUNE, "i", now - BEGUN_KEPT_MS);
	return r < 0 ? r : 0;
}

int state_failover_lately(struct state *s, const char *system, uint64_t since, unsigned *ret, uint64_t *ret_first, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_FAILOVER_LATELY, "ti", system, since);
	int r = state_step(s, q, e);

	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret = (unsigned)sqlite3_column_int(q, 0);
	*ret_first = (uint64_t)sqlite3_column_int64(q, 1);
	return 0;
}

int state_machine_fail(struct state *s, const char *mac, const char *why, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_MACHINE_ENTER, "ti", mac, now);

	if (r >= 0)
		r = state_run(s, e, Q_MACHINE_FAIL, "tti", mac, why, *why ? now : 0);
	return r < 0 ? r : 0;
}

int state_machine_waits(struct state *s, const char *mac, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_MACHINE_WAITS, "ti", mac, now);

	return r < 0 ? r : 0;
}

int state_machine_keep(struct state *s, const char *mac, const char *system, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_MACHINE_ENTER, "ti", mac, now);

	if (r >= 0)
		r = state_run(s, e, Q_MACHINE_KEEP, "tt", mac, system);
	return r < 0 ? r : 0;
}

int state_spare_count(struct state *s, const char *system, unsigned *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_SPARE_COUNT, "t", system);
	int r = state_step(s, q, e);

	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret = (unsigned)sqlite3_column_int(q, 0);
	return 0;
}

int state_spare_each(struct state *s, const char *system, state_machine_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_SPARE_EACH, "t", system);
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_machine m = { .spare = true, .waited = (uint64_t)sqlite3_column_int64(q, 1) };

		state_text(q, 0, m.mac, sizeof(m.mac));
		snprintf(m.system, sizeof(m.system), "%s", system);
		fn(&m, userdata);
	}
	return r;
}

int state_bind_instead(struct state *s, const char *node, const char *fixed, struct ssi_err *e)
{
	int r = state_run(s, e, Q_BIND_INSTEAD, "tt", node, fixed);

	return r < 0 ? r : 0;
}

int state_bound_instead(struct state *s, const char *node, char ret[SSI_MAC_LEN], struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_INSTEAD_OF, "t", node);
	int r = state_step(s, q, e);

	ret[0] = '\0';
	if (r > 0)
		state_text(q, 0, ret, SSI_MAC_LEN);
	return r < 0 ? r : 0;
}

static int identity_read(struct state *s, const char *node, uint8_t ret[STATE_IDENTITY], struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_IDENTITY_GET, "t", node);
	int r = state_step(s, q, e);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (sqlite3_column_bytes(q, 0) != STATE_IDENTITY)
		return ssi_errf(e, -EIO, "the state database: the identity of %s has a wrong size", node);
	memcpy(ret, sqlite3_column_blob(q, 0), STATE_IDENTITY);
	return 0;
}

int state_identity(struct state *s, const char *node, uint8_t ret[STATE_IDENTITY], struct ssi_err *e)
{
	uint8_t seed[STATE_IDENTITY];
	int r = identity_read(s, node, ret, e);

	if (r != -ENOENT)
		return r;
	r = ssi_hash_random(seed, sizeof(seed));
	if (r < 0)
		return ssi_errno(e, r, "no random bytes");
	r = state_run(s, e, Q_IDENTITY_NEW, "tb", node, seed);
	if (r < 0)
		return r;
	memcpy(ret, seed, STATE_IDENTITY);
	explicit_bzero(seed, sizeof(seed));
	return 0;
}
