/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what besieges libssi/comm/ccm.h, the endpoint of the daemon. Called by siege.c. */
#include <errno.h>
#include <string.h>
#include "libssi/comm/ccm.h"
#include "tests/chaos/siege.h"

#define MOD 2
#define TYPE_ECHO 1                  /* answered with its body */
#define TYPE_SHORT 3                 /* at most SHORT_MAX bytes, not answered */
#define TYPE_BOOT 9                  /* a booting machine's to send, no node's */
#define SHORT_MAX 16u
#define ECHO_MAX (64u << 10)
#define PING 64
#define PING_MS 15000                /* a round trip may take so long: what is late is measured, what never comes has failed */
#define PACE_US 1000                 /* one each so long */
#define NOW 7                        /* the incarnation that counts */

static const struct in_addr loopback = { 0x0100007f };
static const struct ssi_identity good = { SSI_IDENTITY_NODE, "n01", NOW };
static const struct siege_names names = {
	.key = "the key of every node in here..",
	.hostile = { SSI_IDENTITY_NODE, "n66", NOW }, .nobody = { SSI_IDENTITY_NODE, "nobody", NOW },
	.before = { SSI_IDENTITY_NODE, "n66", NOW - 1 }, .used = { SSI_IDENTITY_BOOT, "52:54:00:00:00:01", NOW - 1 },
};

/* --- the endpoint --- */

static int on_key(const struct ssi_identity *id, struct in_addr peer, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	if (strcmp(id->who, good.who) && strcmp(id->who, names.hostile.who) && id->kind != SSI_IDENTITY_BOOT)
		return -ENOENT;
	memcpy(ret, names.key, SSI_CCM_KEY);
	return id->incarnation < NOW ? 2 : 0;
}

static void count(struct siege_tally *t, const struct ssi_err *why)
{
	t->why[(unsigned)-why->code % 256]++;
}

static void on_opened(struct ssi_ccm_conn *c, void *userdata)
{
	((struct siege_tally *)userdata)->let_in++;
}

static void on_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	((struct siege_tally *)userdata)->gone++;
	count(userdata, why);
}

static void on_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	((struct siege_tally *)userdata)->told++;
	count(userdata, why);
}

static int on_echo(struct ssi_ccm_conn *c, const struct ssi_frame *f, const uint8_t *body, void *userdata)
{
	return ssi_ccm_send(c, f->module, f->type, SSI_WIRE_REPLY, f->sequence, body, f->size);
}

static int on_short(struct ssi_ccm_conn *c, const struct ssi_frame *f, const uint8_t *body, void *userdata)
{
	return 0;
}

static void serve(int ready, struct siege_tally *t)
{
	static const struct ssi_ccm_ops ops = { .key = on_key, .opened = on_opened, .closed = on_closed, .refused = on_refused };
	static const struct ssi_ccm_rule rules[] = {
		{ MOD, TYPE_ECHO, ECHO_MAX, SSI_FROM_NODE, on_echo, NULL },
		{ MOD, TYPE_SHORT, SHORT_MAX, SSI_FROM_NODE, on_short, NULL },
		{ MOD, TYPE_BOOT, 256, SSI_FROM_BOOT, on_short, NULL },
	};
	struct ssi_ccm *m;
	sd_event *event;
	uint16_t port;

	if (sd_event_new(&event) < 0 || ssi_ccm_new(event, &ops, t, &m) < 0 ||
	    ssi_ccm_register(m, rules, sizeof(rules) / sizeof(*rules)) < 0 || ssi_ccm_listen(m, loopback, 0, NULL) < 0)
		return;
	port = ssi_ccm_port(m);
	if (write(ready, &port, sizeof(port)) == sizeof(port))
		sd_event_loop(event);
}

/* --- the good peer --- */

static int ping(struct ssi_ccm_line *l, uint64_t sequence)
{
	uint8_t body[PING] = { 0 };
	size_t len;
	int r;

	memcpy(body, &sequence, sizeof(sequence));
	r = ssi_ccm_line_send(l, MOD, TYPE_ECHO, sequence, body, sizeof(body), PING_MS, NULL);
	if (r >= 0)
		r = ssi_ccm_line_recv(l, MOD, TYPE_ECHO, body, sizeof(body), &len, PING_MS, NULL);
	return r < 0 ? r : len == PING && !memcmp(body, &sequence, sizeof(sequence)) ? 0 : -EBADMSG;
}

static void befriend(uint16_t port, struct gauge *g)
{
	struct ssi_ccm_line *l = NULL;

	if (ssi_ccm_dial(loopback, port, &good, names.key, PING_MS, &l, NULL) < 0)
		g->failed++;
	for (uint64_t i = 0; l; i++) {
		uint64_t began = gauge_now_us();

		if (ping(l, i) < 0) {
			g->failed++;
			return;
		}
		gauge_add(g, gauge_now_us() - began);
		usleep(PACE_US);
	}
}

/* --- attacks of a node whose key is good --- */

static int say_frame(struct siege *s, struct raider *r, const struct ssi_frame *f, size_t body)
{
	static const uint8_t nothing[ECHO_MAX];
	uint8_t header[SSI_WIRE_HEADER];
	int k = siege_enter(s, r);

	ssi_wire_encode(f, header);
	if (k >= 0)
		k = raider_say(r, header, sizeof(header));
	return k < 0 ? k : raider_say(r, nothing, body);
}

static int say_and_hear(struct siege *s, struct raider *r, const struct ssi_frame *f)
{
	int k = say_frame(s, r, f, 0);

	return k < 0 ? k : raider_verdict(r);
}

static int oversize(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = s->i % 2 ? TYPE_SHORT : TYPE_ECHO, .incarnation = NOW,
				     .size = s->i % 2 ? SHORT_MAX + 1 : UINT32_MAX };

	return say_and_hear(s, r, &f);
}

static int wrong_sender(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = TYPE_BOOT, .incarnation = NOW, .size = 1 };

	return say_and_hear(s, r, &f);
}

static int unknown_type(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = (uint16_t)(100 + s->i), .incarnation = NOW };

	return say_and_hear(s, r, &f);
}

static int false_source(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = TYPE_ECHO, .incarnation = NOW, .source = 1 + s->i };

	return say_and_hear(s, r, &f);
}

static int stale_frame(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = TYPE_ECHO, .incarnation = NOW + (s->i % 2 ? 1 : -1), .size = PING };

	return say_and_hear(s, r, &f);
}

static int half_frame(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = TYPE_ECHO, .incarnation = NOW, .size = ECHO_MAX };

	return say_frame(s, r, &f, s->i % 2 ? ECHO_MAX - 1 : 0);
}

/* As much as it takes, as fast as it goes: many frames of the smallest size. */
static int flood(struct siege *s, struct raider *r)
{
	enum { FRAMES = 400 };
	const struct ssi_frame f = { .module = MOD, .type = TYPE_SHORT, .incarnation = NOW };
	static uint8_t frames[FRAMES * SSI_WIRE_HEADER];
	int k = siege_enter(s, r);

	for (int i = 0; i < FRAMES; i++)
		ssi_wire_encode(&f, frames + i * SSI_WIRE_HEADER);
	for (int i = 0; i < 2500 && k >= 0; i++)
		k = raider_say(r, frames, sizeof(frames));
	return k;
}

/* Ask and ask, and never hear the answers. */
static int deaf(struct siege *s, struct raider *r)
{
	const struct ssi_frame f = { .module = MOD, .type = TYPE_ECHO, .incarnation = NOW, .size = ECHO_MAX };
	static uint8_t frame[SSI_WIRE_HEADER + ECHO_MAX];
	int k = siege_enter(s, r);

	ssi_wire_encode(&f, frame);
	for (int i = 0; i < 400 && k >= 0; i++)
		k = raider_say(r, frame, sizeof(frame));
	return k == -ECONNRESET || k == -EPIPE || k >= 0 ? 0 : k;
}

static const struct siege_attack attacks[] = {
	{ "wrong key", 200, 2000, false, -EKEYREJECTED, door_wrong_key },
	{ "unknown name", 200, 2000, false, -EKEYREJECTED, door_unknown_name },
	{ "wrong incarnation", 200, 2000, false, -EKEYREVOKED, door_wrong_incarnation },
	{ "replayed token", 200, 2000, false, -EKEYREVOKED, door_replayed_token },
	{ "garbage", 500, 5000, false, -ECONNRESET, door_garbage },
	{ "long hello", 200, 2000, true, 0, door_long_hello },
	{ "half hello", 2000, 10000, true, 0, door_half_hello },
	{ "idle", 10000, 10000, true, 0, door_idle },
	{ "come and go", 5000, 50000, false, 0, door_come_and_go },
	{ "oversize", 100, 1000, false, -ECONNRESET, oversize },
	{ "wrong sender", 100, 1000, false, -ECONNRESET, wrong_sender },
	{ "unknown type", 100, 1000, false, -ECONNRESET, unknown_type },
	{ "false source", 100, 1000, false, -ECONNRESET, false_source },
	{ "stale frame", 100, 1000, false, -ECONNRESET, stale_frame },
	{ "garbage inside", 100, 1000, false, -ECONNRESET, door_garbage_inside },
	{ "garbage below", 100, 1000, false, -ECONNRESET, door_garbage_below },
	{ "half frame", 500, 2000, true, 0, half_frame },
	{ "idle inside", 500, 10000, true, 0, siege_enter },
	{ "flood", 1, 10, false, 0, flood },
	{ "deaf", 4, 20, true, 0, deaf },
	{ 0 },
};

const struct siege_target siege_ccm = { .name = "ccm", .names = &names, .serve = serve, .befriend = befriend, .attacks = attacks };
