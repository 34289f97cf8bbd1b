/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what besieges a whole ssi-bootsvc that somebody else has started: strangers at its door, and a node with a good key that says what no
 * node may say, or too much of what it may. Three machines are booted for it from the daemon's own boot scripts: the hostile one, one whose
 * token is used again, and a friend, who measures how long his JOIN waits for its answer, storing and all. Called by siege.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/hash.h"
#include "ssi/boot/boot.pb-c.h"
#include "ssi/membership/membership.pb-c.h"
#include "tests/chaos/siege.h"
#include "tests/sim/sim.h"

#define HOSTILE 0xff01               /* the numbers of their cards: behind those of sim-nodes */
#define ROBBED 0xff02
#define FRIEND 0xff03
#define HTTP_PORT 7780
#define BODY_MAX 4096
#define PACE_US 5000
#define EVENTS 20000                 /* that the hostile node reports at a go; the daemon takes a hundred a minute */
#define DEAF 3000                    /* JOINs whose answers it does not hear */

static struct siege_names names = {
	.nobody = { SSI_IDENTITY_NODE, "nobody", 1 }, .self = SSI_CCM_MASTER,
	.may = { { SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, 64u << 10 }, { SSI_MOD_MEMBERSHIP, SSI_MEMBER_HEARTBEAT, 256 } },
	/* What machines that boot say, and what the master says. */
	.may_not = {
		{ SSI_MOD_BOOT, SSI_BOOT_TOKEN, 1 }, { SSI_MOD_BOOT, SSI_BOOT_TOKEN_REPLY, 1 }, { SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, 1 },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW, 1 }, { SSI_MOD_MEMBERSHIP, SSI_MEMBER_ORDER, 1 }, { SSI_MOD_REXEC, SSI_REXEC_EXEC, 1 },
	},
};
static struct siege_friend good = {
	.module = SSI_MOD_MEMBERSHIP, .asks = SSI_MEMBER_JOIN, .hears = SSI_MEMBER_JOIN_REPLY, .pace_us = PACE_US,
};
static struct ssi_bootargs hostile, friend;

static int boot(struct in_addr master, uint32_t number, struct ssi_bootargs *ret, uint8_t ret_key[SSI_TLS_KEY])
{
	char mac[SSI_MAC_LEN];
	struct ssi_err e;
	int r;

	boot_mac(mac, number);
	r = boot_node(master, HTTP_PORT, 0, mac, ret, ret_key, &e);
	if (r < 0)
		fprintf(stderr, "no boot of %s: %s\n", mac, e.text);
	return r;
}

/* A JOIN as a node says it; its size. */
static size_t pack_join(const struct ssi_bootargs *a, uint32_t cpus, uint8_t buf[BODY_MAX])
{
	Ssi__Membership__Inventory inventory = SSI__MEMBERSHIP__INVENTORY__INIT;
	Ssi__Membership__Join m = SSI__MEMBERSHIP__JOIN__INIT;

	inventory.cpus = cpus;
	inventory.memory = UINT64_C(1) << 30;
	m.node = (char *)a->node;
	m.incarnation = a->incarnation;
	m.inventory = &inventory;
	m.rejoin = true;
	return ssi__membership__join__pack(&m, buf);
}

static struct ssi_identity identity_of(const struct ssi_bootargs *a, bool node)
{
	struct ssi_identity id = { .kind = node ? SSI_IDENTITY_NODE : SSI_IDENTITY_BOOT, .incarnation = a->incarnation };

	snprintf(id.who, sizeof(id.who), "%s", node ? a->node : a->mac);
	return id;
}

int siege_daemon_prepare(struct in_addr master, uint16_t *ret_port)
{
	struct ssi_bootargs before, robbed;
	uint8_t key[SSI_TLS_KEY];

	if (boot(master, HOSTILE, &before, names.before_key) < 0 || boot(master, HOSTILE, &hostile, names.key) < 0 ||
	    boot(master, ROBBED, &robbed, key) < 0 || boot(master, FRIEND, &friend, good.key) < 0 ||
	    ssi_hash_unhex(robbed.token, names.used_key, sizeof(names.used_key)) < 0)
		return -ENOTCONN;
	names.hostile = identity_of(&hostile, true);
	names.before = identity_of(&before, true);
	names.used = identity_of(&robbed, false);
	names.number = hostile.number;
	names.other = friend.number;
	good.as = (struct ssi_ccm_as){ .number = friend.number, .incarnation = friend.incarnation };
	snprintf(good.as.who, sizeof(good.as.who), "%s", friend.node);
	good.n = pack_join(&friend, 2, good.body);
	*ret_port = hostile.port;
	return 0;
}

/* --- attacks --- */

static int say_and_hear(struct siege *s, struct raider *r, uint16_t module, uint16_t type, const void *body, size_t n)
{
	const struct siege_word w = { module, type, 0 };

	return session_greet_and_say(s, r, session_frame(s, &w, 1, (uint32_t)n), body, n);
}

static int beat_without_join(struct siege *s, struct raider *r)
{
	return say_and_hear(s, r, SSI_MOD_MEMBERSHIP, s->i % 2 ? SSI_MEMBER_HEARTBEAT : SSI_MEMBER_LEAVE, NULL, 0);
}

static int garbage_body(struct siege *s, struct raider *r)
{
	static const uint8_t garbage[] = { 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 'n', '0', '1' };

	return say_and_hear(s, r, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, garbage, sizeof(garbage));
}

static int join_as_another(struct siege *s, struct raider *r)
{
	struct ssi_bootargs other = friend;
	uint8_t body[BODY_MAX];

	if (s->i % 2) {
		other = hostile;
		other.incarnation++;
	}
	return say_and_hear(s, r, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, body, pack_join(&other, 1, body));
}

/* Report and report: each is an event. */
static int flood_of_events(struct siege *s, struct raider *r)
{
	const struct siege_word w = { SSI_MOD_BOOT, SSI_BOOT_NODE_EVENT, 0 };
	Ssi__Boot__NodeEvent m = SSI__BOOT__NODE_EVENT__INIT;
	uint8_t body[BODY_MAX];
	int k = session_greet(s, r);
	size_t n;

	m.kind = (char *)"siege";
	m.text = (char *)"look at me";
	n = ssi__boot__node_event__pack(&m, body);
	for (uint64_t serial = 1; serial <= EVENTS && k >= 0; serial++) {
		const struct station_frame f = session_frame(s, &w, serial, (uint32_t)n);

		k = session_say(r, &f, body, n);
	}
	return k;
}

/* Join with other hardware each time, which everyone is told of, and never hear an answer. */
static int deaf(struct siege *s, struct raider *r)
{
	uint8_t body[BODY_MAX];
	int k = session_greet(s, r);

	for (uint64_t serial = 1; serial <= DEAF && k >= 0; serial++) {
		size_t n = pack_join(&hostile, 1 + serial % 2, body);
		const struct station_frame f = session_frame(s, &names.may[0], serial, (uint32_t)n);

		k = session_say(r, &f, body, n);
	}
	return k == -ECONNRESET || k == -EPIPE ? 0 : k;
}

static const struct siege_attack of_daemon[] = {
	{ "beat without join", 50, 1000, false, -ECONNRESET, beat_without_join },
	{ "garbage body", 50, 1000, false, -ECONNRESET, garbage_body },
	{ "join as another", 50, 1000, false, -ECONNRESET, join_as_another },
	{ "flood of events", 1, 10, false, 0, flood_of_events },
	{ "deaf", 2, 20, true, 0, deaf },
	{ 0 },
};

const struct siege_target siege_daemon = { "daemon", &names, &good, NULL, { door_attacks, session_attacks, of_daemon, NULL } };
