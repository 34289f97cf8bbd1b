/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Two stations, nodes 1 and 2, over real loopback sockets, and what their callbacks have seen: for the tests of stations, which are by subject. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
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
#define MOD 1
#define CALLS 2
#define BIG (700u << 10)

static const struct in_addr loopback = { 0x0100007f };
static const uint8_t key[SSI_CCM_STATION_KEY] = "the key that both of them know";
static const uint8_t other_key[SSI_CCM_STATION_KEY] = "one that only one of them knows";
static const struct ssi_ccm_permit permits[] = {
	{ MOD, 0, SSI_CCM_BODY_MAX, 0, 100 }, { CALLS, 0, SSI_CCM_BODY_MAX, 0, 100 }, { 3, 7, 100, 1, 1 },
};

/* What the callbacks of a station have seen. */
struct seen {
	pthread_mutex_t lock;
	int up, link_down, link_up, gone, arrived, drained, refused;
	struct ssi_err why;
};

static inline void seen_add(struct seen *x, int *what)
{
	pthread_mutex_lock(&x->lock);
	++*what;
	pthread_mutex_unlock(&x->lock);
}

static inline bool seen_comes(struct seen *x, const int *what, int n)
{
	uint64_t until = ssi_clock_mono_ms() + WAIT;
	bool yes = false;

	while (!yes && ssi_clock_mono_ms() < until) {
		pthread_mutex_lock(&x->lock);
		yes = *what >= n;
		pthread_mutex_unlock(&x->lock);
		if (!yes)
			usleep(1000);
	}
	return yes;
}

static inline void on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	struct seen *x = userdata;

	seen_add(x, state == SSI_CCM_UP ? &x->up : state == SSI_CCM_LINK_DOWN ? &x->link_down : state == SSI_CCM_LINK_UP ? &x->link_up : &x->gone);
}

static inline void on_arrived(const struct ssi_ccm_head *head, void *userdata)
{
	struct seen *x = userdata;

	seen_add(x, &x->arrived);
}

static inline void on_drained(uint32_t node, uint16_t module, void *userdata)
{
	struct seen *x = userdata;

	seen_add(x, &x->drained);
}

static inline void on_refused(struct in_addr peer, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct seen *x = userdata;

	pthread_mutex_lock(&x->lock);
	if (!x->refused++)
		x->why = *why;
	pthread_mutex_unlock(&x->lock);
}

static const struct ssi_ccm_station_ops ops = { .state = on_state, .arrived = on_arrived, .drained = on_drained, .refused = on_refused };

struct pair { struct ssi_ccm_station *a, *b; struct seen seen_a, seen_b; };    /* nodes 1 and 2 */

/* Only a test of silence is about time; the others must not fail because the machine is busy. */
#define PATIENT_MS 20000
#define SILENCE_MS 1000
static unsigned dead_ms = PATIENT_MS;

static inline struct ssi_ccm_station *station_in(sd_event *event, uint32_t number, uint64_t incarnation, bool plain, struct seen *seen)
{
	const struct ssi_ccm_station_config c = {
		.number = number, .incarnation = incarnation, .address = loopback, .plain = plain, .ops = &ops, .userdata = seen,
		.event = event, .heartbeat_ms = 50, .dead_ms = dead_ms, .window = 128 << 10, .retain = 256 << 10,
	};
	struct ssi_ccm_station *s;
	struct ssi_err e;

	pthread_mutex_init(&seen->lock, NULL);
	assert_int_equal(ssi_ccm_station_new(&c, &s, &e), 0);
	assert_int_equal(ssi_ccm_permit(s, permits, sizeof(permits) / sizeof(permits[0])), 0);
	return s;
}

static inline struct ssi_ccm_station *station(uint32_t number, uint64_t incarnation, bool plain, struct seen *seen)
{
	return station_in(NULL, number, incarnation, plain, seen);
}

static inline void meet(struct pair *x)
{
	assert_int_equal(ssi_ccm_listen_to(x->b, 1, key), 0);
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, ssi_ccm_station_port(x->b), key), 0);
	assert_int_equal(ssi_ccm_await(x->a, 2, WAIT), 0);
	assert_int_equal(ssi_ccm_await(x->b, 1, WAIT), 0);
}

static inline int setup_as(void **state, bool plain)
{
	struct pair *x = calloc(1, sizeof(*x));

	x->a = station(1, 5, plain, &x->seen_a);
	x->b = station(2, 6, plain, &x->seen_b);
	meet(x);
	*state = x;
	return 0;
}

static inline int setup_plain(void **state)
{
	return setup_as(state, true);
}

static inline int setup_tls(void **state)
{
	return setup_as(state, false);
}

static inline int teardown(void **state)
{
	struct pair *x = *state;

	ssi_ccm_station_free(x->a);
	ssi_ccm_station_free(x->b);
	free(x);
	return 0;
}

static inline struct ssi_ccm_head to(uint32_t node, uint64_t sequence)
{
	return (struct ssi_ccm_head){ .node = node, .module = MOD, .type = 9, .sequence = sequence };
}

static inline void send_text(struct ssi_ccm_station *s, uint32_t node, uint64_t sequence, const char *text)
{
	const struct ssi_ccm_head h = to(node, sequence);

	assert_int_equal(ssi_ccm_bsend(s, &h, text, strlen(text) + 1, 0, WAIT), 0);
}

static inline void expect_text(struct ssi_ccm_station *s, uint32_t node, uint64_t sequence, const char *text)
{
	struct ssi_ccm_head h = to(node, sequence);
	char buf[100];

	assert_int_equal(ssi_ccm_brecv(s, &h, buf, sizeof(buf), WAIT), strlen(text) + 1);
	assert_string_equal(buf, text);
	assert_int_equal(h.type, 9);
	assert_int_equal(h.size, strlen(text) + 1);
}

/* Until a thread waits for what node sends to s. */
static inline void wait_for_waiter(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_peer *p = station_peer_find(s, node);
	bool waits = false;

	for (int i = 0; i < WAIT && !waits; i++) {
		pthread_mutex_lock(&p->lock);
		waits = !TAILQ_EMPTY(&p->waiters);
		pthread_mutex_unlock(&p->lock);
		usleep(1000);
	}
	assert_true(waits);
}

static inline uint8_t *pattern(size_t n, uint8_t salt)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + salt + (i >> 8));
	return p;
}

/* Keeps its caller waiting. */
static inline void program_ignores(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	atomic_fetch_add((atomic_int *)userdata, 1);
}

static inline void echo(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	atomic_fetch_add((atomic_int *)userdata, 1);
	ssi_ccm_answer(s, call, body, call->size);
}

struct async { atomic_int n; ssize_t result; };

static inline void async_done(ssize_t result, const void *body, void *userdata)
{
	struct async *a = userdata;

	a->result = result;
	atomic_fetch_add(&a->n, 1);
}

static inline bool reaches(atomic_int *n, int want)
{
	uint64_t until = ssi_clock_mono_ms() + WAIT;

	while (atomic_load(n) < want && ssi_clock_mono_ms() < until)
		usleep(1000);
	return atomic_load(n) >= want;
}

/* Cut what connects s and node. */
static inline void cut(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_peer *p = station_peer_find(s, node);

	pthread_mutex_lock(&p->lock);
	if (p->conn)
		shutdown(p->conn->fd, SHUT_RDWR);
	pthread_mutex_unlock(&p->lock);
}

struct waiting { struct ssi_ccm_station *s; ssize_t r; uint64_t ms; };

#define both(t) cmocka_unit_test_setup_teardown(t, setup_plain, teardown), cmocka_unit_test_setup_teardown(t, setup_tls, teardown)
