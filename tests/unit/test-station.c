/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stations over real loopback sockets: every call of the interface, and what happens to it when a connection or a peer goes. */
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

static void seen_add(struct seen *x, int *what)
{
	pthread_mutex_lock(&x->lock);
	++*what;
	pthread_mutex_unlock(&x->lock);
}

static bool seen_comes(struct seen *x, const int *what, int n)
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

static void on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	struct seen *x = userdata;

	seen_add(x, state == SSI_CCM_UP ? &x->up : state == SSI_CCM_LINK_DOWN ? &x->link_down : state == SSI_CCM_LINK_UP ? &x->link_up : &x->gone);
}

static void on_arrived(const struct ssi_ccm_head *head, void *userdata)
{
	struct seen *x = userdata;

	seen_add(x, &x->arrived);
}

static void on_drained(uint32_t node, uint16_t module, void *userdata)
{
	struct seen *x = userdata;

	seen_add(x, &x->drained);
}

static void on_refused(struct in_addr peer, uint32_t node, const struct ssi_err *why, void *userdata)
{
	struct seen *x = userdata;

	pthread_mutex_lock(&x->lock);
	if (!x->refused++)
		x->why = *why;
	pthread_mutex_unlock(&x->lock);
}

static const struct ssi_ccm_station_ops ops = { .state = on_state, .arrived = on_arrived, .drained = on_drained, .refused = on_refused };

/* A program with an event loop, in a thread; frozen, it is a node that was stopped. */
struct program { sd_event *event; struct ssi_ccm_station *s; struct seen seen; pthread_t id; atomic_bool run; atomic_int calls; uint16_t port; };

struct pair { struct ssi_ccm_station *a, *b; struct seen seen_a, seen_b; };    /* nodes 1 and 2 */

/* Only a test of silence is about time; the others must not fail because the machine is busy. */
#define PATIENT_MS 20000
#define SILENCE_MS 1000
static unsigned dead_ms = PATIENT_MS;

static struct ssi_ccm_station *station_in(sd_event *event, uint32_t number, uint64_t incarnation, bool plain, struct seen *seen)
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

static struct ssi_ccm_station *station(uint32_t number, uint64_t incarnation, bool plain, struct seen *seen)
{
	return station_in(NULL, number, incarnation, plain, seen);
}

static void meet(struct pair *x)
{
	assert_int_equal(ssi_ccm_listen_to(x->b, 1, key), 0);
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, ssi_ccm_station_port(x->b), key), 0);
	assert_int_equal(ssi_ccm_await(x->a, 2, WAIT), 0);
	assert_int_equal(ssi_ccm_await(x->b, 1, WAIT), 0);
}

static int setup_as(void **state, bool plain)
{
	struct pair *x = calloc(1, sizeof(*x));

	x->a = station(1, 5, plain, &x->seen_a);
	x->b = station(2, 6, plain, &x->seen_b);
	meet(x);
	*state = x;
	return 0;
}

static int setup_plain(void **state)
{
	return setup_as(state, true);
}

static int setup_tls(void **state)
{
	return setup_as(state, false);
}

static int teardown(void **state)
{
	struct pair *x = *state;

	ssi_ccm_station_free(x->a);
	ssi_ccm_station_free(x->b);
	free(x);
	return 0;
}

static struct ssi_ccm_head to(uint32_t node, uint64_t sequence)
{
	return (struct ssi_ccm_head){ .node = node, .module = MOD, .type = 9, .sequence = sequence };
}

static void send_text(struct ssi_ccm_station *s, uint32_t node, uint64_t sequence, const char *text)
{
	const struct ssi_ccm_head h = to(node, sequence);

	assert_int_equal(ssi_ccm_bsend(s, &h, text, strlen(text) + 1, 0, WAIT), 0);
}

static void expect_text(struct ssi_ccm_station *s, uint32_t node, uint64_t sequence, const char *text)
{
	struct ssi_ccm_head h = to(node, sequence);
	char buf[100];

	assert_int_equal(ssi_ccm_brecv(s, &h, buf, sizeof(buf), WAIT), strlen(text) + 1);
	assert_string_equal(buf, text);
	assert_int_equal(h.type, 9);
	assert_int_equal(h.size, strlen(text) + 1);
}

static void test_messages(void **state)
{
	struct pair *x = *state;

	send_text(x->a, 2, 1, "first");
	send_text(x->a, 2, 2, "second");
	send_text(x->a, 2, 3, "third");
	expect_text(x->b, 1, 3, "third");
	expect_text(x->b, 1, SSI_CCM_NOSEQ, "first");
	expect_text(x->b, 1, SSI_CCM_NOSEQ, "second");
	send_text(x->b, 1, 7, "");
	expect_text(x->a, 2, 7, "");
}

static void test_arecv(void **state)
{
	struct pair *x = *state;
	struct ssi_ccm_head h = to(1, SSI_CCM_NOSEQ);
	void *body;

	assert_int_equal(ssi_ccm_arecv(x->b, &h, &body), -EAGAIN);
	send_text(x->a, 2, 1, "by pointer");
	assert_true(seen_comes(&x->seen_b, &x->seen_b.arrived, 1));
	assert_int_equal(ssi_ccm_arecv(x->b, &h, &body), 0);
	assert_string_equal(body, "by pointer");
	assert_int_equal(h.sequence, 1);
	ssi_ccm_body_free(body);
	ssi_ccm_body_free(NULL);
}

static void test_bounds(void **state)
{
	struct pair *x = *state;
	struct ssi_ccm_head h = to(1, 4);
	const struct ssi_ccm_head far = to(77, 1);
	uint64_t before = ssi_clock_mono_ms();
	char buf[4];
	void *body;

	assert_int_equal(ssi_ccm_brecv(x->b, &h, buf, sizeof(buf), 50), -ETIMEDOUT);
	assert_in_range(ssi_clock_mono_ms() - before, 50, 2000);
	assert_int_equal(ssi_ccm_brecv(x->b, &h, buf, sizeof(buf), 0), -ETIMEDOUT);
	assert_int_equal(ssi_ccm_bsend(x->a, &far, "", 0, 0, 0), -ENOENT);
	send_text(x->a, 2, 4, "too long");
	assert_int_equal(ssi_ccm_brecv(x->b, &h, buf, sizeof(buf), WAIT), -EMSGSIZE);
	assert_int_equal(h.size, 9);
	h = to(1, 4);
	assert_int_equal(ssi_ccm_arecv(x->b, &h, &body), 0);
	assert_string_equal(body, "too long");
	ssi_ccm_body_free(body);
	assert_int_equal(ssi_ccm_connect_to(x->b, 1, loopback, 1, key), -EINVAL);
	assert_int_equal(ssi_ccm_listen_to(x->a, 2, key), -EINVAL);
	assert_int_equal(ssi_ccm_listen_to(x->b, 1, key), -EEXIST);
	assert_int_equal(ssi_ccm_permit(x->a, permits, 1), -EBUSY);
}

/* Until a thread waits for what node sends to s. */
static void wait_for_waiter(struct ssi_ccm_station *s, uint32_t node)
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

static uint8_t *pattern(size_t n, uint8_t salt)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + salt + (i >> 8));
	return p;
}

/* Keeps its caller waiting. */
static void program_ignores(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	atomic_fetch_add((atomic_int *)userdata, 1);
}

struct too_long { struct ssi_ccm_station *s; ssize_t waited; int taken; uint32_t told; };

static void *too_long_receive(void *userdata)
{
	struct too_long *t = userdata;
	struct ssi_ccm_head h = to(1, 4);
	void *body = NULL;
	char buf[4];

	t->waited = ssi_ccm_brecv(t->s, &h, buf, sizeof(buf), WAIT);
	t->told = h.size;
	h = to(1, 4);
	t->taken = ssi_ccm_arecv(t->s, &h, &body);
	ssi_ccm_body_free(body);
	return NULL;
}

/* Who is told that a message is too long finds it whole. */
static void test_too_long(void **state)
{
	struct pair *x = *state;
	struct too_long t = { .s = x->b };
	const struct ssi_ccm_head h = to(2, 4);
	uint8_t *p = pattern(BIG, 1);
	pthread_t id;

	pthread_create(&id, NULL, too_long_receive, &t);
	wait_for_waiter(x->b, 1);
	assert_int_equal(ssi_ccm_bsend(x->a, &h, p, BIG, 0, WAIT), 0);
	pthread_join(id, NULL);
	assert_int_equal(t.waited, -EMSGSIZE);
	assert_int_equal(t.told, BIG);
	assert_int_equal(t.taken, 0);
	free(p);
}

/* Large bodies, copied and by reference, gathered and from a file. */
static void test_large(void **state)
{
	struct pair *x = *state;
	uint8_t *p = pattern(BIG, 1), *got = malloc(SSI_CCM_BODY_MAX);
	const struct ssi_ccm_head h = to(2, 1);
	const struct iovec iov[3] = { { p, 10 }, { p + 10, 100000 }, { p + 100010, BIG - 100010 } };
	FILE *f = tmpfile();

	assert_int_equal(fwrite(p, 1, BIG, f), BIG);
	assert_int_equal(fflush(f), 0);
	for (int i = 0; i < 12; i++) {
		struct ssi_ccm_head from = to(1, 1);

		memset(got, 0, BIG);
		if (i % 4 == 0)
			assert_int_equal(ssi_ccm_bsend(x->a, &h, p, BIG, 0, WAIT), 0);
		else if (i % 4 == 1)
			assert_int_equal(ssi_ccm_bsend(x->a, &h, p, BIG, SSI_CCM_KEEP, WAIT), 0);
		else if (i % 4 == 2)
			assert_int_equal(ssi_ccm_bsendv(x->a, &h, iov, 3, SSI_CCM_KEEP, WAIT), 0);
		else
			assert_int_equal(ssi_ccm_send_file(x->a, &h, fileno(f), 0, BIG, 0, WAIT), 0);
		assert_int_equal(ssi_ccm_brecv(x->b, &from, got, SSI_CCM_BODY_MAX, WAIT), BIG);
		assert_memory_equal(got, p, BIG);
	}
	assert_int_equal(ssi_ccm_settle(x->a, 2, WAIT), 0);
	free(p);
	free(got);
	fclose(f);
}

static void echo(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	atomic_fetch_add((atomic_int *)userdata, 1);
	ssi_ccm_answer(s, call, body, call->size);
}

struct async { atomic_int n; ssize_t result; };

static void async_done(ssize_t result, const void *body, void *userdata)
{
	struct async *a = userdata;

	a->result = result;
	atomic_fetch_add(&a->n, 1);
}

static bool reaches(atomic_int *n, int want)
{
	uint64_t until = ssi_clock_mono_ms() + WAIT;

	while (atomic_load(n) < want && ssi_clock_mono_ms() < until)
		usleep(1000);
	return atomic_load(n) >= want;
}

static void test_calls(void **state)
{
	struct pair *x = *state;
	struct ssi_ccm_head h = { .node = 2, .module = CALLS, .type = 5 };
	atomic_int n = 0, rest = 0;
	struct async a = { 0 };
	uint8_t *p = pattern(BIG, 3), *got = malloc(BIG);

	assert_int_equal(ssi_ccm_call(x->a, &h, SSI_CCM_SHORT, "x", 2, got, BIG, WAIT), -ENOSYS);
	assert_int_equal(ssi_ccm_regist(x->b, CALLS, 5, echo, &n), 0);
	assert_int_equal(ssi_ccm_regist(x->b, CALLS, 5, echo, &n), -EEXIST);
	assert_int_equal(ssi_ccm_regist(x->b, CALLS, SSI_CCM_DEFAULT, echo, &rest), 0);
	assert_int_equal(ssi_ccm_call(x->a, &h, SSI_CCM_SHORT, "hello", 6, got, BIG, WAIT), 6);
	assert_string_equal(got, "hello");
	assert_int_equal(ssi_ccm_call(x->a, &h, SSI_CCM_LONG, p, BIG, got, BIG, WAIT), BIG);
	assert_memory_equal(p, got, BIG);
	assert_int_equal(ssi_ccm_call(x->a, &h, SSI_CCM_SHORT, "hello", 6, got, 3, WAIT), -EMSGSIZE);
	for (int i = 0; i < 1000; i++) {
		h.sequence = (uint64_t)i;
		assert_int_equal(ssi_ccm_rcall_short(x->a, &h, p, 64, 0, WAIT), 0);
		assert_int_equal(ssi_ccm_rcall_long(x->a, &h, p, 64, 0, WAIT), 0);
	}
	assert_true(reaches(&n, 2003));
	h.type = 6;
	assert_int_equal(ssi_ccm_call_async(x->a, &h, SSI_CCM_SHORT, p, 1000, async_done, &a, WAIT), 0);
	assert_true(reaches(&a.n, 1));
	assert_int_equal(a.result, 1000);
	assert_int_equal(rest, 1);
	assert_int_equal(ssi_ccm_unregist(x->b, CALLS, SSI_CCM_DEFAULT), 0);
	assert_int_equal(ssi_ccm_unregist(x->b, CALLS, SSI_CCM_DEFAULT), -ENOENT);
	assert_int_equal(ssi_ccm_call_async(x->a, &h, SSI_CCM_LONG, p, 1000, async_done, &a, WAIT), 0);
	assert_true(reaches(&a.n, 2));
	assert_int_equal(a.result, -ENOSYS);
	free(p);
	free(got);
}

/* A module that nobody serves stops its senders, and nobody else. */
static void test_credit(void **state)
{
	struct pair *x = *state;
	const struct ssi_ccm_head stuck = { .node = 2, .module = CALLS, .sequence = 1 };
	struct ssi_ccm_head from = { .node = 1, .module = CALLS, .sequence = SSI_CCM_NOSEQ };
	uint8_t body[1000] = { 0 };
	int sent = 0, r;

	while ((r = ssi_ccm_bsend(x->a, &stuck, body, sizeof(body), SSI_CCM_NOWAIT, 0)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(sent, 50, 200);
	for (uint64_t i = 0; i < 500; i++) {
		send_text(x->a, 2, i, "unhindered");
		expect_text(x->b, 1, i, "unhindered");
	}
	assert_int_equal(ssi_ccm_bsend(x->a, &stuck, body, sizeof(body), 0, 20), -ETIMEDOUT);
	for (int i = 0; i < sent; i++)
		assert_int_equal(ssi_ccm_brecv(x->b, &from, body, sizeof(body), WAIT), sizeof(body));
	assert_true(seen_comes(&x->seen_a, &x->seen_a.drained, 1));
	assert_int_equal(ssi_ccm_bsend(x->a, &stuck, body, sizeof(body), 0, WAIT), 0);
}

/* Who may not wait, as an answer from the loop, finds room also while somebody writes: the ring grows under the writer's hands. */
static void test_room_while_writing(void **state)
{
	struct pair *x = *state;
	struct station_peer *p = station_peer_find(x->a, 2);
	const struct ssi_ccm_head h = { .node = 2, .module = CALLS, .sequence = 1 };
	struct ssi_ccm_head from = { .node = 1, .module = CALLS, .sequence = SSI_CCM_NOSEQ };
	uint8_t body[1000], got[sizeof(body)], before[STATION_HEADER];
	const uint8_t *lent;
	size_t n;

	send_text(x->a, 2, 1, "so that there is a ring");
	expect_text(x->b, 1, 1, "so that there is a ring");
	pthread_mutex_lock(&p->lock);
	while (p->out.writing)
		station_cond_wait(&p->idle, &p->lock, ssi_clock_mono_ms() + 10);
	p->out.writing = true;
	station_ring_lend(&p->out.ring);
	lent = station_ring_at(&p->out.ring, 0, &n);
	memcpy(before, lent, sizeof(before));
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < 100; i++) {
		memset(body, i, sizeof(body));
		assert_int_equal(ssi_ccm_bsend(x->a, &h, body, sizeof(body), SSI_CCM_NOWAIT, 0), 0);
	}
	pthread_mutex_lock(&p->lock);
	assert_memory_equal(lent, before, sizeof(before));
	station_ring_give_back(&p->out.ring);
	p->out.writing = false;
	pthread_mutex_unlock(&p->lock);
	station_work(p, WORK_FLUSH);
	for (int i = 0; i < 100; i++) {
		memset(body, i, sizeof(body));
		assert_int_equal(ssi_ccm_brecv(x->b, &from, got, sizeof(got), WAIT), sizeof(got));
		assert_memory_equal(got, body, sizeof(body));
	}
}

/* Cut what connects s and node. */
static void cut(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_peer *p = station_peer_find(s, node);

	pthread_mutex_lock(&p->lock);
	if (p->conn)
		shutdown(p->conn->fd, SHUT_RDWR);
	pthread_mutex_unlock(&p->lock);
}

#define STREAM 20000
struct stream { struct ssi_ccm_station *s; uint32_t node; int sent; };

static void *stream_send(void *userdata)
{
	struct stream *t = userdata;
	uint8_t *p = pattern(100000, 0);

	for (int i = 0; i < STREAM; i++) {
		struct ssi_ccm_head h = to(t->node, (uint64_t)i);
		size_t n = i % 500 == 499 ? 100000 : (size_t)i % 300;

		if (ssi_ccm_bsend(t->s, &h, p, n, 0, WAIT) < 0)
			break;
		t->sent++;
	}
	free(p);
	return NULL;
}

static void *stream_receive(void *userdata)
{
	struct stream *t = userdata;
	uint8_t *p = pattern(100000, 0), *got = malloc(100000);

	for (int i = 0; i < STREAM; i++) {
		struct ssi_ccm_head h = to(t->node, SSI_CCM_NOSEQ);
		size_t n = i % 500 == 499 ? 100000 : (size_t)i % 300;

		if (ssi_ccm_brecv(t->s, &h, got, 100000, WAIT) != (ssize_t)n || h.sequence != (uint64_t)i || memcmp(got, p, n) != 0)
			break;
		t->sent++;
	}
	free(p);
	free(got);
	return NULL;
}

/* Both ways at once, while the connection is cut again and again: all of it, once, in order. */
static void test_cuts(void **state)
{
	struct pair *x = *state;
	struct stream t[4] = { { x->a, 2, 0 }, { x->b, 1, 0 }, { x->b, 1, 0 }, { x->a, 2, 0 } };
	pthread_t id[4];
	struct ssi_ccm_station_stats stats;

	pthread_create(&id[0], NULL, stream_send, &t[0]);
	pthread_create(&id[1], NULL, stream_receive, &t[1]);
	pthread_create(&id[2], NULL, stream_send, &t[2]);
	pthread_create(&id[3], NULL, stream_receive, &t[3]);
	for (int i = 0; i < 40; i++) {
		usleep(3000);
		cut(i % 2 ? x->a : x->b, i % 2 ? 2 : 1);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(t[i].sent, STREAM);
	ssi_ccm_station_stats(x->a, &stats);
	assert_int_equal(stats.sessions, 1);
	assert_true(stats.links > 2);
	assert_int_equal(x->seen_a.gone, 0);
}

struct waiting { struct ssi_ccm_station *s; ssize_t r; uint64_t ms; };

static void *wait_receive(void *userdata)
{
	struct waiting *w = userdata;
	struct ssi_ccm_head h = to(1, 99);
	uint64_t before = ssi_clock_mono_ms();
	char buf[10];

	w->r = ssi_ccm_brecv(w->s, &h, buf, sizeof(buf), WAIT);
	w->ms = ssi_clock_mono_ms() - before;
	return NULL;
}

/* The other end stops without a word: every waiter has its error within the time. */
static void test_gone(void **state)
{
	struct pair *x = *state;
	struct waiting w[3] = { { x->b, 0, 0 }, { x->b, 0, 0 }, { x->b, 0, 0 } };
	const struct ssi_ccm_head h = to(1, 1);
	pthread_t id[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&id[i], NULL, wait_receive, &w[i]);
	usleep(50000);
	ssi_ccm_part(x->a, 2);
	for (int i = 0; i < 3; i++) {
		pthread_join(id[i], NULL);
		assert_int_equal(w[i].r, -EHOSTDOWN);
		assert_in_range(w[i].ms, 0, 3000);
	}
	assert_int_equal(ssi_ccm_bsend(x->b, &h, "", 0, 0, WAIT), -EHOSTDOWN);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.gone, 1));
	/* And back: a new session. */
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, ssi_ccm_station_port(x->b), key), 0);
	assert_int_equal(ssi_ccm_await(x->b, 1, WAIT), 0);
	assert_int_equal(ssi_ccm_await(x->a, 2, WAIT), 0);
	send_text(x->a, 2, 1, "again");
	expect_text(x->b, 1, 1, "again");
}

static void *wait_little(void *userdata)
{
	struct waiting *w = userdata;
	struct ssi_ccm_head h = to(1, 99);
	uint64_t before = ssi_clock_mono_ms();
	char buf[10];

	w->r = ssi_ccm_brecv(w->s, &h, buf, sizeof(buf), 400);
	w->ms = ssi_clock_mono_ms() - before;
	return NULL;
}

/* What comes for others does not make a wait shorter. */
static void test_whole_wait(void **state)
{
	struct pair *x = *state;
	struct waiting w = { x->b, 0, 0 };
	pthread_t id;

	pthread_create(&id, NULL, wait_little, &w);
	wait_for_waiter(x->b, 1);
	send_text(x->a, 2, 1, "for another");
	pthread_join(id, NULL);
	assert_int_equal(w.r, -ETIMEDOUT);
	assert_in_range(w.ms, 400, WAIT);
}

#define CALL_MS 2000

static void *wait_call(void *userdata)
{
	struct waiting *w = userdata;
	const struct ssi_ccm_head h = { .node = 2, .module = CALLS, .type = 2 };
	uint64_t before = ssi_clock_mono_ms();
	char buf[10];

	w->r = ssi_ccm_call(w->s, &h, SSI_CCM_SHORT, "", 0, buf, sizeof(buf), CALL_MS);
	w->ms = ssi_clock_mono_ms() - before;
	return NULL;
}

/* The time of a call is that of both its halves: to send, and to be answered. */
static void test_call_bound(void **state)
{
	struct pair *x = *state;
	const struct ssi_ccm_head stuck = { .node = 2, .module = CALLS, .sequence = 1 };
	struct ssi_ccm_head from = { .node = 1, .module = CALLS, .sequence = SSI_CCM_NOSEQ };
	struct waiting w = { x->a, 0, 0 };
	uint8_t body[1000] = { 0 };
	atomic_int n = 0;
	pthread_t id;
	int sent = 0;

	assert_int_equal(ssi_ccm_regist(x->b, CALLS, 2, program_ignores, &n), 0);
	while (ssi_ccm_bsend(x->a, &stuck, body, sizeof(body), SSI_CCM_NOWAIT, 0) == 0)
		sent++;
	pthread_create(&id, NULL, wait_call, &w);
	usleep(CALL_MS * 3 / 4 * 1000);
	while (sent--)
		assert_int_equal(ssi_ccm_brecv(x->b, &from, body, sizeof(body), WAIT), sizeof(body));
	pthread_join(id, NULL);
	assert_int_equal(w.r, -ETIMEDOUT);
	assert_in_range(w.ms, CALL_MS, CALL_MS * 3 / 2);
}

/* A new incarnation is a new session; an old one is refused. */
static void test_incarnation(void **state)
{
	struct pair *x = *state;
	uint16_t port = ssi_ccm_station_port(x->b);

	ssi_ccm_station_free(x->a);
	x->a = station(1, 9, x->b->config.plain, &x->seen_a);
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, port, key), 0);
	assert_int_equal(ssi_ccm_await(x->a, 2, WAIT), 0);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.up, 2));
	send_text(x->a, 2, 1, "nine");
	expect_text(x->b, 1, 1, "nine");
	ssi_ccm_station_free(x->a);
	x->a = station(1, 8, x->b->config.plain, &x->seen_a);
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, port, key), 0);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.refused, 1));
	assert_int_equal(x->seen_b.why.code, -ESTALE);
	assert_int_equal(ssi_ccm_await(x->a, 2, 50), -ETIMEDOUT);
}

/* Keys that were used enough give way to those of a new connection, and nothing is lost. */
static void test_rekey(void **state)
{
	struct pair *x = *state;
	struct station_peer *p = station_peer_find(x->a, 2);
	struct ssi_ccm_station_stats stats;
	char text[32];

	pthread_mutex_lock(&p->lock);
	pthread_mutex_lock(&p->conn->tls_lock);
	ssi_tls_wear(p->conn->tls, 150);
	pthread_mutex_unlock(&p->conn->tls_lock);
	pthread_mutex_unlock(&p->lock);
	for (uint64_t i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "%d", (int)i);
		send_text(x->a, 2, i, text);
		expect_text(x->b, 1, i, text);
		send_text(x->b, 1, i, text);
		expect_text(x->a, 2, i, text);
	}
	assert_true(seen_comes(&x->seen_a, &x->seen_a.link_up, 1));
	send_text(x->a, 2, 1, "after");
	expect_text(x->b, 1, 1, "after");
	ssi_ccm_station_stats(x->a, &stats);
	assert_int_equal(stats.sessions, 1);
	assert_int_equal(stats.links, 2);
}

static void test_permits(void **state)
{
	struct pair *x = *state;
	struct ssi_ccm_head h = { .node = 2, .module = 3, .type = 8, .sequence = 1 };

	assert_int_equal(ssi_ccm_bsend(x->a, &h, "not allowed", 12, 0, WAIT), 0);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.refused, 1));
	assert_int_equal(x->seen_b.why.code, -EPERM);
	assert_true(seen_comes(&x->seen_a, &x->seen_a.gone, 1));    /* it would only say it again */
}

static void test_wrong_key(void **state)
{
	struct pair x = { 0 };

	x.a = station(1, 5, false, &x.seen_a);
	x.b = station(2, 6, false, &x.seen_b);
	assert_int_equal(ssi_ccm_listen_to(x.b, 1, key), 0);
	assert_int_equal(ssi_ccm_connect_to(x.a, 2, loopback, ssi_ccm_station_port(x.b), other_key), 0);
	assert_true(seen_comes(&x.seen_b, &x.seen_b.refused, 1));
	assert_int_equal(x.seen_b.why.code, -EKEYREJECTED);
	assert_int_equal(ssi_ccm_await(x.a, 2, 50), -ETIMEDOUT);
	ssi_ccm_station_free(x.a);
	ssi_ccm_station_free(x.b);
}

static void test_plain_is_local(void **state)
{
	const struct ssi_ccm_station_config c = { .number = 1, .incarnation = 1, .plain = true };
	struct ssi_ccm_station *s;

	assert_int_equal(ssi_ccm_station_new(&c, &s, NULL), -EPERM);
	ssi_ccm_station_free(NULL);
}

/* Who is silent for half of dead_ms has its connection broken: a sign of life must come before. */
static void test_signs_of_life(void **state)
{
	struct ssi_ccm_station_config c = { .number = 1, .incarnation = 1, .address = loopback, .dead_ms = 1000 };    /* and a heartbeat each 500 */
	struct ssi_ccm_station *s;

	assert_int_equal(ssi_ccm_station_new(&c, &s, NULL), -EINVAL);
	c.heartbeat_ms = 200;
	assert_int_equal(ssi_ccm_station_new(&c, &s, NULL), 0);
	ssi_ccm_station_free(s);
}

static void program_called(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	struct program *x = userdata;
	struct ssi_ccm_head h = to(1, 0);
	char buf[4];

	/* A callback may not wait. */
	if (ssi_ccm_brecv(s, &h, buf, sizeof(buf), 0) == -EDEADLK && ssi_ccm_bsend(s, &h, "", 0, 0, 0) == -EDEADLK &&
	    ssi_ccm_bsend(s, &h, "in time", 8, SSI_CCM_NOWAIT, 0) == 0)
		atomic_fetch_add(&x->calls, 1);
	ssi_ccm_answer(s, call, "done", 5);
}

static void *program_run(void *userdata)
{
	struct program *x = userdata;

	while (atomic_load(&x->run))
		sd_event_run(x->event, 10000);
	return NULL;
}

static void program_start(struct program *x)
{
	atomic_store(&x->run, true);
	pthread_create(&x->id, NULL, program_run, x);
}

static void program_stop(struct program *x)
{
	atomic_store(&x->run, false);
	pthread_join(x->id, NULL);
}

static int setup_program(void **state)
{
	struct program *x = calloc(1, sizeof(*x));

	assert_int_equal(sd_event_new(&x->event), 0);
	x->s = station_in(x->event, 2, 6, false, &x->seen);
	assert_int_equal(ssi_ccm_regist(x->s, CALLS, 1, program_called, x), 0);
	assert_int_equal(ssi_ccm_listen_to(x->s, SSI_CCM_ANY_NODE, key), 0);
	program_start(x);
	*state = x;
	return 0;
}

static int teardown_program(void **state)
{
	struct program *x = *state;

	if (atomic_load(&x->run))
		program_stop(x);
	ssi_ccm_station_free(x->s);
	sd_event_unref(x->event);
	free(x);
	return 0;
}

/* The other face: handlers and states in the program's own loop. */
static void test_event_loop(void **state)
{
	struct program *x = *state;
	struct ssi_ccm_head call = { .node = 2, .module = CALLS, .type = 1 };
	struct async a = { 0 };
	struct seen seen = { 0 };
	struct ssi_ccm_station *s = station(1, 5, false, &seen);
	char buf[16];

	assert_int_equal(ssi_ccm_connect_to(s, 2, loopback, ssi_ccm_station_port(x->s), key), 0);
	assert_int_equal(ssi_ccm_await(s, 2, WAIT), 0);
	assert_int_equal(ssi_ccm_call(s, &call, SSI_CCM_SHORT, "x", 1, buf, sizeof(buf), WAIT), 5);
	assert_string_equal(buf, "done");
	assert_int_equal(x->calls, 1);
	expect_text(s, 2, 0, "in time");
	assert_int_equal(ssi_ccm_call_async(s, &call, SSI_CCM_LONG, "x", 1, async_done, &a, WAIT), 0);
	assert_true(reaches(&a.n, 1));
	assert_int_equal(a.result, 5);
	send_text(s, 2, 3, "for whom?");
	assert_true(seen_comes(&x->seen, &x->seen.arrived, 1));
	assert_true(seen_comes(&x->seen, &x->seen.up, 1));
	ssi_ccm_station_free(s);
	assert_true(seen_comes(&x->seen, &x->seen.gone, 1));
}

/* The other end stops without a word: every waiter has its error within the time, and calls their callback. */
static void test_silence(void **state)
{
	struct program *x = *state;
	struct ssi_ccm_head from = to(2, 99), call = { .node = 2, .module = CALLS, .type = 1 }, ignored = { .node = 2, .module = CALLS, .type = 2 };
	uint64_t began = ssi_clock_mono_ms(), stopped;
	struct seen seen = { 0 };
	struct ssi_ccm_station *s;
	struct async a = { 0 };
	atomic_int n = 0;
	char buf[16];

	dead_ms = SILENCE_MS;
	s = station(1, 5, false, &seen);
	dead_ms = PATIENT_MS;
	assert_int_equal(ssi_ccm_connect_to(s, 2, loopback, ssi_ccm_station_port(x->s), key), 0);
	assert_int_equal(ssi_ccm_await(s, 2, WAIT), 0);
	assert_int_equal(ssi_ccm_regist(x->s, CALLS, 2, program_ignores, &n), 0);
	assert_int_equal(ssi_ccm_call_async(s, &ignored, SSI_CCM_SHORT, "x", 1, async_done, &a, WAIT), 0);
	assert_true(reaches(&n, 1));
	program_stop(x);
	stopped = ssi_clock_mono_ms();
	assert_int_equal(ssi_ccm_brecv(s, &from, buf, sizeof(buf), WAIT), -EHOSTDOWN);
	assert_in_range(ssi_clock_mono_ms() - began, SILENCE_MS, WAIT);
	assert_in_range(ssi_clock_mono_ms() - stopped, 0, SILENCE_MS + 3000);
	assert_true(reaches(&a.n, 1));
	assert_int_equal(a.result, -EHOSTDOWN);
	assert_true(seen_comes(&seen, &seen.gone, 1));
	/* It goes on: what it was before is over, and a new session begins by itself. */
	program_start(x);
	assert_true(seen_comes(&seen, &seen.up, 2));
	assert_int_equal(ssi_ccm_call(s, &call, SSI_CCM_SHORT, "x", 1, buf, sizeof(buf), WAIT), 5);
	ssi_ccm_station_free(s);
}

/* Many threads on one session: each gets its own. */
struct user { struct ssi_ccm_station *s; uint64_t sequence; int done; bool call; };

static void *user_run(void *userdata)
{
	struct user *u = userdata;
	struct ssi_ccm_head h = to(2, u->sequence), call = { .node = 2, .module = CALLS, .type = 5 };
	uint64_t n, got;

	for (n = 0; n < 500; n++) {
		struct ssi_ccm_head from = h;

		if (u->call) {
			if (ssi_ccm_call(u->s, &call, n % 2 ? SSI_CCM_LONG : SSI_CCM_SHORT, &n, sizeof(n), &got, sizeof(got), WAIT) != sizeof(got) || got != n)
				break;
		} else if (ssi_ccm_bsend(u->s, &h, &n, sizeof(n), 0, WAIT) < 0 || ssi_ccm_brecv(u->s, &from, &got, sizeof(got), WAIT) != sizeof(got) ||
			   got != n)
			break;
		u->done++;
	}
	return NULL;
}

static void *mirror_run(void *userdata)
{
	struct ssi_ccm_station *s = userdata;
	uint64_t n;

	for (int i = 0; i < 3 * 500; i++) {
		struct ssi_ccm_head h = to(1, SSI_CCM_NOSEQ);

		if (ssi_ccm_brecv(s, &h, &n, sizeof(n), WAIT) != sizeof(n) || ssi_ccm_bsend(s, &h, &n, sizeof(n), 0, WAIT) < 0)
			break;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct pair *x = *state;
	struct user u[6] = { 0 };
	pthread_t id[6], mirror;
	atomic_int n = 0;

	assert_int_equal(ssi_ccm_regist(x->b, CALLS, 5, echo, &n), 0);
	pthread_create(&mirror, NULL, mirror_run, x->b);
	for (int i = 0; i < 6; i++) {
		u[i] = (struct user){ x->a, (uint64_t)i, 0, i >= 3 };
		pthread_create(&id[i], NULL, user_run, &u[i]);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(id[i], NULL);
		assert_int_equal(u[i].done, 500);
	}
	pthread_join(mirror, NULL);
	assert_int_equal(n, 1500);
}

#define both(t) cmocka_unit_test_setup_teardown(t, setup_plain, teardown), cmocka_unit_test_setup_teardown(t, setup_tls, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_messages), both(test_arecv), both(test_bounds), both(test_too_long), both(test_large), both(test_calls), both(test_credit), both(test_cuts), both(test_room_while_writing),
		both(test_gone), both(test_whole_wait), both(test_threads), both(test_incarnation), both(test_permits),
		cmocka_unit_test_setup_teardown(test_event_loop, setup_program, teardown_program),
		cmocka_unit_test_setup_teardown(test_silence, setup_program, teardown_program),
		cmocka_unit_test_setup_teardown(test_rekey, setup_tls, teardown), cmocka_unit_test_setup_teardown(test_call_bound, setup_plain, teardown), cmocka_unit_test(test_wrong_key), cmocka_unit_test(test_plain_is_local), cmocka_unit_test(test_signs_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
