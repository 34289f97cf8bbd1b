/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the two endpoints that are besieged in a process of their own: ccm as a loop has it (libssi/comm/ccm.h, the daemon's) and a station with a thread of
 * its own (libssi/comm/station.h). Of their attacks only those are here that ask for one of them. Called by siege.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "libssi/comm/ccm.h"
#include "tests/chaos/siege.h"

#define GOOD 1
#define HOSTILE 66
#define NOW 7                        /* the incarnation that counts */
#define MOD 2
#define TYPE_ECHO 1                  /* answered with its body */
#define TYPE_SHORT 3                 /* at most SHORT_MAX bytes, not answered */
#define TYPE_GOOD 4                  /* not the hostile one's: of the station */
#define TYPE_BOOT 9                  /* a booting machine's to send, no node's */
#define TYPE_MASTER 10
#define SHORT_MAX 16u
#define ECHO_MAX (64u << 10)
#define WINDOW (4u << 20)            /* the station's */
#define DEAD_MS 60000                /* as the loop's face has it: the siege does not depend on being on time */
#define KEY "the key of every node in here.."

static const struct in_addr loopback = { 0x0100007f };
static const struct siege_names names = {
	.key = KEY, .before_key = KEY, .used_key = KEY,
	.hostile = { SSI_IDENTITY_NODE, "66", NOW }, .nobody = { SSI_IDENTITY_NODE, "67", NOW },
	.before = { SSI_IDENTITY_NODE, "66", NOW - 1 }, .used = { SSI_IDENTITY_BOOT, "52:54:00:00:00:01", NOW },
	.self = SSI_CCM_MASTER, .number = HOSTILE, .other = GOOD,
	.may = { { MOD, TYPE_ECHO, ECHO_MAX }, { MOD, TYPE_SHORT, SHORT_MAX } },
	.may_not = { { MOD, TYPE_GOOD, 1 }, { MOD, TYPE_BOOT, 1 }, { MOD, TYPE_MASTER, 1 } },
};
static const struct siege_friend good = {
	.as = { GOOD, NOW, "1" }, .key = KEY, .module = MOD, .asks = TYPE_ECHO, .hears = TYPE_ECHO, .body = "are you there?", .n = 64, .echoed = true,
	.pace_us = 1000,
};

/* --- the loop's face --- */

static int on_identify(const struct ssi_identity *id, struct in_addr peer, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	bool booting = id->kind == SSI_IDENTITY_BOOT && !strcmp(id->who, names.used.who);

	if ((!booting && strcmp(id->who, good.as.who) && strcmp(id->who, names.hostile.who)) || id->incarnation > NOW)
		return -ENOENT;
	*ret_node = booting ? SSI_CCM_BOOTING + HOSTILE : !strcmp(id->who, good.as.who) ? GOOD : HOSTILE;
	memcpy(ret, names.key, SSI_CCM_KEY);
	return booting || id->incarnation < NOW ? 2 : 0;
}

static void on_opened(struct ssi_ccm_conn *c, void *userdata)
{
	((struct siege_tally *)userdata)->opened++;
}

static void on_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	((struct siege_tally *)userdata)->closed++;
}

static void on_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	((struct siege_tally *)userdata)->told++;
}

/* Its user has one thread. */
static int on_echo(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	if (gettid() != getpid())
		_exit(1);
	return ssi_ccm_send(c, f->module, f->type, f->sequence, body, f->size);
}

static int on_short(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	return 0;
}

static void serve_loop(int ready, struct siege_tally *t)
{
	static const struct ssi_ccm_ops ops = { .key = on_identify, .opened = on_opened, .closed = on_closed, .refused = on_refused };
	static const struct ssi_ccm_rule rules[] = {
		{ MOD, TYPE_ECHO, ECHO_MAX, SSI_FROM_NODE, on_echo, NULL },
		{ MOD, TYPE_SHORT, SHORT_MAX, SSI_FROM_NODE, on_short, NULL },
		{ MOD, TYPE_BOOT, 256, SSI_FROM_BOOT, on_short, NULL },
		{ MOD, TYPE_MASTER, 256, SSI_FROM_MASTER, on_short, NULL },
	};
	struct ssi_ccm *m;
	sd_event *event;
	uint16_t port;

	if (sd_event_new(&event) < 0 || ssi_ccm_new(event, &ops, t, &m) < 0 ||
	    ssi_ccm_register(m, rules, sizeof(rules) / sizeof(*rules)) < 0 || ssi_ccm_listen(m, NOW, loopback, 0, NULL) < 0)
		return;
	port = ssi_ccm_port(m);
	if (write(ready, &port, sizeof(port)) == sizeof(port))
		sd_event_loop(event);
}

/* --- a station --- */

static int station_on_key(uint32_t node, uint64_t incarnation, uint8_t ret[SSI_CCM_STATION_KEY], void *userdata)
{
	if ((node != GOOD && node != HOSTILE) || incarnation != NOW)
		return -ENOENT;
	memcpy(ret, names.key, SSI_CCM_STATION_KEY);
	return 0;
}

static void station_on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	struct siege_tally *t = userdata;

	t->opened += state == SSI_CCM_UP;
	t->closed += state == SSI_CCM_GONE;
}

static void station_on_refused(struct in_addr peer, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	((struct siege_tally *)userdata)->told++;
}

static void station_on_echo(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	static const struct ssi_err deaf = { .code = -EAGAIN, .text = "it does not hear its answers" };

	if (ssi_ccm_rcall_short(s, call, body, call->size, SSI_CCM_NOWAIT, 0) == -EAGAIN)
		ssi_ccm_refuse(s, call->node, &deaf);
}

static void serve_thread(int ready, struct siege_tally *t)
{
	static const struct ssi_ccm_station_ops ops = { .key = station_on_key, .state = station_on_state, .refused = station_on_refused };
	const struct ssi_ccm_station_config config = {
		.number = SSI_CCM_MASTER, .incarnation = NOW, .address = loopback, .ops = &ops, .userdata = t, .window = WINDOW, .dead_ms = DEAD_MS,
	};
	const struct ssi_ccm_permit lines[] = {
		{ MOD, TYPE_ECHO, ECHO_MAX, 0, HOSTILE }, { MOD, TYPE_SHORT, SHORT_MAX, 0, HOSTILE }, { MOD, TYPE_GOOD, SHORT_MAX, GOOD, GOOD },
	};
	struct ssi_ccm_station *s;
	uint16_t port;

	if (ssi_ccm_station_new(&config, &s, NULL) < 0 || ssi_ccm_permit(s, lines, sizeof(lines) / sizeof(*lines)) < 0 ||
	    ssi_ccm_regist(s, MOD, TYPE_ECHO, station_on_echo, NULL) < 0 || ssi_ccm_listen_to(s, SSI_CCM_ANY_NODE, NULL) < 0)
		return;
	port = ssi_ccm_station_port(s);
	if (write(ready, &port, sizeof(port)) == sizeof(port))
		for (;;)
			pause();
}

/* --- attacks --- */

/* A message that nobody would receive, or a call that is not the loop's: each is lawful where there are threads. */
static int wrong_kind(struct siege *s, struct raider *r)
{
	struct station_frame f = session_frame(s, &names.may[0], 1, SHORT_MAX);

	f.flags = s->i % 2 ? KIND_LONG : KIND_MESSAGE;
	return session_greet_and_say(s, r, f, NULL, SHORT_MAX);
}

/* More messages that nobody receives than there is credit for. */
static int overdrawn(struct siege *s, struct raider *r)
{
	int k = session_greet(s, r);

	for (uint64_t serial = 1; k >= 0 && serial <= 2 * WINDOW / ECHO_MAX; serial++) {
		struct station_frame f = session_frame(s, &names.may[0], serial, ECHO_MAX);

		f.flags = KIND_MESSAGE;
		k = session_say(r, &f, NULL, ECHO_MAX);
	}
	return session_verdict(r, k);
}

/* As much as it takes, as fast as it goes: many frames of the smallest size, calls and news. */
static int flood(struct siege *s, struct raider *r)
{
	enum { FRAMES = 400 };
	static uint8_t frames[FRAMES * STATION_HEADER];
	int k = session_greet(s, r);
	uint64_t serial = 0;

	for (int i = 0; i < 2500 && k >= 0; i++) {
		for (int j = 0; j < FRAMES; j++) {
			struct station_frame f = session_frame(s, &names.may[1], i % 2 ? 0 : ++serial, 0);

			station_frame_encode(&f, frames + j * STATION_HEADER);
		}
		k = raider_say(r, frames, sizeof(frames));
	}
	return k;
}

/* Ask and ask, and never hear the answers: no more of them are kept than are retained for anybody. */
static int deaf(struct siege *s, struct raider *r)
{
	int k = session_greet(s, r);

	for (uint64_t serial = 1; serial <= 800 && k >= 0; serial++) {
		const struct station_frame f = session_frame(s, &names.may[0], serial, ECHO_MAX);

		k = session_say(r, &f, NULL, ECHO_MAX);
	}
	return k == -EPIPE ? -ECONNRESET : k;
}

/* The same with calls for which there is no handler, of which it wants to be told each time: and it comes back, and its old calls are nobody's. */
static int deaf_caller(struct siege *s, struct raider *r)
{
	int k = session_greet(s, r);

	for (uint64_t serial = 1; serial <= 200000 && k >= 0; serial++) {
		struct station_frame f = session_frame(s, &names.may[1], serial, 0);

		f.flags = (s->i % 2 ? KIND_LONG : KIND_SHORT) | STATION_WANTS_ANSWER;
		k = session_say(r, &f, NULL, 0);
	}
	return k == -EPIPE ? -ECONNRESET : k;
}

static const struct siege_attack crowds[] = {
	{ "flood", 1, 10, false, 0, flood },
	{ "deaf", 4, 20, true, -ECONNRESET, deaf },
	{ 0 },
}, of_loop[] = {
	{ "wrong kind", 100, 1000, false, -ECONNRESET, wrong_kind },
	{ 0 },
}, of_station[] = {                  /* its door finds keys by number */
	{ "unknown name", 200, 2000, false, -EKEYREJECTED, door_unknown_name },
	{ "wrong incarnation", 200, 2000, false, -EKEYREJECTED, door_wrong_incarnation },
	{ "a booting machine's name", 200, 2000, false, -EKEYREJECTED, door_used_token },
	{ "overdrawn credit", 10, 100, false, -ECONNRESET, overdrawn },
	{ "deaf caller", 6, 20, false, -ECONNRESET, deaf_caller },
	{ 0 },
};

const struct siege_target siege_ccm = { "ccm", &names, &good, serve_loop, { door_attacks, session_attacks, of_loop, crowds, NULL } };
const struct siege_target siege_station = { "station", &names, &good, serve_thread, { of_station, session_attacks, crowds, NULL } };
