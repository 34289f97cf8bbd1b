/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what besieges a station (libssi/comm/station.h). Called by siege.c. Frames are made by hand: no station would say them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/station.h"
#include "libssi/comm/station-frame.h"
#include "tests/chaos/siege.h"

#define SELF 100                     /* the endpoint's number: everyone else is lower, and connects */
#define GOOD 1
#define HOSTILE 66
#define NOW 7                        /* the incarnation that counts */
#define MOD_CALL 1                   /* answered; everyone's */
#define MOD_SHORT 2                  /* at most SHORT_MAX bytes, taken by nobody */
#define MOD_GOOD 3                   /* for the good one alone */
#define SHORT_MAX 16u
#define CALL_MAX (64u << 10)
#define WINDOW (128u << 10)
#define PING 64
#define PING_MS 15000                /* a round trip may take so long: what is late is measured, what never comes has failed */
#define PACE_US 1000

static const struct in_addr loopback = { 0x0100007f };
static const struct siege_names names = {
	.key = "the key of every node in here..",
	.hostile = { SSI_IDENTITY_NODE, "66", NOW }, .nobody = { SSI_IDENTITY_NODE, "67", NOW },
	.before = { SSI_IDENTITY_NODE, "66", NOW - 1 }, .used = { SSI_IDENTITY_BOOT, "52:54:00:00:00:01", NOW },
};

/* --- the endpoint --- */

static int on_key(uint32_t node, uint64_t incarnation, uint8_t ret[SSI_CCM_STATION_KEY], void *userdata)
{
	if ((node != GOOD && node != HOSTILE) || incarnation < NOW)
		return -ENOENT;
	memcpy(ret, names.key, SSI_CCM_STATION_KEY);
	return 0;
}

static void on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	struct siege_tally *t = userdata;

	t->let_in += state == SSI_CCM_UP || state == SSI_CCM_LINK_UP;
	t->gone += state == SSI_CCM_LINK_DOWN || state == SSI_CCM_GONE;
}

static void on_refused(struct in_addr peer, uint32_t node, const struct ssi_err *why, void *userdata)
{
	struct siege_tally *t = userdata;

	t->told++;
	t->why[(unsigned)-why->code % 256]++;
}

static void on_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	ssi_ccm_answer(s, call, body, call->size);
}

static void serve(int ready, struct siege_tally *t)
{
	static const struct ssi_ccm_station_ops ops = { .key = on_key, .state = on_state, .refused = on_refused };
	const struct ssi_ccm_station_config config = { .number = SELF, .incarnation = NOW, .address = loopback, .ops = &ops, .userdata = t, .window = WINDOW };
	const struct ssi_ccm_permit lines[] = {
		{ MOD_CALL, 0, CALL_MAX, 0, SELF }, { MOD_SHORT, 0, SHORT_MAX, 0, SELF }, { MOD_GOOD, 0, CALL_MAX, GOOD, GOOD },
	};
	struct ssi_ccm_station *s;
	uint16_t port;

	if (ssi_ccm_station_new(&config, &s, NULL) < 0 || ssi_ccm_permit(s, lines, sizeof(lines) / sizeof(*lines)) < 0 ||
	    ssi_ccm_regist(s, MOD_CALL, SSI_CCM_DEFAULT, on_call, NULL) < 0 || ssi_ccm_listen_to(s, SSI_CCM_ANY_NODE, NULL) < 0)
		return;
	port = ssi_ccm_station_port(s);
	if (write(ready, &port, sizeof(port)) == sizeof(port))
		for (;;)
			pause();
}

/* --- the good peer --- */

static void befriend(uint16_t port, struct gauge *g)
{
	const struct ssi_ccm_station_config config = { .number = GOOD, .incarnation = NOW, .address = loopback };
	const struct ssi_ccm_head to = { .node = SELF, .module = MOD_CALL, .type = 1 };
	struct ssi_ccm_station *s;
	uint8_t body[PING] = { 0 }, answer[PING];

	if (ssi_ccm_station_new(&config, &s, NULL) < 0 || ssi_ccm_connect_to(s, SELF, loopback, port, names.key) < 0 ||
	    ssi_ccm_await(s, SELF, PING_MS) < 0)
		g->failed++;
	while (!g->failed) {
		uint64_t began = gauge_now_us();

		memcpy(body, &began, sizeof(began));
		if (ssi_ccm_call(s, &to, SSI_CCM_SHORT, body, sizeof(body), answer, sizeof(answer), PING_MS) != PING || memcmp(answer, body, PING) != 0)
			g->failed++;
		gauge_add(g, gauge_now_us() - began);
		usleep(PACE_US);
	}
}

/* --- attacks of a node whose key is good --- */

static const struct station_frame from_hostile = { .source = HOSTILE, .destination = SELF, .incarnation = NOW };

static struct station_frame frame(uint16_t module, uint16_t type, uint64_t serial, uint32_t size)
{
	struct station_frame f = from_hostile;

	f.module = module;
	f.type = type;
	f.serial = serial;
	f.size = size;
	return f;
}

static int say_frame(struct raider *r, const struct station_frame *f, size_t body)
{
	static const uint8_t nothing[CALL_MAX];
	uint8_t header[STATION_HEADER];
	int k;

	station_frame_encode(f, header);
	k = raider_say(r, header, sizeof(header));
	return k < 0 ? k : raider_say(r, nothing, body);
}

/* HELLO with a new session, from whom f says. */
static int say_hello(struct siege *s, struct raider *r, const struct station_frame *f)
{
	const struct station_hello h = { .fresh = 1000 + s->i, .next = 1, .window = STATION_WINDOW_MIN, .retain = STATION_WINDOW_MIN };
	uint8_t bytes[STATION_HEADER + STATION_HELLO];

	station_frame_encode(f, bytes);
	station_hello_encode(&h, bytes + STATION_HEADER);
	return raider_say(r, bytes, sizeof(bytes));
}

/* Let in, and greeted in turn; -ENOTCONN when not: what is refused afterwards would not be refused for what it is. */
static int greet(struct siege *s, struct raider *r)
{
	struct station_frame f = frame(0, CONTROL_HELLO, 0, STATION_HELLO);
	uint8_t reply[STATION_HEADER + STATION_HELLO];
	int k = siege_enter(s, r);

	if (k >= 0)
		k = say_hello(s, r, &f);
	if (k >= 0)
		k = raider_hear(r, reply, sizeof(reply));
	return k < 0 || station_frame_decode(reply, &f, NULL) < 0 || f.module || f.type != CONTROL_HELLO ? -ENOTCONN : 0;
}

static int verdict(struct raider *r, int k)
{
	return k < 0 ? k : raider_verdict(r);
}

/* Let in, greeted, then this frame. */
static int greet_and_say(struct siege *s, struct raider *r, struct station_frame f, size_t body)
{
	int k = greet(s, r);

	return verdict(r, k < 0 ? k : say_frame(r, &f, body));
}

static int false_hello(struct siege *s, struct raider *r)
{
	struct station_frame f = frame(0, CONTROL_HELLO, 0, STATION_HELLO);
	int k = siege_enter(s, r);

	switch (s->i % 4) {
	case 0: f.source = GOOD; break;
	case 1: f.destination = SELF + 1; break;
	case 2: f.incarnation = NOW + 1; break;
	case 3: f.incarnation = NOW - 1; break;
	}
	return verdict(r, k < 0 ? k : say_hello(s, r, &f));
}

static int no_hello(struct siege *s, struct raider *r)
{
	const struct station_frame f = frame(MOD_CALL, 1, 1, PING);
	int k = siege_enter(s, r);

	return verdict(r, k < 0 ? k : say_frame(r, &f, PING));
}

static int half_station_hello(struct siege *s, struct raider *r)
{
	const struct station_frame f = frame(0, CONTROL_HELLO, 0, STATION_HELLO);
	int k = siege_enter(s, r);

	return k < 0 ? k : say_frame(r, &f, STATION_HELLO / 2);
}

static int oversize(struct siege *s, struct raider *r)
{
	return greet_and_say(s, r, s->i % 2 ? frame(MOD_SHORT, 1, 1, SHORT_MAX + 1) : frame(MOD_CALL, 1, 1, UINT32_MAX), 0);
}

static int wrong_sender(struct siege *s, struct raider *r)
{
	return greet_and_say(s, r, frame(MOD_GOOD, 1, 1, 1), 0);
}

static int unknown_module(struct siege *s, struct raider *r)
{
	return greet_and_say(s, r, frame((uint16_t)(100 + s->i), 1, 1, 1), 0);
}

static int false_source(struct siege *s, struct raider *r)
{
	struct station_frame f = frame(MOD_CALL, 1, 1, PING);

	f.source = s->i % 2 ? GOOD : HOSTILE + 1;
	return greet_and_say(s, r, f, 0);
}

static int stale_frame(struct siege *s, struct raider *r)
{
	struct station_frame f = frame(MOD_CALL, 1, 1, PING);

	f.incarnation = s->i % 2 ? NOW + 1 : NOW - 1;
	return greet_and_say(s, r, f, 0);
}

static int false_serial(struct siege *s, struct raider *r)
{
	return greet_and_say(s, r, frame(MOD_CALL, 1, s->i % 3 ? 2 + s->i : s->i % 2 ? UINT64_MAX : 0, PING), 0);
}

static int false_ack(struct siege *s, struct raider *r)
{
	struct station_frame f = frame(0, CONTROL_ACK, 0, 0);

	f.ack = 1000000;
	return greet_and_say(s, r, f, 0);
}

static int false_credit(struct siege *s, struct raider *r)
{
	const struct station_frame f = frame(0, CONTROL_CREDIT, 0, STATION_CREDIT);
	uint8_t bytes[STATION_HEADER + STATION_CREDIT];
	int k = greet(s, r);

	station_frame_encode(&f, bytes);
	station_credit_encode(s->i % 2 ? MOD_CALL : 999, 1 << 20, bytes + STATION_HEADER);
	return verdict(r, k < 0 ? k : raider_say(r, bytes, sizeof(bytes)));
}

/* Credit rides on every frame: more was taken than was ever sent. */
static int false_taken(struct siege *s, struct raider *r)
{
	struct station_frame f = frame(MOD_CALL, 1, 1, PING);

	f.taken = 1 << 20;
	return greet_and_say(s, r, f, PING);
}

/* More of a module that nobody serves than there is credit for. */
static int overdrawn(struct siege *s, struct raider *r)
{
	int k = greet(s, r);

	for (uint64_t serial = 1; k >= 0 && serial <= 2 * WINDOW / STATION_HEADER; serial++) {
		const struct station_frame f = frame(MOD_SHORT, 1, serial, 0);

		k = say_frame(r, &f, 0);
	}
	k = verdict(r, k);
	return k == -EPIPE ? -ECONNRESET : k;
}

static int half_frame(struct siege *s, struct raider *r)
{
	const struct station_frame f = frame(MOD_CALL, 1, 1, CALL_MAX);
	int k = greet(s, r);

	return k < 0 ? k : say_frame(r, &f, s->i % 2 ? CALL_MAX - 1 : 0);
}

/* As many calls as it takes, as fast as it goes; the answers are not heard. */
static int flood(struct siege *s, struct raider *r)
{
	int k = greet(s, r);

	for (uint64_t serial = 1; k >= 0 && serial <= 20000; serial++) {
		struct station_frame f = frame(MOD_CALL, 1, serial, 0);

		f.flags = KIND_SHORT | STATION_WANTS_ANSWER;
		k = say_frame(r, &f, 0);
	}
	return k == -ECONNRESET || k == -EPIPE || k == -ETIMEDOUT || k >= 0 ? 0 : k;
}

static const struct siege_attack attacks[] = {
	{ "wrong key", 200, 2000, false, -EKEYREJECTED, door_wrong_key },
	{ "unknown name", 200, 2000, false, -EKEYREJECTED, door_unknown_name },
	{ "wrong incarnation", 200, 2000, false, -EKEYREJECTED, door_wrong_incarnation },
	{ "a booting machine's name", 200, 2000, false, -EKEYREJECTED, door_replayed_token },
	{ "garbage", 500, 5000, false, -ECONNRESET, door_garbage },
	{ "long hello", 200, 2000, true, 0, door_long_hello },
	{ "half hello", 2000, 10000, true, 0, door_half_hello },
	{ "idle", 10000, 10000, true, 0, door_idle },
	{ "come and go", 5000, 50000, false, 0, door_come_and_go },
	{ "no HELLO", 100, 1000, false, -ECONNRESET, no_hello },
	{ "false HELLO", 100, 1000, false, -ECONNRESET, false_hello },
	{ "half HELLO", 500, 2000, true, 0, half_station_hello },
	{ "oversize", 100, 1000, false, -ECONNRESET, oversize },
	{ "wrong sender", 100, 1000, false, -ECONNRESET, wrong_sender },
	{ "unknown module", 100, 1000, false, -ECONNRESET, unknown_module },
	{ "false source", 100, 1000, false, -ECONNRESET, false_source },
	{ "stale frame", 100, 1000, false, -ECONNRESET, stale_frame },
	{ "false serial", 100, 1000, false, -ECONNRESET, false_serial },
	{ "false ack", 100, 1000, false, -ECONNRESET, false_ack },
	{ "false credit", 100, 1000, false, -ECONNRESET, false_credit },
	{ "false taken", 100, 1000, false, -ECONNRESET, false_taken },
	{ "overdrawn credit", 10, 100, false, -ECONNRESET, overdrawn },
	{ "garbage inside", 100, 1000, false, -ECONNRESET, door_garbage_inside },
	{ "garbage below", 100, 1000, false, -ECONNRESET, door_garbage_below },
	{ "half frame", 500, 2000, true, 0, half_frame },
	{ "idle inside", 500, 10000, true, 0, greet },
	{ "flood", 1, 10, false, 0, flood },
	{ 0 },
};

const struct siege_target siege_station = { .name = "station", .names = &names, .serve = serve, .befriend = befriend, .attacks = attacks };
