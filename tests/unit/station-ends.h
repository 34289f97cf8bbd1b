/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Stations on event loops that the test itself turns: a door, node 100, and stations that connect to it. Each has a loop of its own, so that one can be
 * frozen. What a station is told is written down in its order, as words: "up:1", "gone:1", "2.5:7" (a call of module 2, function 5, sequence 7).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

#define WAIT 10000
#define CALLS 2
#define DOOR 100
#define ENDS 4

static const struct in_addr loopback = { 0x0100007f };
static const uint8_t key[SSI_CCM_STATION_KEY] = "the key that both of them know";
static const uint8_t other_key[SSI_CCM_STATION_KEY] = "one that only one of them knows";

struct end {
	sd_event *event;
	struct ssi_ccm_station *s;
	struct ends *all;
	bool frozen;
	int fails;
	char told[8192];
	unsigned turns, ups, gones, calls, failures, refusals, drained, holds, settles, said;
	struct ssi_err why, refused;         /* of the last failure; the last refusal */
	struct ssi_err ended[ENDS];          /* why the last session with node 0 to 3 ended, or with another: [0] */
	struct ssi_identity who;             /* whom that was told of */
	void (*on_call)(struct end *x, const struct ssi_ccm_head *call);
	int (*on_settle)(struct end *x, struct ssi_err *e);
	int (*on_identify)(struct end *x, const struct ssi_identity *id, uint32_t *ret_node);
};

struct ends { struct end end[ENDS]; };   /* 0: the door */

static inline void end_told(struct end *x, const char *word, uint32_t node)
{
	size_t n = strlen(x->told);

	snprintf(x->told + n, sizeof(x->told) - n, "%s%s:%u", n ? " " : "", word, node);
}

static inline void end_on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	static const char *const words[] = { [SSI_CCM_UP] = "up", [SSI_CCM_LINK_DOWN] = "down", [SSI_CCM_LINK_UP] = "link", [SSI_CCM_GONE] = "gone" };
	struct end *x = userdata;

	x->ups += state == SSI_CCM_UP;
	x->gones += state == SSI_CCM_GONE;
	if (state == SSI_CCM_GONE)
		x->ended[node < ENDS ? node : 0] = *ssi_ccm_why(x->s, node);
	end_told(x, words[state], node);
}

static inline void end_on_failed(uint32_t node, const struct ssi_err *why, void *userdata)
{
	struct end *x = userdata;

	x->failures++;
	x->why = *why;
}

static inline void end_on_refused(struct in_addr peer, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct end *x = userdata;

	x->refusals++;
	x->refused = *why;
	x->who = id ? *id : (struct ssi_identity){ 0 };
}

static inline void end_on_drained(uint32_t node, uint16_t module, void *userdata)
{
	((struct end *)userdata)->drained++;
}

static inline void end_on_hold(void *userdata)
{
	((struct end *)userdata)->holds++;
}

static inline int end_on_settle(struct ssi_err *e, void *userdata)
{
	struct end *x = userdata;

	x->settles++;
	return x->on_settle ? x->on_settle(x, e) : 0;
}

static inline int end_on_identify(const struct ssi_identity *id, struct in_addr from, uint32_t *ret_node, uint8_t ret[SSI_CCM_STATION_KEY], void *userdata)
{
	struct end *x = userdata;

	memcpy(ret, key, sizeof(key));
	return x->on_identify(x, id, ret_node);
}

#define end_ops .state = end_on_state, .failed = end_on_failed, .refused = end_on_refused, .drained = end_on_drained
static const struct ssi_ccm_station_ops ops_plain = { end_ops }, ops_settle = { end_ops, .hold = end_on_hold, .settle = end_on_settle },
					ops_identify = { end_ops, .identify = end_on_identify };

static inline void end_on_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	struct end *x = userdata;
	char word[32];

	x->calls++;
	snprintf(word, sizeof(word), "%u.%u", call->module, call->type);
	end_told(x, word, (uint32_t)call->sequence);
	if (x->on_call)
		x->on_call(x, call);
}

/* Only a test of silence is about time; the others must not fail because the machine is busy. */
static inline struct ssi_ccm_station_config end_config(uint32_t number, const struct ssi_ccm_station_ops *ops)
{
	return (struct ssi_ccm_station_config){
		.number = number, .incarnation = 5, .address = loopback, .plain = true, .ops = ops, .heartbeat_ms = 50, .dead_ms = 20000,
		.window = 128 << 10, .retain = 256 << 10,
	};
}

static inline void end_open(struct ends *all, unsigned i, struct ssi_ccm_station_config c)
{
	static const struct ssi_ccm_permit permits[] = { { CALLS, 0, 64 << 10, 0, DOOR }, { 3, 7, 100, DOOR + 1, DOOR + 1 } };
	struct end *x = &all->end[i];

	assert_int_equal(sd_event_new(&x->event), 0);
	x->all = all;
	c.event = x->event;
	c.userdata = x;
	assert_int_equal(ssi_ccm_station_new(&c, &x->s, NULL), 0);
	assert_int_equal(ssi_ccm_permit(x->s, permits, 2), 0);
	assert_int_equal(ssi_ccm_regist(x->s, CALLS, SSI_CCM_DEFAULT, end_on_call, x), 0);
}

static inline void end_close(struct end *x)
{
	ssi_ccm_station_free(x->s);
	sd_event_unref(x->event);
	*x = (struct end){ 0 };
}

/* Whatever is ready, of all that are not frozen. */
static inline void ends_turn(struct ends *all)
{
	bool any = false;

	for (unsigned i = 0; i < ENDS; i++)
		while (all->end[i].s && !all->end[i].frozen && sd_event_run(all->end[i].event, 0) > 0) {
			all->end[i].turns++;
			any = true;
		}
	if (!any)
		usleep(500);
}

#define until(all, what)                                             \
	do {                                                         \
		uint64_t until_ = ssi_clock_mono_ms() + WAIT;        \
		bool is_;                                            \
                                                                     \
		while (!(is_ = (what)) && ssi_clock_mono_ms() < until_) \
			ends_turn(all);                              \
		if (!is_)                                            \
			fail_msg("does not come: %s", #what);        \
	} while (0)

/* For what must not come. */
static inline void ends_pass(struct ends *all, unsigned ms)
{
	uint64_t until_ = ssi_clock_mono_ms() + ms;

	while (ssi_clock_mono_ms() < until_)
		ends_turn(all);
}

static inline void end_connect(struct ends *all, unsigned i)
{
	assert_int_equal(ssi_ccm_connect_to(all->end[i].s, DOOR, loopback, ssi_ccm_station_port(all->end[0].s), key), 0);
}

/* A door, and node 1 to node n at it. */
static inline struct ends *ends_new(unsigned n, const struct ssi_ccm_station_ops *door)
{
	struct ends *all = calloc(1, sizeof(*all));

	end_open(all, 0, end_config(DOOR, door));
	for (unsigned i = 1; i <= n; i++) {
		assert_int_equal(ssi_ccm_listen_to(all->end[0].s, i, key), 0);
		end_open(all, i, end_config(i, &ops_plain));
		end_connect(all, i);
		until(all, all->end[0].ups == i && all->end[i].ups == 1);
	}
	for (unsigned i = 0; i <= n; i++)
		all->end[i].told[0] = 0;
	return all;
}

static inline void ends_free(struct ends *all)
{
	for (unsigned i = 0; i < ENDS; i++)
		if (all->end[i].s)
			end_close(&all->end[i]);
	free(all);
}

static inline int call(struct end *x, uint32_t node, uint16_t function, uint64_t sequence)
{
	const struct ssi_ccm_head to = { .node = node, .module = CALLS, .type = function, .sequence = sequence };

	return ssi_ccm_rcall_short(x->s, &to, "body", 5, SSI_CCM_NOWAIT, 0);
}

static inline int news(struct end *x, uint32_t node, uint16_t function, uint64_t sequence, size_t len)
{
	static const uint8_t body[16 << 10];
	const struct ssi_ccm_head to = { .node = node, .module = CALLS, .type = function, .sequence = sequence };

	return ssi_ccm_news(x->s, &to, body, len);
}

/* Break what connects x with node. */
static inline void end_cut(struct end *x, uint32_t node)
{
	struct station_peer *p = station_peer_find(x->s, node);

	assert_non_null(p->conn);
	shutdown(p->conn->fd, SHUT_RDWR);
}
