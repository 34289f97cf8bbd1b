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
#define PING_MS 15000                /* as in siege-ccm.c */
#define PACE_US 5000
#define BODY_MAX 4096
#define EVENTS 20000                 /* that the hostile node reports at a go; the daemon takes a hundred a minute */
#define DEAF 3000                    /* JOINs whose answers it does not hear */

static struct siege_names names = { .nobody = { SSI_IDENTITY_NODE, "nobody", 1 } };
static uint8_t robbed_token[SSI_TLS_KEY], friend_key[SSI_TLS_KEY];
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

int siege_daemon_prepare(struct in_addr master, uint16_t *ret_port)
{
	struct ssi_bootargs robbed;
	uint8_t key[SSI_TLS_KEY];

	if (boot(master, HOSTILE, &hostile, names.key) < 0 || boot(master, ROBBED, &robbed, key) < 0 || boot(master, FRIEND, &friend, friend_key) < 0 ||
	    ssi_hash_unhex(robbed.token, robbed_token, sizeof(robbed_token)) < 0)
		return -ENOTCONN;
	names.hostile = names.before = (struct ssi_identity){ .kind = SSI_IDENTITY_NODE, .incarnation = hostile.incarnation };
	names.used = (struct ssi_identity){ .kind = SSI_IDENTITY_BOOT, .incarnation = robbed.incarnation };
	snprintf(names.hostile.who, sizeof(names.hostile.who), "%s", hostile.node);
	snprintf(names.before.who, sizeof(names.before.who), "%s", hostile.node);
	snprintf(names.used.who, sizeof(names.used.who), "%s", robbed.mac);
	names.before.incarnation += 7;
	*ret_port = hostile.port;
	return 0;
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

/* --- the friend --- */

static void befriend(uint16_t port, struct gauge *g)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = friend.incarnation };
	struct ssi_ccm_line *l = NULL;
	static uint8_t answer[1 << 20];
	uint8_t join[BODY_MAX];
	size_t n = pack_join(&friend, 2, join), len;

	snprintf(id.who, sizeof(id.who), "%s", friend.node);
	if (ssi_ccm_dial(friend.master, port, &id, friend_key, PING_MS, &l, NULL) < 0)
		g->failed++;
	for (uint64_t i = 1; l; i++) {
		uint64_t began = gauge_now_us();

		if (ssi_ccm_line_send(l, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, i, join, n, PING_MS, NULL) < 0 ||
		    ssi_ccm_line_recv(l, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY, answer, sizeof(answer), &len, PING_MS, NULL) < 0) {
			g->failed++;
			return;
		}
		gauge_add(g, gauge_now_us() - began);
		usleep(PACE_US);
	}
}

/* --- attacks --- */

static int say(struct raider *r, uint16_t module, uint16_t type, const void *body, size_t n)
{
	const struct ssi_frame f = { .module = module, .type = type, .incarnation = hostile.incarnation, .size = (uint32_t)n };
	uint8_t frame[SSI_WIRE_HEADER + BODY_MAX];

	ssi_wire_encode(&f, frame);
	if (n)
		memcpy(frame + SSI_WIRE_HEADER, body, n);
	return raider_say(r, frame, SSI_WIRE_HEADER + n);
}

static int say_and_hear(struct siege *s, struct raider *r, uint16_t module, uint16_t type, const void *body, size_t n)
{
	int k = siege_enter(s, r);

	if (k >= 0)
		k = say(r, module, type, body, n);
	return k < 0 ? k : raider_verdict(r);
}

static int header_and_hear(struct siege *s, struct raider *r, const struct ssi_frame *f)
{
	uint8_t header[SSI_WIRE_HEADER];
	int k = siege_enter(s, r);

	ssi_wire_encode(f, header);
	if (k >= 0)
		k = raider_say(r, header, sizeof(header));
	return k < 0 ? k : raider_verdict(r);
}

static int used_token(struct siege *s, struct raider *r)
{
	int k = raider_enter(r, s->port, &names.used, robbed_token);

	return k < 0 ? k : raider_verdict(r);
}

static int oversize(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = SSI_MOD_MEMBERSHIP, .type = s->i % 2 ? SSI_MEMBER_HEARTBEAT : SSI_MEMBER_JOIN,
				     .incarnation = hostile.incarnation, .size = s->i % 2 ? 257 : UINT32_MAX };

	return header_and_hear(s, r, &f);
}

static int stale_frame(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = SSI_MOD_MEMBERSHIP, .type = SSI_MEMBER_HEARTBEAT, .incarnation = hostile.incarnation + 1 };

	return header_and_hear(s, r, &f);
}

static int unknown_type(struct siege *s, struct raider *r)
{
	return say_and_hear(s, r, (uint16_t)(1 + s->i % 5), (uint16_t)(100 + s->i), NULL, 0);
}

/* What machines that boot say, and what the master says. */
static int wrong_sender(struct siege *s, struct raider *r)
{
	static const struct { uint16_t module, type; } not_mine[] = {
		{ SSI_MOD_BOOT, SSI_BOOT_TOKEN }, { SSI_MOD_BOOT, SSI_BOOT_TOKEN_REPLY }, { SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN_REPLY },
		{ SSI_MOD_MEMBERSHIP, SSI_MEMBER_VIEW }, { SSI_MOD_MEMBERSHIP, SSI_MEMBER_ORDER }, { SSI_MOD_REXEC, SSI_REXEC_EXEC },
	};
	size_t i = s->i % (sizeof(not_mine) / sizeof(*not_mine));

	return say_and_hear(s, r, not_mine[i].module, not_mine[i].type, NULL, 0);
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

static int half_frame(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = SSI_MOD_MEMBERSHIP, .type = SSI_MEMBER_JOIN, .incarnation = hostile.incarnation, .size = BODY_MAX };
	uint8_t header[SSI_WIRE_HEADER];
	int k = siege_enter(s, r);

	ssi_wire_encode(&f, header);
	return k < 0 ? k : raider_say(r, header, sizeof(header));
}

/* Report and report: each is an event. */
static int flood_of_events(struct siege *s, struct raider *r)
{
	Ssi__Boot__NodeEvent m = SSI__BOOT__NODE_EVENT__INIT;
	uint8_t body[BODY_MAX];
	int k = siege_enter(s, r);
	size_t n;

	m.kind = (char *)"siege";
	m.text = (char *)"look at me";
	n = ssi__boot__node_event__pack(&m, body);
	for (int i = 0; i < EVENTS && k >= 0; i++)
		k = say(r, SSI_MOD_BOOT, SSI_BOOT_NODE_EVENT, body, n);
	return k;
}

/* Join with other hardware each time, which everyone is told of, and never hear an answer. */
static int deaf(struct siege *s, struct raider *r)
{
	uint8_t body[BODY_MAX];
	int k = siege_enter(s, r);

	for (uint32_t i = 0; i < DEAF && k >= 0; i++)
		k = say(r, SSI_MOD_MEMBERSHIP, SSI_MEMBER_JOIN, body, pack_join(&hostile, 1 + i % 2, body));
	return k == -ECONNRESET || k == -EPIPE || k >= 0 ? 0 : k;
}

static const struct siege_attack attacks[] = {
	{ "wrong key", 100, 2000, false, -EKEYREJECTED, door_wrong_key },
	{ "unknown name", 100, 2000, false, -EKEYREJECTED, door_unknown_name },
	{ "wrong incarnation", 100, 2000, false, -EKEYREJECTED, door_wrong_incarnation },
	{ "used token", 100, 2000, false, -EKEYREVOKED, used_token },
	{ "garbage", 200, 5000, false, -ECONNRESET, door_garbage },
	{ "long hello", 100, 2000, true, 0, door_long_hello },
	{ "half hello", 1000, 10000, true, 0, door_half_hello },
	{ "idle", 10000, 10000, true, 0, door_idle },
	{ "come and go", 2000, 50000, false, 0, door_come_and_go },
	{ "oversize", 50, 1000, false, -ECONNRESET, oversize },
	{ "stale frame", 50, 1000, false, -ECONNRESET, stale_frame },
	{ "unknown type", 50, 1000, false, -ECONNRESET, unknown_type },
	{ "wrong sender", 60, 1200, false, -ECONNRESET, wrong_sender },
	{ "beat without join", 50, 1000, false, -ECONNRESET, beat_without_join },
	{ "garbage body", 50, 1000, false, -ECONNRESET, garbage_body },
	{ "join as another", 50, 1000, false, -ECONNRESET, join_as_another },
	{ "garbage inside", 50, 1000, false, -ECONNRESET, door_garbage_inside },
	{ "garbage below", 50, 1000, false, -ECONNRESET, door_garbage_below },
	{ "half frame", 100, 2000, true, 0, half_frame },
	{ "flood of events", 1, 10, false, 0, flood_of_events },
	{ "deaf", 2, 20, true, 0, deaf },
	{ 0 },
};

const struct siege_target siege_daemon = { .name = "daemon", .names = &names, .befriend = befriend, .attacks = attacks };
