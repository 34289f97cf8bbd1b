/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the attacks of a node whose key is good, which every endpoint must withstand: on the session, and on the table of who may say what. Called by
 * siege.c through a target's tables. Frames are made by hand: no station would say them.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include "tests/chaos/siege.h"

#define SESSION_PING 64u
#define SESSION_WINDOW (64u << 20)       /* of a peer who promises to take and to keep whatever it is sent */

struct station_frame session_frame(const struct siege *s, const struct siege_word *w, uint64_t serial, uint32_t size)
{
	const struct siege_names *names = s->target->names;

	return (struct station_frame){
		.flags = !w->module ? 0 : serial ? KIND_SHORT : KIND_NEWS, .module = w->module, .type = w->type, .source = names->number,
		.destination = names->self, .incarnation = names->hostile.incarnation, .serial = serial, .size = size,
	};
}

int session_say(struct raider *r, const struct station_frame *f, const void *body, size_t n)
{
	static const uint8_t nothing[STATION_BODY_MAX];
	uint8_t header[STATION_HEADER];
	int k;

	station_frame_encode(f, header);
	k = raider_say(r, header, sizeof(header));
	return k < 0 ? k : raider_say(r, body ? body : nothing, n);
}

static struct station_frame control(const struct siege *s, uint16_t type, uint32_t size)
{
	const struct siege_word w = { 0, type, 0 };

	return session_frame(s, &w, 0, size);
}

static struct station_hello fresh_hello(void)
{
	static uint64_t fresh = 1000;

	return (struct station_hello){ .fresh = fresh++, .next = 1, .window = SESSION_WINDOW, .retain = SESSION_WINDOW };
}

static int say_hello(struct raider *r, const struct station_frame *f, const struct station_hello *h)
{
	uint8_t body[STATION_HELLO];

	station_hello_encode(h, body);
	return session_say(r, f, body, sizeof(body));
}

static int greet_as(struct siege *s, struct raider *r, const struct station_hello *h)
{
	struct station_frame f = control(s, CONTROL_HELLO, STATION_HELLO);
	uint8_t reply[STATION_HEADER + STATION_HELLO];
	int k = siege_enter(s, r);

	if (k >= 0)
		k = say_hello(r, &f, h);
	if (k >= 0)
		k = raider_hear(r, reply, sizeof(reply));
	/* What is refused of one that is not greeted would not be refused for what it is. */
	return k < 0 || station_frame_decode(reply, &f, NULL) < 0 || f.module || f.type != CONTROL_HELLO ? -ENOTCONN : 0;
}

int session_greet(struct siege *s, struct raider *r)
{
	const struct station_hello h = fresh_hello();

	return greet_as(s, r, &h);
}

int session_verdict(struct raider *r, int k)
{
	k = k < 0 ? k : raider_verdict(r);   /* it may have ended it while we still spoke */
	return k == -EPIPE ? -ECONNRESET : k;
}

int session_greet_and_say(struct siege *s, struct raider *r, struct station_frame f, const void *body, size_t n)
{
	int k = session_greet(s, r);

	return session_verdict(r, k < 0 ? k : session_say(r, &f, body, n));
}

/* --- before there is a session --- */

static int no_hello(struct siege *s, struct raider *r)
{
	const struct station_frame f = session_frame(s, &s->target->names->may[0], 1, SESSION_PING);
	int k = siege_enter(s, r);

	return session_verdict(r, k < 0 ? k : session_say(r, &f, NULL, SESSION_PING));
}

/* Of another node, to another, of another life, or with what nobody may offer. */
static int false_hello(struct siege *s, struct raider *r)
{
	struct station_frame f = control(s, CONTROL_HELLO, STATION_HELLO);
	struct station_hello h = fresh_hello();
	int k = siege_enter(s, r);

	switch (s->i % 8) {
	case 0: f.source = s->target->names->other; break;
	case 1: f.source = s->target->names->self; break;
	case 2: f.destination--; break;
	case 3: f.incarnation++; break;
	case 4: f.incarnation--; break;
	case 5: h.fresh = 0; break;
	case 6: h.window = 1; break;
	case 7: h.retain = 0; break;
	}
	return session_verdict(r, k < 0 ? k : say_hello(r, &f, &h));
}

/* Back to a session that there is, for what never was sent in it. */
static int false_next(struct siege *s, struct raider *r)
{
	const struct station_frame f = control(s, CONTROL_HELLO, STATION_HELLO);
	struct station_hello h = fresh_hello();
	int k = greet_as(s, r, &h);

	raider_free(r);
	h.session = h.fresh;
	h.fresh++;
	h.next = 1000000;
	if (k >= 0)
		k = siege_enter(s, r);
	return session_verdict(r, k < 0 ? k : say_hello(r, &f, &h));
}

static int half_station_hello(struct siege *s, struct raider *r)
{
	const struct station_frame f = control(s, CONTROL_HELLO, STATION_HELLO);
	int k = siege_enter(s, r);

	return k < 0 ? k : session_say(r, &f, NULL, STATION_HELLO / 2);
}

/* --- in a session --- */

static int oversize(struct siege *s, struct raider *r)
{
	const struct siege_word *w = &s->target->names->may[s->i / 3 % 2];
	const uint32_t sizes[] = { w->max + 1, STATION_BODY_MAX, UINT32_MAX };

	return session_greet_and_say(s, r, session_frame(s, w, w == s->target->names->may, sizes[s->i % 3]), NULL, 0);
}

/* As a call, and as news. */
static int wrong_sender(struct siege *s, struct raider *r)
{
	const struct siege_word *w = s->target->names->may_not;
	unsigned n = 0;

	while (w[n].module)
		n++;
	return session_greet_and_say(s, r, session_frame(s, &w[s->i / 2 % n], s->i % 2, 1), NULL, 0);
}

static int unknown_type(struct siege *s, struct raider *r)
{
	const struct siege_word of_module = { s->target->names->may[0].module, (uint16_t)(100 + s->i), 0 }, nobodys = { (uint16_t)(100 + s->i), 1, 0 };

	return session_greet_and_say(s, r, session_frame(s, s->i % 2 ? &of_module : &nobodys, 1, 0), NULL, 0);
}

static int false_source(struct siege *s, struct raider *r)
{
	struct station_frame f = session_frame(s, &s->target->names->may[0], 1, SESSION_PING);

	switch (s->i % 3) {
	case 0: f.source = s->target->names->other; break;
	case 1: f.source++; break;
	case 2: f.destination--; break;
	}
	return session_greet_and_say(s, r, f, NULL, 0);
}

static int stale_frame(struct siege *s, struct raider *r)
{
	struct station_frame f = session_frame(s, &s->target->names->may[0], 1, SESSION_PING);

	f.incarnation += s->i % 2 ? 1 : UINT64_MAX;
	return session_greet_and_say(s, r, f, NULL, 0);
}

static int false_serial(struct siege *s, struct raider *r)
{
	struct station_frame f = session_frame(s, &s->target->names->may[0], 2 + s->i, SESSION_PING);

	switch (s->i % 4) {
	case 1: f.serial = UINT64_MAX; break;
	case 2: f.serial = 0; break;
	case 3: f.flags = KIND_NEWS; break;
	}
	return session_greet_and_say(s, r, f, NULL, 0);
}

/* What the endpoint would say of the session, wrong in one thing. */
static int false_control(struct siege *s, struct raider *r)
{
	struct station_frame f = control(s, CONTROL_ACK, 0);

	switch (s->i % 5) {
	case 0: f.ack = 1000000; break;
	case 1: f.type = 77; break;
	case 2: f.serial = 1; break;
	case 3: f.size = 1; break;
	case 4: f = control(s, CONTROL_HELLO, STATION_HELLO); break;
	}
	return session_greet_and_say(s, r, f, NULL, f.size);
}

static int false_credit(struct siege *s, struct raider *r)
{
	uint8_t body[STATION_CREDIT];

	station_credit_encode(s->i % 2 ? s->target->names->may[0].module : 999, 1 << 20, body);
	return session_greet_and_say(s, r, control(s, CONTROL_CREDIT, STATION_CREDIT), body, sizeof(body));
}

/* Credit rides on every frame: more was taken than was ever sent. */
static int false_taken(struct siege *s, struct raider *r)
{
	struct station_frame f = session_frame(s, &s->target->names->may[0], 1, SESSION_PING);

	f.taken = 1 << 20;
	return session_greet_and_say(s, r, f, NULL, SESSION_PING);
}

/* Answers of any size need no table, and nobody asked for these: they are passed over. */
static int unasked(struct siege *s, struct raider *r)
{
	int k = session_greet(s, r);

	for (uint64_t serial = 1; serial <= 16 && k >= 0; serial++) {
		struct station_frame f = session_frame(s, &s->target->names->may[0], serial, STATION_BODY_MAX);

		f.flags = KIND_ANSWER;
		k = session_say(r, &f, NULL, STATION_BODY_MAX);
	}
	return k;
}

static int garbage_inside(struct siege *s, struct raider *r)
{
	uint8_t noise[512];
	int k = s->i % 2 ? session_greet(s, r) : siege_enter(s, r);

	gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof(noise));
	return session_verdict(r, k < 0 ? k : raider_say(r, noise, sizeof(noise)));
}

static int garbage_below(struct siege *s, struct raider *r)
{
	uint8_t noise[512] = { 23, 3, 3, 0, 200 };
	int k = s->i % 2 ? session_greet(s, r) : siege_enter(s, r);

	gnutls_rnd(GNUTLS_RND_NONCE, noise + 5, sizeof(noise) - 5);
	k = session_verdict(r, k < 0 ? k : raider_spit(r, noise, sizeof(noise)));
	return k == -EKEYREJECTED ? -ECONNRESET : k;     /* bad_record_mac, if the alert came before the reset */
}

static int half_frame(struct siege *s, struct raider *r)
{
	const struct siege_word *w = &s->target->names->may[0];
	const struct station_frame f = session_frame(s, w, 1, w->max);
	int k = session_greet(s, r);

	return k < 0 ? k : session_say(r, &f, NULL, s->i % 2 ? w->max - 1 : 0);
}

const struct siege_attack session_attacks[] = {
	{ "no HELLO", 100, 1000, false, -ECONNRESET, no_hello },
	{ "false HELLO", 104, 1000, false, -ECONNRESET, false_hello },
	{ "false next", 50, 500, false, -ECONNRESET, false_next },
	{ "half HELLO", 500, 2000, true, 0, half_station_hello },
	{ "silent inside", 500, 10000, true, 0, siege_enter },
	{ "oversize", 102, 1002, false, -ECONNRESET, oversize },
	{ "wrong sender", 100, 1200, false, -ECONNRESET, wrong_sender },
	{ "unknown type", 100, 1000, false, -ECONNRESET, unknown_type },
	{ "false source", 102, 1002, false, -ECONNRESET, false_source },
	{ "stale frame", 100, 1000, false, -ECONNRESET, stale_frame },
	{ "false serial", 100, 1000, false, -ECONNRESET, false_serial },
	{ "false control", 100, 1000, false, -ECONNRESET, false_control },
	{ "false credit", 100, 1000, false, -ECONNRESET, false_credit },
	{ "false taken", 100, 1000, false, -ECONNRESET, false_taken },
	{ "unasked answers", 2, 20, false, 0, unasked },
	{ "garbage inside", 100, 1000, false, -ECONNRESET, garbage_inside },
	{ "garbage below", 100, 1000, false, -ECONNRESET, garbage_below },
	{ "half frame", 500, 2000, true, 0, half_frame },
	{ "idle inside", 500, 10000, true, 0, session_greet },
	{ 0 },
};
