/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store's frame: opening, schema, transactions, statements. What is in the tables is the business of state-machine.c, state-node.c and
 * state-event.c. Called by the daemon's loop only. It does not serve readers in other processes well: the file is locked while the daemon runs.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include "bootsvc/state-internal.h"
#include "libssi/base/path.h"

/* Each entry brings the schema from its index to the next version. Never change one that was released: add one. */
static const char *const schema[] = {
	"CREATE TABLE machine(mac TEXT PRIMARY KEY, system TEXT NOT NULL, spare INTEGER NOT NULL DEFAULT 0, first_seen INTEGER NOT NULL,"
	"  last_seen INTEGER NOT NULL, address INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE TABLE binding(node TEXT PRIMARY KEY, mac TEXT NOT NULL UNIQUE REFERENCES machine(mac), since INTEGER NOT NULL) WITHOUT ROWID;"
	/* incarnation: of the boot that counts; last: the highest number ever given out */
	"CREATE TABLE node(name TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'off', incarnation INTEGER NOT NULL DEFAULT 0,"
	"  last INTEGER NOT NULL DEFAULT 0, since INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', inventory TEXT) WITHOUT ROWID;"
	"CREATE TABLE boot(node TEXT NOT NULL, incarnation INTEGER NOT NULL, mac TEXT NOT NULL, armed INTEGER NOT NULL, image TEXT NOT NULL,"
	"  generation TEXT NOT NULL, token BLOB NOT NULL, key BLOB, over INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(node, incarnation)) WITHOUT ROWID;"
	"CREATE INDEX boot_mac ON boot(mac, incarnation);"
	"CREATE TABLE stage(node TEXT NOT NULL, incarnation INTEGER NOT NULL, name TEXT NOT NULL, start_ms INTEGER NOT NULL,"
	"  end_ms INTEGER NOT NULL, tries INTEGER NOT NULL, PRIMARY KEY(node, incarnation, name)) WITHOUT ROWID;"
	"CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL, node TEXT NOT NULL,"
	"  machine TEXT NOT NULL, incarnation INTEGER NOT NULL, text TEXT NOT NULL);"
	"CREATE TABLE value(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",
	"CREATE TABLE number(node TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE) WITHOUT ROWID;",
	"ALTER TABLE node ADD COLUMN hold TEXT NOT NULL DEFAULT '';",
	"ALTER TABLE boot ADD COLUMN root TEXT NOT NULL DEFAULT 'nfs';",
	"ALTER TABLE boot ADD COLUMN shared TEXT NOT NULL DEFAULT '';",
	"ALTER TABLE boot ADD COLUMN state TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE volume(node TEXT PRIMARY KEY, system TEXT NOT NULL, uuid TEXT NOT NULL, fs TEXT NOT NULL, size INTEGER NOT NULL, made INTEGER NOT NULL,"
	"  serial INTEGER NOT NULL, image TEXT NOT NULL, generation TEXT NOT NULL, incarnation INTEGER NOT NULL, taker INTEGER NOT NULL, decision TEXT NOT NULL,"
	"  decided_for TEXT NOT NULL, next TEXT NOT NULL, trouble TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE snapshot(node TEXT NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, incarnation INTEGER NOT NULL,"
	"  uuid TEXT NOT NULL, fs TEXT NOT NULL, image TEXT NOT NULL, generation TEXT NOT NULL, how TEXT NOT NULL, why TEXT NOT NULL,"
	"  system TEXT NOT NULL, file TEXT NOT NULL,"
	"  PRIMARY KEY(node, name)) WITHOUT ROWID;",
	"CREATE TABLE fence(node TEXT PRIMARY KEY, mac TEXT NOT NULL, address INTEGER NOT NULL, incarnation INTEGER NOT NULL, phase INTEGER NOT NULL,"
	"  proved INTEGER NOT NULL, tries INTEGER NOT NULL, since INTEGER NOT NULL, ended INTEGER NOT NULL, why TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE door(mac TEXT PRIMARY KEY, node TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;",
	/* failed: why a machine gets no node until it is accepted; waited: when it was told to wait last; instead: the machine that nodes.d fixes, where another plays its node since a failover */
	"ALTER TABLE machine ADD COLUMN failed TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE machine ADD COLUMN failed_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE machine ADD COLUMN waited INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE binding ADD COLUMN instead TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE failover(node TEXT PRIMARY KEY, step TEXT NOT NULL, since INTEGER NOT NULL, detached INTEGER NOT NULL, machine TEXT NOT NULL,"
	"  spare TEXT NOT NULL, ordered INTEGER NOT NULL, sound INTEGER NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE failover_begun(id INTEGER PRIMARY KEY AUTOINCREMENT, system TEXT NOT NULL, node TEXT NOT NULL, time INTEGER NOT NULL);"
	/* what a node is known by, whatever machine plays it */
	"CREATE TABLE identity(node TEXT PRIMARY KEY, seed BLOB NOT NULL) WITHOUT ROWID;",
	/* phase: enum state_job_phase; the rest is of the record that the job left, once it has ended */
	"CREATE TABLE job(number INTEGER PRIMARY KEY, pid INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, node TEXT NOT NULL, incarnation INTEGER NOT NULL,"
	"  command TEXT NOT NULL, phase INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, cause INTEGER NOT NULL, status INTEGER NOT NULL,"
	"  signal INTEGER NOT NULL, core INTEGER NOT NULL, error INTEGER NOT NULL, user_us INTEGER NOT NULL, system_us INTEGER NOT NULL, max_rss INTEGER NOT NULL, text TEXT NOT NULL);",
	("ALTER TABLE job ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE job ADD COLUMN deputy INTEGER NOT NULL DEFAULT 0;"),
};
#define SCHEMA_VERSION ((int)(sizeof(schema) / sizeof(*schema)))

static const char *const frame_sql[Q_COUNT] = {
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_SAVE] = "SAVEPOINT part",
	[Q_RELEASE] = "RELEASE part",
	[Q_UNDO] = "ROLLBACK TO part",
	[Q_VALUE_GET] = "SELECT value FROM value WHERE name = ?1",
	[Q_VALUE_PUT] = "INSERT INTO value(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2",
};

int state_fail(struct state *s, struct ssi_err *e)
{
	int code = sqlite3_errcode(s->db);

	return ssi_errf(e, code == SQLITE_FULL ? -ENOSPC : code == SQLITE_NOMEM ? -ENOMEM : code == SQLITE_BUSY ? -EBUSY : -EIO,
			"the state database: %s", sqlite3_errmsg(s->db));
}

static void query_bind(sqlite3_stmt *q, const char *types, va_list ap)
{
	for (int i = 1; *types; types++, i++)
		switch (*types) {
		case 't':
			sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
			break;
		case 'i':
			sqlite3_bind_int64(q, i, (sqlite3_int64)va_arg(ap, uint64_t));
			break;
		case 'n':
			sqlite3_bind_int(q, i, va_arg(ap, int));
			break;
		case 'b':
			sqlite3_bind_blob(q, i, va_arg(ap, const uint8_t *), SSI_CCM_KEY, SQLITE_TRANSIENT);
			break;
		}
}

sqlite3_stmt *state_query(struct state *s, enum state_query q, const char *types, ...)
{
	va_list ap;

	sqlite3_reset(s->query[q]);
	va_start(ap, types);
	query_bind(s->query[q], types, ap);
	va_end(ap);
	return s->query[q];
}

int state_step(struct state *s, sqlite3_stmt *q, struct ssi_err *e)
{
	switch (sqlite3_step(q)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return state_fail(s, e);
	}
}

static int run(struct state *s, struct ssi_err *e, enum state_query q, const char *types, va_list ap)
{
	int r;

	sqlite3_reset(s->query[q]);
	query_bind(s->query[q], types, ap);
	do
		r = state_step(s, s->query[q], e);
	while (r > 0);
	sqlite3_reset(s->query[q]);
	return r < 0 ? r : sqlite3_changes(s->db);
}

/* Of the frame itself: no part of what is gathered. */
static int frame(struct state *s, struct ssi_err *e, enum state_query q, ...)
{
	va_list none;
	int r;

	va_start(none, q);
	r = run(s, e, q, "", none);
	va_end(none);
	return r < 0 ? r : 0;
}

void state_text(sqlite3_stmt *q, int column, char *to, size_t n)
{
	const char *t = (const char *)sqlite3_column_text(q, column);
	size_t len = t ? strnlen(t, n - 1) : 0;

	memcpy(to, t ?: "", len);
	to[len] = '\0';
}

static int exec(struct state *s, const char *sql, struct ssi_err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : state_fail(s, e);
}

/* NORMAL syncs the log at checkpoints only: enough against kill -9. It can be changed between transactions only. */
static int durability(struct state *s, bool durable, struct ssi_err *e)
{
	int r = durable == s->durable ? 0 : exec(s, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", e);

	if (r == 0)
		s->durable = durable;
	return r;
}

static int commit(struct state *s, struct ssi_err *e)
{
	int r = frame(s, e, Q_COMMIT);

	if (r < 0)
		frame(s, NULL, Q_ROLLBACK);
	durability(s, false, NULL);      /* single changes, outside of a transaction, are not durable */
	return r;
}

/* A transaction for what is gathered, made with the first change; a durable one ends what was begun before it. */
static int gather(struct state *s, bool durable, struct ssi_err *e)
{
	int r = 0;

	if (s->open && (!durable || s->durable))
		return 0;
	if (s->open && commit(s, NULL) < 0)
		s->lost = -EIO;
	s->open = false;
	r = durability(s, durable, e);
	if (r == 0)
		r = frame(s, e, Q_BEGIN);
	s->open = r == 0;
	return r;
}

void state_gather(struct state *s)
{
	s->gathering = true;
}

int state_settle(struct state *s, struct ssi_err *e)
{
	int r = s->open ? commit(s, e) : 0;

	if (r == 0 && s->lost)
		r = ssi_errf(e, s->lost, "the state database: not everything could be stored");
	s->gathering = s->open = false;
	s->lost = 0;
	return r;
}

int state_run(struct state *s, struct ssi_err *e, enum state_query q, const char *types, ...)
{
	va_list ap;
	int r = s->gathering ? gather(s, false, e) : 0;

	if (r < 0)
		return r;
	va_start(ap, types);
	r = run(s, e, q, types, ap);
	va_end(ap);
	return r;
}

int state_begin(struct state *s, bool durable, struct ssi_err *e)
{
	int r;

	if (s->depth > 0) {
		s->depth++;
		return 0;
	}
	if (s->gathering) {
		r = gather(s, durable, e);
		if (r == 0)
			r = frame(s, e, Q_SAVE);
	} else {
		r = durability(s, durable, e);
		if (r == 0)
			r = frame(s, e, Q_BEGIN);
	}
	s->depth = r == 0;
	return r;
}

int state_commit(struct state *s, struct ssi_err *e)
{
	if (s->depth > 1) {
		s->depth--;
		return 0;
	}
	s->depth = 0;
	return s->gathering ? frame(s, e, Q_RELEASE) : commit(s, e);
}

void state_rollback(struct state *s)
{
	if (s->depth && s->gathering) {
		frame(s, NULL, Q_UNDO);
		frame(s, NULL, Q_RELEASE);
	} else if (s->depth) {
		frame(s, NULL, Q_ROLLBACK);
		durability(s, false, NULL);
	}
	s->depth = 0;
}

static int schema_version(struct state *s, int *ret, struct ssi_err *e)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK ? state_step(s, q, e) : state_fail(s, e);

	if (r > 0)
		*ret = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return r < 0 ? r : 0;
}

static int schema_update(struct state *s, const char *path, struct ssi_err *e)
{
	int version = 0, r = schema_version(s, &version, e);

	if (r < 0)
		return r;
	if (version > SCHEMA_VERSION)
		return ssi_errf(e, -EPROTO, "%s is of a newer ssi-bootsvc (schema %d, this one knows %d): install that again, or move the file away",
				path, version, SCHEMA_VERSION);
	for (; version < SCHEMA_VERSION; version++) {
		_cleanup_free_ char *sql = NULL;

		if (asprintf(&sql, "BEGIN; %s PRAGMA user_version = %d; COMMIT;", schema[version], version + 1) < 0)
			return ssi_errno(e, -ENOMEM, "the schema");
		r = exec(s, sql, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare_all(struct state *s, struct ssi_err *e)
{
	static const char *const *const tables[] = {
		frame_sql, state_machine_sql, state_node_sql, state_event_sql, state_volume_sql, state_fence_sql, state_failover_sql, state_job_sql,
	};

	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (int q = 0; q < Q_COUNT; q++)
			if (tables[t][q] && sqlite3_prepare_v3(s->db, tables[t][q], -1, SQLITE_PREPARE_PERSISTENT, &s->query[q], NULL) != SQLITE_OK)
				return state_fail(s, e);
	return 0;
}

static void state_closep(struct state **s)
{
	state_close(*s);
}

int state_open(const char *dir, struct state **ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(dir, "bootsvc.db");
	SSI_CLEANUP(state_closep) struct state *s = calloc(1, sizeof(*s));
	mode_t old;
	int r;

	if (!path || !s)
		return ssi_errno(e, -ENOMEM, "%s", dir);
	r = ssi_path_mkdirs(dir, 0755);
	if (r < 0)
		return ssi_errno(e, r, "%s", dir);
	old = umask(0077);
	r = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	/* EXCLUSIVE: one daemon, and no shared memory file. */
	if (r == SQLITE_OK)
		r = exec(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
			 "PRAGMA cache_size = -2048; BEGIN IMMEDIATE; COMMIT;", e);
	else
		r = state_fail(s, e);
	umask(old);
	if (r == -EBUSY)
		return ssi_errf(e, -EBUSY, "%s is in use: another ssi-bootsvc runs with this --state", path);
	if (r < 0)
		return ssi_err_prefix(e, "%s", path);
	r = schema_update(s, path, e);
	if (r == 0)
		r = prepare_all(s, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->db && s->open)
		commit(s, NULL);
	else if (s->db)
		state_rollback(s);
	for (int q = 0; q < Q_COUNT; q++)
		sqlite3_finalize(s->query[q]);
	sqlite3_close(s->db);
	free(s);
}

int state_value_get(struct state *s, const char *name, uint64_t *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_VALUE_GET, "t", name);
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "no value %s", name);
	if (r > 0)
		*ret = (uint64_t)sqlite3_column_int64(q, 0);
	return r < 0 ? r : 0;
}

int state_value_put(struct state *s, const char *name, uint64_t v, struct ssi_err *e)
{
	int r = state_run(s, e, Q_VALUE_PUT, "ti", name, v);

	return r < 0 ? r : 0;
}
