/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines that asked for a boot or were named, and their bindings to nodes. Both ends of a binding are unique by schema. */
#include <errno.h>
#include "bootsvc/state-internal.h"

#define MACHINE_COLUMNS "m.mac, m.system, b.node, m.spare, m.first_seen, m.last_seen, m.address, m.failed, m.failed_at, m.waited FROM machine m LEFT JOIN binding b ON b.mac = m.mac"

const char *const state_machine_sql[Q_COUNT] = {
	[Q_MACHINE_NEW] = "INSERT INTO machine(mac, system, first_seen, last_seen, address) SELECT ?1, ?2, ?3, ?3, ?4"
			  " WHERE (SELECT count(*) FROM machine) < ?5 + (SELECT count(*) FROM binding)",
	[Q_MACHINE_SEEN] = "UPDATE machine SET system = ?2, last_seen = ?3, address = ?4 WHERE mac = ?1",
	[Q_MACHINE_ENTER] = "INSERT OR IGNORE INTO machine(mac, system, first_seen, last_seen) VALUES(?1, '', ?2, 0)",
	[Q_MACHINE_GET] = "SELECT " MACHINE_COLUMNS " WHERE m.mac = ?1",
	[Q_MACHINE_AT] = "SELECT " MACHINE_COLUMNS " WHERE m.address = ?1 AND b.node IS NOT NULL ORDER BY m.last_seen DESC LIMIT 1",
	[Q_MACHINE_SPARE] = "UPDATE machine SET spare = ?2 WHERE mac = ?1",
	[Q_MACHINE_EACH] = "SELECT " MACHINE_COLUMNS " ORDER BY m.mac",
	[Q_MACHINE_COUNT] = "SELECT (SELECT count(*) FROM machine), (SELECT count(*) FROM binding)",
	[Q_MACHINE_RM] = "DELETE FROM machine WHERE mac = ?1",
	[Q_BIND] = "INSERT INTO binding(node, mac, since) VALUES(?1, ?2, ?3)",
	[Q_UNBIND] = "DELETE FROM binding WHERE node = ?1",
	[Q_UNBIND_MAC] = "DELETE FROM binding WHERE mac = ?1",
	[Q_MACHINE_OF] = "SELECT mac FROM binding WHERE node = ?1",
	[Q_NODE_OF] = "SELECT node FROM binding WHERE mac = ?1",
};

int state_machine_seen(struct state *s, const char *mac, const char *system, struct in_addr address, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_MACHINE_SEEN, "ttii", mac, system, now, (uint64_t)ntohl(address.s_addr));

	if (r != 0)
		return r < 0 ? r : 0;
	r = state_run(s, e, Q_MACHINE_NEW, "ttiin", mac, system, now, (uint64_t)ntohl(address.s_addr), STATE_STRANGERS);
	return r != 0 ? r : ssi_errf(e, -EUSERS, "machine %s waits: %d others are known that are no node's ('ssi machine list', 'ssi machine rm')", mac,
				     STATE_STRANGERS);
}

static void machine_row(sqlite3_stmt *q, struct state_machine *m)
{
	state_text(q, 0, m->mac, sizeof(m->mac));
	state_text(q, 1, m->system, sizeof(m->system));
	state_text(q, 2, m->node, sizeof(m->node));
	m->spare = sqlite3_column_int(q, 3);
	m->first_seen = (uint64_t)sqlite3_column_int64(q, 4);
	m->last_seen = (uint64_t)sqlite3_column_int64(q, 5);
	m->address.s_addr = htonl((uint32_t)sqlite3_column_int64(q, 6));
	state_text(q, 7, m->failed, sizeof(m->failed));
	m->failed_at = (uint64_t)sqlite3_column_int64(q, 8);
	m->waited = (uint64_t)sqlite3_column_int64(q, 9);
}

int state_machine_get(struct state *s, const char *mac, struct state_machine *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_MACHINE_GET, "t", mac);
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "no machine %s: 'ssi machine list' shows those that are known", mac);
	if (r > 0)
		machine_row(q, ret);
	return r < 0 ? r : 0;
}

int state_machine_at(struct state *s, struct in_addr address, struct state_machine *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_MACHINE_AT, "i", (uint64_t)ntohl(address.s_addr));
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "no machine there");
	if (r > 0)
		machine_row(q, ret);
	return r < 0 ? r : 0;
}

int state_machine_set_spare(struct state *s, const char *mac, bool spare, struct ssi_err *e)
{
	int r = state_run(s, e, Q_MACHINE_SPARE, "tn", mac, (int)spare);

	return r < 0 ? r : 0;
}

int state_machine_each(struct state *s, state_machine_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_MACHINE_EACH, "");
	struct state_machine m;
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		machine_row(q, &m);
		fn(&m, userdata);
	}
	return r;
}

int state_machine_count(struct state *s, unsigned *ret_all, unsigned *ret_unbound, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_MACHINE_COUNT, "");
	int r = state_step(s, q, e);

	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret_all = (unsigned)sqlite3_column_int(q, 0);
	*ret_unbound = *ret_all - (unsigned)sqlite3_column_int(q, 1);
	return 0;
}

int state_machine_rm(struct state *s, const char *mac, struct ssi_err *e)
{
	struct state_machine m;
	int r = state_machine_get(s, mac, &m, e);

	if (r < 0)
		return r;
	if (m.node[0])
		return ssi_errf(e, -EBUSY, "machine %s is bound to %s: unbind it first with 'ssi node set %s machine='", mac, m.node, m.node);
	r = state_run(s, e, Q_MACHINE_RM, "t", mac);
	return r < 0 ? r : 0;
}

int state_bind(struct state *s, const char *node, const char *mac, uint64_t now, struct ssi_err *e)
{
	int r = state_run(s, e, Q_MACHINE_ENTER, "ti", mac, now);

	if (r >= 0)
		r = state_run(s, e, Q_UNBIND, "t", node);
	if (r >= 0)
		r = state_run(s, e, Q_UNBIND_MAC, "t", mac);
	if (r >= 0)
		r = state_run(s, e, Q_MACHINE_SPARE, "tn", mac, 0);
	if (r >= 0)
		r = state_run(s, e, Q_BIND, "tti", node, mac, now);
	return r < 0 ? r : 0;
}

int state_unbind(struct state *s, const char *node, struct ssi_err *e)
{
	return state_run(s, e, Q_UNBIND, "t", node);
}

static int one_text(struct state *s, enum state_query which, const char *key, char *ret, size_t n, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, which, "t", key);
	int r = state_step(s, q, e);

	if (r == 0)
		return ssi_errf(e, -ENOENT, "%s is not bound", key);
	if (r > 0)
		state_text(q, 0, ret, n);
	return r < 0 ? r : 0;
}

int state_machine_of(struct state *s, const char *node, char ret[SSI_MAC_LEN], struct ssi_err *e)
{
	return one_text(s, Q_MACHINE_OF, node, ret, SSI_MAC_LEN, e);
}

int state_node_of(struct state *s, const char *mac, char ret[64], struct ssi_err *e)
{
	return one_text(s, Q_NODE_OF, mac, ret, 64, e);
}
