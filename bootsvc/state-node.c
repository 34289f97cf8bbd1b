/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes and their incarnations. A node's row outlives its section in nodes.d: its numbers never start again. Of boots and
 * their timelines the last BOOTS_KEPT of each node are kept.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/state-internal.h"

#define BOOTS_KEPT 4
#define BOOT_COLUMNS "node, mac, incarnation, armed, image, generation, token, key, over, root, state FROM boot"

const char *const state_node_sql[Q_COUNT] = {
	[Q_NODE_EACH] = "SELECT n.name, n.state, n.reason, n.incarnation, n.since, b.generation, b.image, n.inventory, n.hold FROM node n"
			" LEFT JOIN boot b ON b.node = n.name AND b.incarnation = n.incarnation ORDER BY n.name",
	[Q_NODE_PUT] = "INSERT INTO node(name, state, incarnation, since, reason, last) VALUES(?1, ?2, ?3, ?4, ?5, ?3) ON CONFLICT(name) DO"
		       " UPDATE SET state = ?2, incarnation = ?3, since = ?4, reason = ?5, last = max(last, ?3)",
	[Q_NODE_INVENTORY] = "UPDATE node SET inventory = ?2 WHERE name = ?1",
	[Q_NODE_HOLD] = "INSERT INTO node(name, hold) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET hold = ?2",
	[Q_NODE_LAST] = "SELECT last FROM node WHERE name = ?1",
	[Q_NODE_NEXT] = "INSERT INTO node(name, last) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET last = ?2",
	[Q_NUMBER_EACH] = "SELECT node, number FROM number",
	[Q_NUMBER_PUT] = "INSERT INTO number(node, number) VALUES(?1, ?2)",
	[Q_BOOT_PUT] = "INSERT OR REPLACE INTO boot(node, mac, incarnation, armed, image, generation, token, root, state)"
		     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[Q_BOOT_GET] = "SELECT " BOOT_COLUMNS " WHERE node = ?1 AND incarnation = ?2",
	[Q_BOOT_NEWEST] = "SELECT " BOOT_COLUMNS " WHERE node = ?1 ORDER BY incarnation DESC LIMIT 1",
	[Q_BOOT_BY_MAC] = "SELECT " BOOT_COLUMNS " WHERE mac = ?1 AND incarnation = ?2 ORDER BY armed DESC LIMIT 1",
	[Q_BOOT_USE] = "UPDATE boot SET key = ?3 WHERE node = ?1 AND incarnation = ?2 AND key IS NULL AND NOT over",
	[Q_BOOT_END] = "UPDATE boot SET over = 1 WHERE node = ?1 AND incarnation = ?2",
	[Q_BOOT_LEAVE] = "UPDATE boot SET over = 2 WHERE node = ?1 AND incarnation = ?2 AND NOT over",
	/* Those that have, or were about to have, disks of the master's. */
	[Q_DOORS] = "SELECT b.node, b.incarnation, n.since FROM boot b JOIN node n ON n.name = b.node AND n.incarnation = b.incarnation"
		    " WHERE b.key IS NOT NULL AND b.over <> 1 AND (b.root = 'iscsi' OR b.state <> '')",
	[Q_BOOT_END_ALL] = "UPDATE boot SET over = 1 WHERE node = ?1",
	[Q_BOOT_PRUNE] = "DELETE FROM boot WHERE node = ?1 AND incarnation <= ?2"
			 " AND incarnation <> (SELECT incarnation FROM node WHERE name = ?1)",
	[Q_STAGE_PRUNE] = "DELETE FROM stage WHERE node = ?1 AND incarnation <= ?2"
			  " AND incarnation <> (SELECT incarnation FROM node WHERE name = ?1)",
	/* A boot that was armed and not used may be on its way. */
	[Q_GENERATIONS] = "SELECT b.node, b.image, b.generation, b.root, b.incarnation FROM boot b JOIN node n ON n.name = b.node"
			  " WHERE NOT b.over AND n.state <> 'off' AND (b.incarnation = n.incarnation OR b.incarnation = n.last)",
	[Q_BOOT_SHARED] = "UPDATE boot SET shared = ?3 WHERE node = ?1 AND incarnation = ?2",
	[Q_SHARED] = "SELECT DISTINCT b.node, b.shared FROM boot b JOIN node n ON n.name = b.node WHERE NOT b.over AND n.state <> 'off'"
		     " AND b.shared <> '' AND (b.incarnation = n.incarnation OR b.incarnation = n.last)",
	/* A new name only where there is room: names are a node's own words. */
	[Q_STAGE_PUT] = "INSERT OR REPLACE INTO stage(node, incarnation, name, start_ms, end_ms, tries) SELECT ?1, ?2, ?3, ?4, ?5, ?6"
			" WHERE EXISTS (SELECT 1 FROM stage WHERE node = ?1 AND incarnation = ?2 AND name = ?3)"
			" OR (SELECT count(*) FROM stage WHERE node = ?1 AND incarnation = ?2) < ?7",
	[Q_STAGE_EACH] = "SELECT name, start_ms, end_ms, tries FROM stage WHERE node = ?1 AND incarnation = ?2 ORDER BY start_ms, end_ms",
};

int state_node_each(struct state *s, state_node_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_NODE_EACH, "");
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_node n = {
			.incarnation = (uint64_t)sqlite3_column_int64(q, 3),
			.since = (uint64_t)sqlite3_column_int64(q, 4),
			.inventory = (char *)sqlite3_column_text(q, 7),
		};

		state_text(q, 0, n.name, sizeof(n.name));
		state_text(q, 1, n.state, sizeof(n.state));
		state_text(q, 2, n.reason, sizeof(n.reason));
		state_text(q, 5, n.generation, sizeof(n.generation));
		state_text(q, 6, n.image, sizeof(n.image));
		state_text(q, 8, n.hold, sizeof(n.hold));
		fn(&n, userdata);
	}
	return r;
}

int state_node_put(struct state *s, const char *name, const char *state, uint64_t incarnation, uint64_t since, const char *reason, struct ssi_err *e)
{
	int r = state_run(s, e, Q_NODE_PUT, "ttiit", name, state, incarnation, since, reason);

	return r < 0 ? r : 0;
}

int state_node_inventory(struct state *s, const char *name, const char *json, struct ssi_err *e)
{
	int r = state_run(s, e, Q_NODE_INVENTORY, "tt", name, json);

	return r < 0 ? r : 0;
}

int state_node_hold(struct state *s, const char *name, const char *hold, struct ssi_err *e)
{
	int r = state_run(s, e, Q_NODE_HOLD, "tt", name, hold);

	return r < 0 ? r : 0;
}

int state_number_each(struct state *s, void (*fn)(const char *node, uint32_t number, void *userdata), void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_NUMBER_EACH, "");
	int r;

	while ((r = state_step(s, q, e)) > 0)
		fn((const char *)sqlite3_column_text(q, 0), (uint32_t)sqlite3_column_int64(q, 1), userdata);
	return r;
}

int state_number_put(struct state *s, const char *node, uint32_t number, struct ssi_err *e)
{
	int r = state_run(s, e, Q_NUMBER_PUT, "ti", node, (uint64_t)number);

	return r < 0 ? r : 0;
}

static int boot_row(struct state *s, sqlite3_stmt *q, struct state_boot *b, struct ssi_err *e)
{
	int r = state_step(s, q, e);

	if (r <= 0)
		return r < 0 ? r : ssi_errf(e, -ENOENT, "no such boot");
	*b = (struct state_boot) {
		.incarnation = (uint64_t)sqlite3_column_int64(q, 2),
		.armed = (uint64_t)sqlite3_column_int64(q, 3),
		.used = sqlite3_column_type(q, 7) != SQLITE_NULL,
		.over = sqlite3_column_int(q, 8) != 0, .left = sqlite3_column_int(q, 8) == 2,
	};
	state_text(q, 0, b->node, sizeof(b->node));
	state_text(q, 1, b->mac, sizeof(b->mac));
	state_text(q, 4, b->image, sizeof(b->image));
	state_text(q, 5, b->generation, sizeof(b->generation));
	state_text(q, 9, b->root, sizeof(b->root));
	state_text(q, 10, b->state, sizeof(b->state));
	if (sqlite3_column_bytes(q, 6) != SSI_CCM_KEY || (b->used && sqlite3_column_bytes(q, 7) != SSI_CCM_KEY))
		return ssi_errf(e, -EIO, "the state database: a key of %s has a wrong size", b->node);
	memcpy(b->token, sqlite3_column_blob(q, 6), SSI_CCM_KEY);
	if (b->used)
		memcpy(b->key, sqlite3_column_blob(q, 7), SSI_CCM_KEY);
	return 0;
}

int state_boot_get(struct state *s, const char *node, uint64_t incarnation, struct state_boot *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_BOOT_GET, "ti", node, incarnation);

	return boot_row(s, q, ret, e);
}

int state_boot_newest(struct state *s, const char *node, struct state_boot *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_BOOT_NEWEST, "t", node);

	return boot_row(s, q, ret, e);
}

int state_boot_by_mac(struct state *s, const char *mac, uint64_t incarnation, struct state_boot *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_BOOT_BY_MAC, "ti", mac, incarnation);

	return boot_row(s, q, ret, e);
}

static int node_last(struct state *s, const char *node, uint64_t *ret, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_NODE_LAST, "t", node);
	int r = state_step(s, q, e);

	if (r >= 0)
		*ret = r > 0 ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
	return r < 0 ? r : 0;
}

int state_boot_arm(struct state *s, struct state_boot *b, struct ssi_err *e)
{
	struct state_boot last;
	uint64_t number = 0;
	int r = node_last(s, b->node, &number, e);

	if (r < 0)
		return r;
	r = state_boot_newest(s, b->node, &last, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r < 0 || last.used || last.over || last.incarnation != number || strcmp(last.mac, b->mac) != 0)
		number++;
	r = state_run(s, e, Q_NODE_NEXT, "ti", b->node, number);
	if (r >= 0)
		r = state_run(s, e, Q_BOOT_PUT, "ttiittbtt", b->node, b->mac, number, b->armed, b->image, b->generation, b->token, b->root,
			      b->state);
	if (r >= 0 && number > BOOTS_KEPT) {
		r = state_run(s, e, Q_BOOT_PRUNE, "ti", b->node, number - BOOTS_KEPT);
		if (r >= 0)
			r = state_run(s, e, Q_STAGE_PRUNE, "ti", b->node, number - BOOTS_KEPT);
	}
	if (r < 0)
		return r;
	b->incarnation = number;
	return 0;
}

int state_boot_use(struct state *s, const char *node, uint64_t incarnation, const uint8_t key[SSI_CCM_KEY], struct ssi_err *e)
{
	int r = state_run(s, e, Q_BOOT_USE, "tib", node, incarnation, key);

	if (r == 0)
		return ssi_errf(e, -EKEYREVOKED, "the token of %s, incarnation %llu, was used before", node, (unsigned long long)incarnation);
	return r < 0 ? r : 0;
}

int state_boot_end(struct state *s, const char *node, uint64_t incarnation, struct ssi_err *e)
{
	int r = state_run(s, e, Q_BOOT_END, "ti", node, incarnation);

	return r < 0 ? r : 0;
}

int state_boot_leave(struct state *s, const char *node, uint64_t incarnation, struct ssi_err *e)
{
	int r = state_run(s, e, Q_BOOT_LEAVE, "ti", node, incarnation);

	return r < 0 ? r : 0;
}

int state_doors(struct state *s, state_door_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_DOORS, "");
	struct state_boot b;
	char node[64];
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		state_text(q, 0, node, sizeof(node));
		if (state_boot_get(s, node, (uint64_t)sqlite3_column_int64(q, 1), &b, NULL) == 0)
			fn(&b, (uint64_t)sqlite3_column_int64(q, 2), userdata);
		explicit_bzero(&b, sizeof(b));
	}
	return r;
}

int state_boot_end_all(struct state *s, const char *node, struct ssi_err *e)
{
	int r = state_run(s, e, Q_BOOT_END_ALL, "t", node);

	return r < 0 ? r : 0;
}

int state_generations_used(struct state *s, state_generation_fn fn, void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_GENERATIONS, "");
	char node[64], image[65], generation[80], root[8];
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		state_text(q, 0, node, sizeof(node));
		state_text(q, 1, image, sizeof(image));
		state_text(q, 2, generation, sizeof(generation));
		state_text(q, 3, root, sizeof(root));
		fn(node, (uint64_t)sqlite3_column_int64(q, 4), image, generation, root, userdata);
	}
	return r;
}

int state_boot_shared(struct state *s, const char *node, uint64_t incarnation, const char *shared, struct ssi_err *e)
{
	int r = state_run(s, e, Q_BOOT_SHARED, "tit", node, incarnation, shared);

	return r < 0 ? r : 0;
}

int state_shared_used(struct state *s, void (*fn)(const char *node, const char *shared, void *userdata), void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_SHARED, "");
	char shared[STATE_SHARED], node[64];
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		state_text(q, 0, node, sizeof(node));
		state_text(q, 1, shared, sizeof(shared));
		fn(node, shared, userdata);
	}
	return r;
}

int state_stage_put(struct state *s, const char *node, uint64_t incarnation, const struct state_stage *g, struct ssi_err *e)
{
	int r = state_run(s, e, Q_STAGE_PUT, "titiinn", node, incarnation, g->name, g->start_ms, g->end_ms, (int)g->tries, STATE_STAGES);

	return r < 0 ? r : 0;
}

int state_stage_each(struct state *s, const char *node, uint64_t incarnation, void (*fn)(const struct state_stage *g, void *userdata),
		     void *userdata, struct ssi_err *e)
{
	_cleanup_query_ sqlite3_stmt *q = state_query(s, Q_STAGE_EACH, "ti", node, incarnation);
	int r;

	while ((r = state_step(s, q, e)) > 0) {
		struct state_stage g = {
			.start_ms = (uint64_t)sqlite3_column_int64(q, 1),
			.end_ms = (uint64_t)sqlite3_column_int64(q, 2),
			.tries = (uint32_t)sqlite3_column_int(q, 3),
		};

		state_text(q, 0, g.name, sizeof(g.name));
		fn(&g, userdata);
	}
	return r;
}
