/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Both ends of ccm's loop face over real TLS on loopback, in one loop: the master has a door, nodes n1 to n2000 may come in with incarnation 7, and so may
 * the machine that boots as n1. Keys of incarnation 6 are over, and a used one is an alarm; those of 5 are over and no news. Every wait is for
 * an event, with a bound.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
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
#include "libssi/base/num.h"
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/station-internal.h"

#define WAIT_MS 10000
#define BIG (700u << 10)
#define MAC "52:54:00:00:00:01"
#define NODES 2000

static const struct in_addr loopback = { 0x0100007f };
static const struct ssi_ccm_as n1 = { 1, 7, "n1" };
static const uint8_t good_key[SSI_CCM_KEY] = "0123456789abcdef0123456789abcde";

struct fixture {
	sd_event *event;
	struct ssi_ccm *master, *node;
	struct ssi_ccm_conn *at_master, *at_node;      /* the newest */
	uint64_t incarnation;                /* the master's */
	uint16_t port;
	int keys, revoked;                   /* revoked: what keys that were good are now */
	int opened_master, opened_node, closed_master, closed_node, refused, drained, got, got_node;
	size_t got_bytes;
	struct ssi_err why_master, why_node, why_refused;
	struct ssi_identity refused_id;
	bool refused_named;
	/* what handlers do */
	bool echo, close_on_frame, abort_on_frame, settle_fails;
	int handler_says, node_says;
	bool unsettled;                      /* something was heard in this turn */
	int holds, settles;
	bool numbered;                       /* sequences count from 1: each is the next */
};

static inline int fx_key(const struct ssi_identity *id, struct in_addr peer, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	struct fixture *x = userdata;
	uint64_t number = 1;

	x->keys++;
	if (id->kind == SSI_IDENTITY_NODE && (id->who[0] != 'n' || ssi_num_u64(id->who + 1, 1, NODES, &number) < 0))
		return -ENOENT;
	if (id->kind == SSI_IDENTITY_BOOT && strcmp(id->who, MAC))
		return -ENOENT;
	if (x->revoked < 0)
		return x->revoked;
	*ret_node = (uint32_t)number + (id->kind == SSI_IDENTITY_BOOT ? SSI_CCM_BOOTING : 0);
	memcpy(ret, good_key, SSI_CCM_KEY);
	return id->incarnation == 6 ? 1 : id->incarnation < 6 ? 2 : x->revoked;
}

static inline void fx_opened_master(struct ssi_ccm_conn *c, void *userdata)
{
	struct fixture *x = userdata;

	x->at_master = c;
	x->opened_master++;
}

static inline void fx_closed_master(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	if (x->at_master == c)
		x->at_master = NULL;
	x->closed_master++;
	x->why_master = *why;
}

static inline void fx_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	assert_int_equal(peer.s_addr, loopback.s_addr);
	x->refused++;
	x->why_refused = *why;
	x->refused_named = id;
	if (id)
		x->refused_id = *id;
}

static inline void fx_drained(struct ssi_ccm_conn *c, void *userdata)
{
	((struct fixture *)userdata)->drained++;
}

static inline void fx_hold(void *userdata)
{
	((struct fixture *)userdata)->holds++;
}

/* As of a daemon that stores what it has heard. */
static inline int fx_settle(struct ssi_err *e, void *userdata)
{
	struct fixture *x = userdata;
	bool heard = x->unsettled;

	x->settles++;
	x->unsettled = false;
	return x->settle_fails && heard ? ssi_errf(e, -ENOSPC, "it could not be stored") : 0;
}

static inline void fx_opened_node(struct ssi_ccm_conn *c, void *userdata)
{
	((struct fixture *)userdata)->opened_node++;
}

static inline void fx_closed_node(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->closed_node++;
	x->why_node = *why;
	if (x->at_node == c)
		x->at_node = NULL;
}

static const struct ssi_ccm_ops fx_master_ops = { .key = fx_key, .opened = fx_opened_master, .closed = fx_closed_master, .refused = fx_refused,
	.drained = fx_drained, .hold = fx_hold, .settle = fx_settle };
static const struct ssi_ccm_ops fx_node_ops = { .opened = fx_opened_node, .closed = fx_closed_node, .drained = fx_drained };

static inline int fx_on_master(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct fixture *x = userdata;

	x->got++;
	x->got_bytes += f->size;
	x->unsettled = true;
	if (x->numbered)
		assert_int_equal(f->sequence, x->got);
	if (x->close_on_frame)
		ssi_ccm_close(c, NULL);
	if (x->abort_on_frame)
		ssi_ccm_abort(c, &(struct ssi_err){ .code = -ECANCELED, .text = "by its handler" });
	if (x->echo)
		assert_int_equal(ssi_ccm_send(c, f->module, f->type, f->sequence, body, f->size), 0);
	return x->handler_says;
}

static inline int fx_on_node(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct fixture *x = userdata;

	assert_false(x->unsettled);      /* no answer before what it says is stored */
	x->got_node++;
	if (x->numbered)
		assert_int_equal(f->sequence, x->got_node);
	return x->node_says;
}

/* A node's end, which may be many nodes. */
static inline struct ssi_ccm *fx_node_new(struct fixture *x)
{
	const struct ssi_ccm_rule rule = { 2, 1, 1u << 20, SSI_FROM_MASTER, fx_on_node, x };
	struct ssi_ccm *m;

	assert_int_equal(ssi_ccm_new(x->event, &fx_node_ops, x, &m), 0);
	assert_int_equal(ssi_ccm_register(m, &rule, 1), 0);
	return m;
}

/* Each life of the master has a higher incarnation, at the same port. */
static inline void fx_master_start(struct fixture *x)
{
	const struct ssi_ccm_rule rules[] = {
		{ 1, 1, 256, SSI_FROM_BOOT, fx_on_master, x },
		{ 2, 1, 1u << 20, SSI_FROM_NODE, fx_on_master, x },
		{ 2, 3, 16, SSI_FROM_NODE, fx_on_master, x },
	};

	assert_int_equal(ssi_ccm_new(x->event, &fx_master_ops, x, &x->master), 0);
	assert_int_equal(ssi_ccm_register(x->master, rules, sizeof(rules) / sizeof(*rules)), 0);
	assert_int_equal(ssi_ccm_register(x->master, rules, 1), -EEXIST);
	assert_int_equal(ssi_ccm_port(x->master), 0);
	assert_int_equal(ssi_ccm_listen(x->master, ++x->incarnation, loopback, x->port, NULL), 0);
	x->port = ssi_ccm_port(x->master);
}

/* Its connection with this peer is cut, as by the network. */
static inline void fx_cut(struct ssi_ccm *m, uint32_t peer)
{
	struct station_peer *p = station_peer_find(m->station, peer);

	if (p && p->conn)
		shutdown(p->conn->fd, SHUT_RDWR);
}

/* As by a power cut: nobody is told. */
static inline void fx_master_crash(struct fixture *x)
{
	for (unsigned i = 0; i < x->master->station->n_peers; i++)
		fx_cut(x->master, x->master->station->all[i]->node);
	ssi_ccm_free(x->master);
	x->master = NULL;
	x->at_master = NULL;
}

static inline int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	assert_int_equal(sd_event_new(&x->event), 0);
	fx_master_start(x);
	x->node = fx_node_new(x);
	*state = x;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_ccm_free(x->node);
	ssi_ccm_free(x->master);
	sd_event_unref(x->event);
	free(x);
	return 0;
}

static inline int fx_late(sd_event_source *s, uint64_t usec, void *userdata)
{
	*(bool *)userdata = true;
	return 0;
}

/* Run the loop until *what is at least n, or ms are over. */
static inline bool fx_within(struct fixture *x, const int *what, int n, unsigned ms)
{
	sd_event_source *timer = NULL;
	bool late = false;

	sd_event_add_time_relative(x->event, &timer, CLOCK_MONOTONIC, ms * 1000ull, 1, fx_late, &late);
	while (*what < n && !late)
		assert_true(sd_event_run(x->event, UINT64_MAX) >= 0);
	sd_event_source_disable_unref(timer);
	return *what >= n;
}

static inline void fx_until(struct fixture *x, const int *what, int n)
{
	assert_true(fx_within(x, what, n, WAIT_MS));
}

/* What is ready now. */
static inline void fx_run(struct fixture *x)
{
	while (sd_event_run(x->event, 0) > 0)
		;
}

/* For so long; for what should not happen. */
static inline void fx_pass(struct fixture *x, unsigned ms)
{
	static const int never;

	fx_within(x, &never, 1, ms);
}

/* Who has no key and denies access all the same, as the master does when a key's time is over: in clear, for a stranger has no other way. */
struct fx_stranger { int fd, times, denied; uint16_t port; pthread_t thread; };

static inline void *fx_stranger_run(void *userdata)
{
	static const uint8_t denied[] = { 21, 3, 3, 0, 2, 2, 49 };
	struct fx_stranger *s = userdata;

	while (s->times-- > 0) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		uint8_t hello[2048];
		struct in_addr peer;

		if (poll(&p, 1, WAIT_MS) != 1 || (p.fd = ssi_sock_accept(s->fd, &peer)) < 0)
			break;
		if (poll(&p, 1, WAIT_MS) == 1 && recv(p.fd, hello, sizeof(hello), 0) > 0 && send(p.fd, denied, sizeof(denied), MSG_NOSIGNAL) > 0)
			__atomic_add_fetch(&s->denied, 1, __ATOMIC_RELEASE);
		close(p.fd);
	}
	return NULL;
}

static inline void fx_stranger_start(struct fx_stranger *s, int times)
{
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);

	*s = (struct fx_stranger){ .fd = ssi_sock_listen(loopback, 0, NULL), .times = times };
	assert_true(s->fd >= 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sa, &n), 0);
	s->port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, fx_stranger_run, s), 0);
}

static inline void fx_stranger_end(struct fx_stranger *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
}

static inline void fx_connect(struct fixture *x, const struct ssi_ccm_as *as, const uint8_t *key)
{
	assert_int_equal(ssi_ccm_connect(x->node, loopback, x->port, as, key, WAIT_MS, &x->at_node, NULL), 0);
}

/* A session of n1. */
static inline void fx_join(struct fixture *x)
{
	int opened_master = x->opened_master, opened_node = x->opened_node;

	fx_connect(x, &n1, good_key);
	fx_until(x, &x->opened_master, opened_master + 1);
	fx_until(x, &x->opened_node, opened_node + 1);
}
