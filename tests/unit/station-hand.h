/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A station against a peer made by hand, which says and leaves unsaid what no station would. Plain: whoever holds a key can do as much. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/clock.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/station-internal.h"

#define WAIT 10000
#define MOD 1
#define CALLS 2
#define PEER 1
#define SELF 2
#define PEER_INCARNATION 5
#define FRESH 77                         /* and so the first session */

static const struct in_addr loopback = { 0x0100007f };

/* The peer's end of its connection. */
struct hand { int fd; uint64_t serial; };

/* The station, node 2, and its peer's end of their connection. */
struct fixture { struct ssi_ccm_station *s; struct station_peer *p; struct hand hand; atomic_int refused, code, ups; };

static inline void say(struct hand *x, const void *p, size_t n)
{
	while (n) {
		ssize_t r = send(x->fd, p, n, MSG_NOSIGNAL);

		assert_true(r > 0);
		p = (const uint8_t *)p + r;
		n -= (size_t)r;
	}
}

static inline struct station_frame frame(uint8_t flags, uint16_t module, uint16_t type, uint64_t sequence, uint32_t size)
{
	return (struct station_frame){
		.flags = flags, .module = module, .type = type, .source = PEER, .destination = SELF, .incarnation = PEER_INCARNATION, .sequence = sequence,
		.size = size,
	};
}

/* A message and the first n bytes of its body, which are `fill`. */
static inline void say_message(struct hand *x, struct station_frame f, uint8_t fill, size_t n)
{
	uint8_t *all = malloc(STATION_HEADER + n);

	f.serial = ++x->serial;
	station_frame_encode(&f, all);
	memset(all + STATION_HEADER, fill, n);
	say(x, all, STATION_HEADER + n);
	free(all);
}

/* n bytes, or false at the end or when nothing came for so long. */
static inline bool hear(struct hand *x, void *p, size_t n, unsigned ms)
{
	struct pollfd poll_fd = { .fd = x->fd, .events = POLLIN };

	while (n) {
		ssize_t r = poll(&poll_fd, 1, (int)ms) == 1 ? recv(x->fd, p, n, 0) : 0;

		if (r <= 0)
			return false;
		p = (uint8_t *)p + r;
		n -= (size_t)r;
	}
	return true;
}

/* The next frame that is no control frame, without its body. */
static inline bool hear_message(struct hand *x, struct station_frame *ret, unsigned ms)
{
	uint8_t header[STATION_HEADER], *body;
	bool heard;

	do {
		if (!hear(x, header, sizeof(header), ms))
			return false;
		if (station_frame_decode(header, ret, NULL) < 0)
			return false;
		body = malloc(ret->size + 1);
		heard = hear(x, body, ret->size, ms);
		free(body);
	} while (heard && !ret->module);
	return heard;
}

/* session: the one that goes on, or 0. */
static inline void say_hello(struct hand *x, uint64_t session, uint64_t fresh, uint64_t next)
{
	const struct station_hello h = { .session = session, .fresh = fresh, .next = next, .window = 128 << 10, .retain = 256 << 10 };
	const struct station_frame f = frame(0, 0, CONTROL_HELLO, 0, STATION_HELLO);
	uint8_t all[STATION_HEADER + STATION_HELLO];

	station_frame_encode(&f, all);
	station_hello_encode(&h, all + STATION_HEADER);
	say(x, all, sizeof(all));
}

static inline void hear_hello(struct hand *x)
{
	uint8_t all[STATION_HEADER + STATION_HELLO];

	assert_true(hear(x, all, sizeof(all), WAIT));
}

static inline void say_ack(struct hand *x, uint64_t serial)
{
	struct station_frame f = frame(0, 0, CONTROL_ACK, 0, 0);
	uint8_t header[STATION_HEADER];

	f.ack = serial;
	station_frame_encode(&f, header);
	say(x, header, sizeof(header));
}

static inline void hand_on_refused(struct in_addr peer, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	atomic_store(&x->code, why->code);
	atomic_fetch_add(&x->refused, 1);
}

static inline void hand_on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	atomic_fetch_add(&((struct fixture *)userdata)->ups, state == SSI_CCM_UP);
}

static inline void dial(struct fixture *x)
{
	struct pollfd p = { .events = POLLOUT };

	x->hand.fd = p.fd = ssi_sock_connect(loopback, ssi_ccm_station_port(x->s), NULL);
	assert_int_equal(poll(&p, 1, WAIT), 1);
}

static inline int setup(void **state)
{
	static const struct ssi_ccm_station_ops ops = { .refused = hand_on_refused, .state = hand_on_state };
	struct ssi_ccm_station_config c = {
		.number = SELF, .incarnation = 6, .address = loopback, .plain = true, .dead_ms = 60000, .window = 128 << 10, .retain = 256 << 10, .ops = &ops,
	};
	const struct ssi_ccm_permit permits[] = { { MOD, 0, SSI_CCM_BODY_MAX, 0, 100 }, { CALLS, 0, SSI_CCM_BODY_MAX, 0, 100 } };
	struct fixture *x = calloc(1, sizeof(*x));

	c.userdata = x;
	assert_int_equal(ssi_ccm_station_new(&c, &x->s, NULL), 0);
	assert_int_equal(ssi_ccm_permit(x->s, permits, 2), 0);
	assert_int_equal(ssi_ccm_listen_to(x->s, PEER, NULL), 0);
	x->p = station_peer_find(x->s, PEER);
	dial(x);
	say_hello(&x->hand, 0, FRESH, 1);
	hear_hello(&x->hand);
	assert_int_equal(ssi_ccm_await(x->s, PEER, WAIT), 0);
	*state = x;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_ccm_station_free(x->s);
	close(x->hand.fd);
	free(x);
	return 0;
}

/* Until all that was said before has been dealt with: a message goes through. */
static inline void in_step(struct fixture *x)
{
	struct ssi_ccm_head from = { .node = PEER, .module = MOD, .sequence = 1000 };
	char buf[4];

	say_message(&x->hand, frame(KIND_MESSAGE, MOD, 1, 1000, 4), 0, 4);
	assert_int_equal(ssi_ccm_brecv(x->s, &from, buf, sizeof(buf), WAIT), 4);
}

static inline bool comes(struct fixture *x, bool (*what)(const struct station_peer *p))
{
	bool yes = false;

	for (int i = 0; i < WAIT && !yes; i++) {
		pthread_mutex_lock(&x->p->lock);
		yes = what(x->p);
		pthread_mutex_unlock(&x->p->lock);
		if (!yes)
			usleep(1000);
	}
	return yes;
}
