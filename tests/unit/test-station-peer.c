/* SPDX-License-Identifier: GPL-2.0-or-later */
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

static const struct in_addr loopback = { 0x0100007f };

/* The station, node 2, and its peer's end of their connection. */
struct fixture { struct ssi_ccm_station *s; struct station_peer *p; int fd; uint64_t serial; };

static void say(struct fixture *x, const void *p, size_t n)
{
	while (n) {
		ssize_t r = send(x->fd, p, n, MSG_NOSIGNAL);

		assert_true(r > 0);
		p = (const uint8_t *)p + r;
		n -= (size_t)r;
	}
}

static struct station_frame frame(uint8_t flags, uint16_t module, uint16_t type, uint64_t sequence, uint32_t size)
{
	return (struct station_frame){
		.flags = flags, .module = module, .type = type, .source = PEER, .destination = SELF, .incarnation = PEER_INCARNATION, .sequence = sequence,
		.size = size,
	};
}

/* A message and the first n bytes of its body, which are `fill`. */
static void say_message(struct fixture *x, struct station_frame f, uint8_t fill, size_t n)
{
	uint8_t *all = malloc(STATION_HEADER + n);

	f.serial = ++x->serial;
	station_frame_encode(&f, all);
	memset(all + STATION_HEADER, fill, n);
	say(x, all, STATION_HEADER + n);
	free(all);
}

/* n bytes, or false at the end or when nothing came for so long. */
static bool hear(struct fixture *x, void *p, size_t n, unsigned ms)
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
static bool hear_message(struct fixture *x, struct station_frame *ret, unsigned ms)
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

static void say_hello(struct fixture *x)
{
	const struct station_hello h = { .fresh = 77, .next = 1, .window = 128 << 10, .retain = 256 << 10 };
	const struct station_frame f = frame(0, 0, CONTROL_HELLO, 0, STATION_HELLO);
	uint8_t all[STATION_HEADER + STATION_HELLO];

	station_frame_encode(&f, all);
	station_hello_encode(&h, all + STATION_HEADER);
	say(x, all, sizeof(all));
	assert_true(hear(x, all, sizeof(all), WAIT));
}

static int setup(void **state)
{
	const struct ssi_ccm_station_config c = {
		.number = SELF, .incarnation = 6, .address = loopback, .plain = true, .dead_ms = 60000, .window = 128 << 10, .retain = 256 << 10,
	};
	const struct ssi_ccm_permit permits[] = { { MOD, 0, SSI_CCM_BODY_MAX, 0, 100 }, { CALLS, 0, SSI_CCM_BODY_MAX, 0, 100 } };
	struct fixture *x = calloc(1, sizeof(*x));
	struct pollfd p = { .events = POLLOUT };

	assert_int_equal(ssi_ccm_station_new(&c, &x->s, NULL), 0);
	assert_int_equal(ssi_ccm_permit(x->s, permits, 2), 0);
	assert_int_equal(ssi_ccm_listen_to(x->s, PEER, NULL), 0);
	x->p = station_peer_find(x->s, PEER);
	x->fd = p.fd = ssi_sock_connect(loopback, ssi_ccm_station_port(x->s), NULL);
	assert_int_equal(poll(&p, 1, WAIT), 1);
	say_hello(x);
	assert_int_equal(ssi_ccm_await(x->s, PEER, WAIT), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_ccm_station_free(x->s);
	close(x->fd);
	free(x);
	return 0;
}

/* Until all that was said before has been dealt with: a message goes through. */
static void in_step(struct fixture *x)
{
	struct ssi_ccm_head from = { .node = PEER, .module = MOD, .sequence = 1000 };
	char buf[4];

	say_message(x, frame(KIND_MESSAGE, MOD, 1, 1000, 4), 0, 4);
	assert_int_equal(ssi_ccm_brecv(x->s, &from, buf, sizeof(buf), WAIT), 4);
}

/* Of a peer, whose lock is held. */
static bool is_claimed(const struct station_peer *p)
{
	return !TAILQ_EMPTY(&p->waiters) && TAILQ_FIRST(&p->waiters)->claimed;
}

static bool waits_for_both(const struct station_peer *p)
{
	return !TAILQ_EMPTY(&p->waiters) && p->waiting_room;
}

static bool is_gone(const struct station_peer *p)
{
	return p->state == PEER_GONE;
}

static bool comes(struct fixture *x, bool (*what)(const struct station_peer *p))
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

struct call { struct fixture *x; uint8_t *buf; size_t n; unsigned ms; ssize_t r; };

static void *call_run(void *userdata)
{
	struct call *c = userdata;
	const struct ssi_ccm_head to = { .node = PEER, .module = CALLS, .type = 1 };

	c->r = ssi_ccm_call(c->x->s, &to, SSI_CCM_SHORT, "", 0, c->buf, c->n, c->ms);
	return NULL;
}

/*
 * A call that could not be sent, and whose answer began to come all the same (its sequence can be guessed from the one before): its caller's memory is
 * not touched once it has returned.
 */
static void test_answer_before_call(void **state)
{
	struct fixture *x = *state;
	const struct ssi_ccm_head stuck = { .node = PEER, .module = CALLS };
	enum { SIZE = 40000, FIRST = 20000 };
	struct call c = { .x = x, .buf = malloc(SIZE), .n = SIZE, .ms = WAIT };
	uint8_t body[1000] = { 0 }, *rest = calloc(1, SIZE - FIRST);
	struct station_frame f = { 0 };
	pthread_t id;

	pthread_create(&id, NULL, call_run, &c);
	assert_true(hear_message(x, &f, WAIT));
	say_message(x, frame(KIND_ANSWER, CALLS, 1, f.sequence, 0), 0, 0);
	pthread_join(id, NULL);
	assert_int_equal(c.r, 0);
	while (ssi_ccm_bsend(x->s, &stuck, body, sizeof(body), SSI_CCM_NOWAIT, 0) == 0 || ssi_ccm_bsend(x->s, &stuck, NULL, 0, SSI_CCM_NOWAIT, 0) == 0)
		;
	c.ms = 2000;
	pthread_create(&id, NULL, call_run, &c);
	assert_true(comes(x, waits_for_both));
	say_message(x, frame(KIND_ANSWER, CALLS, 1, f.sequence + 1, SIZE), 1, FIRST);
	assert_true(comes(x, is_claimed));
	pthread_join(id, NULL);
	assert_int_equal(c.r, -ETIMEDOUT);
	memset(c.buf, 0xaa, SIZE);
	say(x, rest, SIZE - FIRST);
	in_step(x);
	for (int i = 0; i < SIZE; i++)
		assert_int_equal(c.buf[i], 0xaa);
	free(c.buf);
	free(rest);
}

struct waiting { struct fixture *x; bool settles; ssize_t r; };

static void *wait_run(void *userdata)
{
	struct waiting *w = userdata;
	struct ssi_ccm_head from = { .node = PEER, .module = MOD, .sequence = 1 };
	char buf[100];

	w->r = w->settles ? ssi_ccm_settle(w->x->s, PEER, WAIT) : ssi_ccm_brecv(w->x->s, &from, buf, sizeof(buf), WAIT);
	return NULL;
}

/* Who waits when its peer is parted with hears one thing, whatever it waits for: in the middle of a message, or for what is never acknowledged. */
static void test_part_meanwhile(void **state)
{
	struct fixture *x = *state;
	const struct ssi_ccm_head to = { .node = PEER, .module = MOD };
	struct waiting w[2] = { { .x = x }, { .x = x, .settles = true } };
	pthread_t id[2];

	assert_int_equal(ssi_ccm_bsend(x->s, &to, "", 0, 0, WAIT), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&id[i], NULL, wait_run, &w[i]);
	assert_true(comes(x, waits_for_both));
	say_message(x, frame(KIND_MESSAGE, MOD, 1, 1, 100), 0, 50);
	assert_true(comes(x, is_claimed));
	assert_int_equal(ssi_ccm_part(x->s, PEER), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(id[i], NULL);
		assert_int_equal(w[i].r, -EHOSTDOWN);
	}
}

/* Says all it can, until there is no room for one frame more. */
static void fill_up(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	static const uint8_t bytes[1000];

	for (uint16_t module = MOD; module <= CALLS; module++) {
		const struct ssi_ccm_head to = { .node = call->node, .module = module };

		while (ssi_ccm_bsend(s, &to, bytes, sizeof(bytes), SSI_CCM_NOWAIT, 0) == 0 || ssi_ccm_bsend(s, &to, NULL, 0, SSI_CCM_NOWAIT, 0) == 0)
			;
	}
}

static void say_ack(struct fixture *x, uint64_t serial)
{
	struct station_frame f = frame(0, 0, CONTROL_ACK, 0, 0);
	uint8_t header[STATION_HEADER];

	f.ack = serial;
	station_frame_encode(&f, header);
	say(x, header, sizeof(header));
}

/* A call for which there is no handler is told so, also when there is no room to say it at once. */
static void test_refusal_waits_for_room(void **state)
{
	struct fixture *x = *state;
	struct station_frame f[2] = { frame(KIND_SHORT, CALLS, 1, 1, 0), frame(KIND_SHORT | STATION_WANTS_ANSWER, CALLS, 2, 2, 0) }, got = { 0 };
	uint8_t both[2 * STATION_HEADER];

	assert_int_equal(ssi_ccm_regist(x->s, CALLS, 1, fill_up, NULL), 0);
	for (int i = 0; i < 2; i++) {
		f[i].serial = ++x->serial;
		station_frame_encode(&f[i], both + i * STATION_HEADER);
	}
	say(x, both, sizeof(both));
	while (station_frame_kind(&got) != KIND_NO_HANDLER && hear_message(x, &got, 2000))
		if (got.serial % 100 == 0)
			say_ack(x, got.serial);
	assert_int_equal(station_frame_kind(&got), KIND_NO_HANDLER);
	assert_int_equal(got.sequence, 2);
}

#define LARGE (700u << 10)

static void *send_large(void *userdata)
{
	struct call *c = userdata;
	const struct ssi_ccm_head to = { .node = PEER, .module = MOD };
	uint64_t began = ssi_clock_mono_ms();

	c->r = ssi_ccm_bsend(c->x->s, &to, c->buf, LARGE, 0, WAIT);
	c->ms = (unsigned)(ssi_clock_mono_ms() - began);
	return NULL;
}

/* A peer that takes a little now and then holds no thread: what was taken over is the loop's to write. */
static void test_slow_peer(void **state)
{
	struct fixture *x = *state;
	struct call c = { .x = x, .buf = calloc(1, LARGE) };
	struct station_frame got = { 0 };
	uint8_t some[1024];
	pthread_t id;

	setsockopt(x->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 16384 }, sizeof(int));
	setsockopt(x->p->conn->fd, SOL_SOCKET, SO_SNDBUF, &(int){ 16384 }, sizeof(int));
	pthread_create(&id, NULL, send_large, &c);
	assert_true(hear(x, some, STATION_HEADER, WAIT));
	assert_int_equal(station_frame_decode(some, &got, NULL), 0);
	for (unsigned left = LARGE; left; left -= left < sizeof(some) ? left : sizeof(some)) {
		assert_true(hear(x, some, left < sizeof(some) ? left : sizeof(some), WAIT));
		usleep(5000);
	}
	pthread_join(id, NULL);
	assert_int_equal(c.r, 0);
	assert_in_range(c.ms, 0, 2000);
	free(c.buf);
}

/* A thread that found the end of a session, and was slow to have it ended, does not end the one after it. */
static void test_late_end(void **state)
{
	struct fixture *x = *state;

	pthread_mutex_lock(&x->p->lock);
	station_session_doom(x->p);
	x->p->doomed++;                      /* as if p->session were another one since */
	pthread_mutex_unlock(&x->p->lock);
	in_step(x);
	in_step(x);
	assert_int_equal(ssi_ccm_await(x->s, PEER, 0), 0);
	pthread_mutex_lock(&x->p->lock);
	station_session_doom(x->p);
	pthread_mutex_unlock(&x->p->lock);
	assert_true(comes(x, is_gone));
}

static void count(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	atomic_fetch_add((atomic_int *)userdata, 1);
}

/* A long call for which no thread could be started is run when one can. */
static void test_no_thread(void **state)
{
	struct fixture *x = *state;
	unsigned workers = x->s->config.workers;
	atomic_int n = 0;

	assert_int_equal(ssi_ccm_regist(x->s, CALLS, 1, count, &n), 0);
	pthread_mutex_lock(&x->s->jobs_lock);
	x->s->config.workers = 0;            /* none can be had */
	pthread_mutex_unlock(&x->s->jobs_lock);
	say_message(x, frame(KIND_LONG, CALLS, 1, 1, 0), 0, 0);
	in_step(x);
	pthread_mutex_lock(&x->s->jobs_lock);
	x->s->config.workers = workers;
	pthread_mutex_unlock(&x->s->jobs_lock);
	for (int i = 0; i < WAIT && !atomic_load(&n); i++)
		usleep(1000);
	assert_int_equal(n, 1);
}

/* Answers to nothing cost nothing, however many modules they name. */
static void test_unasked_answers(void **state)
{
	struct fixture *x = *state;
	unsigned lanes = 0;

	for (uint16_t i = 0; i < 1000; i++)
		say_message(x, frame(KIND_ANSWER, (uint16_t)(100 + i), 1, i, 10), 1, 10);
	in_step(x);
	for (struct station_lane *l = atomic_load(&x->p->lanes); l; l = l->next)
		lanes++;
	assert_int_equal(lanes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answer_before_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal_waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unasked_answers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
