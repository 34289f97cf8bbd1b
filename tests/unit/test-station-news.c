/* SPDX-License-Identifier: GPL-2.0-or-later */
/* News, as a peer made by hand says and hears them; and calls of a session that is over. */
#include <semaphore.h>
#include "tests/unit/station-hand.h"

/* What handlers were called with, in order, and how many sessions had been told of then; function 9 keeps the loop until it is let go. */
struct calls { struct fixture *x; pthread_mutex_t lock; unsigned n; uint64_t sequence[4096]; int ups[4096]; sem_t in, go; };

static void on_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	struct calls *c = userdata;

	pthread_mutex_lock(&c->lock);
	if (c->n < 4096) {
		c->ups[c->n] = atomic_load(&c->x->ups);
		c->sequence[c->n++] = call->sequence;
	}
	pthread_mutex_unlock(&c->lock);
	if (call->type == 9) {
		sem_post(&c->in);
		sem_wait(&c->go);
	}
}

static unsigned calls_now(struct calls *c)
{
	unsigned n;

	pthread_mutex_lock(&c->lock);
	n = c->n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void calls_come(struct calls *c, unsigned n)
{
	for (int i = 0; i < WAIT && calls_now(c) < n; i++)
		usleep(1000);
	assert_int_equal(calls_now(c), n);
}

static struct calls *calls_begin(struct fixture *x)
{
	struct calls *c = calloc(1, sizeof(*c));

	c->x = x;
	pthread_mutex_init(&c->lock, NULL);
	sem_init(&c->in, 0, 0);
	sem_init(&c->go, 0, 0);
	assert_int_equal(ssi_ccm_regist(x->s, CALLS, SSI_CCM_DEFAULT, on_call, c), 0);
	return c;
}

static void calls_end(struct fixture *x, struct calls *c)
{
	assert_int_equal(ssi_ccm_unregist(x->s, CALLS, SSI_CCM_DEFAULT), 0);
	free(c);
}

static void say_news(struct fixture *x, uint16_t function, uint64_t sequence, uint32_t size)
{
	const struct station_frame f = frame(KIND_NEWS, CALLS, function, sequence, size);
	uint8_t *all = calloc(1, STATION_HEADER + size);

	station_frame_encode(&f, all);
	say(&x->hand, all, STATION_HEADER + size);
	free(all);
}

/* Nothing but signs of life for 100 ms, which acknowledge no more than that. */
static void hear_nothing(struct fixture *x, uint64_t ack)
{
	uint8_t header[STATION_HEADER];
	struct station_frame f;

	while (hear(&x->hand, header, sizeof(header), 100)) {
		assert_int_equal(station_frame_decode(header, &f, NULL), 0);
		assert_int_equal(f.module, 0);
		assert_int_equal(f.type, CONTROL_ALIVE);
		assert_int_equal(f.ack, ack);
	}
}

static void test_not_acknowledged(void **state)
{
	struct fixture *x = *state;
	struct calls *c = calls_begin(x);
	uint8_t header[STATION_HEADER];
	struct station_frame f = { 0 };

	for (unsigned i = 0; i < 3; i++)
		say_news(x, 1, i, 100);
	calls_come(c, 3);
	hear_nothing(x, 0);
	say_message(&x->hand, frame(KIND_SHORT, CALLS, 1, 3, 0), 0, 0);      /* whereas a call */
	while (f.ack != 1 && hear(&x->hand, header, sizeof(header), WAIT))
		assert_int_equal(station_frame_decode(header, &f, NULL), 0);
	assert_int_equal(f.ack, 1);
	calls_end(x, c);
}

static void hear_body(struct fixture *x, uint8_t kind, uint64_t serial, uint8_t fill, uint32_t size)
{
	uint8_t header[STATION_HEADER], *body = malloc(size);
	struct station_frame f = { 0 };

	while (!f.module) {
		assert_true(hear(&x->hand, header, sizeof(header), WAIT));
		assert_int_equal(station_frame_decode(header, &f, NULL), 0);
	}
	assert_int_equal(f.flags, kind);
	assert_int_equal(f.serial, serial);
	assert_int_equal(f.size, size);
	assert_true(hear(&x->hand, body, size, WAIT));
	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(body[i], fill);
	free(body);
}

static void send_fill(struct fixture *x, uint8_t kind, uint8_t fill, uint32_t size)
{
	const struct ssi_ccm_head to = { .node = PEER, .module = MOD };
	uint8_t *body = malloc(size);

	memset(body, fill, size);
	if (kind == KIND_NEWS)
		assert_int_equal(ssi_ccm_news(x->s, &to, body, size), 0);
	else
		assert_int_equal(ssi_ccm_bsend(x->s, &to, body, size, 0, WAIT), 0);
	free(body);
}

/* A connection that breaks takes news along, also those that wait behind what is not acknowledged yet; and nothing else. */
static void test_lost_with_connection(void **state)
{
	struct fixture *x = *state;
	static const struct { uint8_t kind; uint32_t size; } said[] = {
		{ KIND_MESSAGE, 100 }, { KIND_NEWS, 3000 }, { KIND_MESSAGE, 20000 }, { KIND_NEWS, 10 }, { KIND_MESSAGE, 0 }, { KIND_MESSAGE, 5000 },
		{ KIND_NEWS, 70 }, { KIND_MESSAGE, 30000 }, { KIND_NEWS, 700 },
	};
	struct ssi_ccm_station_stats stats;
	uint64_t serial;

	for (int again = 0; again < 3; again++) {
		serial = 0;
		for (uint8_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
			if (!again)
				send_fill(x, said[i].kind, i, said[i].size);
			if (said[i].kind != KIND_NEWS)
				hear_body(x, KIND_MESSAGE, ++serial, i, said[i].size);
			else if (!again)
				hear_body(x, KIND_NEWS, 0, i, said[i].size);
		}
		hear_nothing(x, 0);
		if (again == 2)
			break;
		close(x->hand.fd);
		dial(x);
		say_hello(&x->hand, FRESH, FRESH + 1, 1);
		hear_hello(&x->hand);
	}
	say_ack(&x->hand, serial);
	in_step(x);
	ssi_ccm_station_stats(x->s, &stats);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.again, 2 * serial);
	assert_int_equal(stats.sessions, 1);
}

static bool all_is_read(const struct station_peer *p)
{
	return p->conn && !station_conn_unread(p->conn);
}

/* However they come: in halves of headers, and of bodies. */
static void test_split(void **state)
{
	struct fixture *x = *state;
	struct calls *c = calls_begin(x);
	const struct station_frame f = frame(KIND_NEWS, CALLS, 1, 7, 1000);
	static const unsigned parts[] = { 1, 30, 33, 1, 500, 499 };      /* one of them is the header's last byte and the body's first */
	uint8_t all[STATION_HEADER + 1000] = { 0 };
	size_t at = 0;

	station_frame_encode(&f, all);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); at += parts[i++]) {
		assert_int_equal(calls_now(c), 0);
		say(&x->hand, all + at, parts[i]);
		assert_true(comes(x, all_is_read));
	}
	assert_int_equal(at, sizeof(all));
	calls_come(c, 1);
	assert_int_equal(c->sequence[0], 7);
	calls_end(x, c);
}

static void test_with_serial(void **state)
{
	struct fixture *x = *state;
	uint8_t header[STATION_HEADER];

	say_message(&x->hand, frame(KIND_NEWS, CALLS, 1, 0, 0), 0, 0);
	while (hear(&x->hand, header, sizeof(header), WAIT))
		;
	for (int i = 0; i < WAIT && !atomic_load(&x->refused); i++)
		usleep(1000);
	assert_int_equal(x->code, -EBADMSG);
	assert_int_equal(ssi_ccm_await(x->s, PEER, 0), 0);       /* the connection's end, not the session's */
}

static void test_want_no_answer(void **state)
{
	struct fixture *x = *state;

	say_news(x, 1, 0, 0);
	say_message(&x->hand, frame(KIND_NEWS | STATION_WANTS_ANSWER, CALLS, 1, 0, 0), 0, 0);
	for (int i = 0; i < WAIT && !atomic_load(&x->refused); i++)
		usleep(1000);
	assert_int_equal(x->refused, 1);
	assert_int_equal(x->code, -EBADMSG);
}

struct reader { struct fixture *x; ssize_t r; };

static void *reader_run(void *userdata)
{
	struct reader *t = userdata;
	struct ssi_ccm_head from = { .node = PEER, .module = MOD, .sequence = 1 };
	char buf[4];

	t->r = ssi_ccm_brecv(t->x->s, &from, buf, sizeof(buf), WAIT);
	return NULL;
}

static bool is_read_by_thread(const struct station_peer *p)
{
	return p->reader && p->leased;
}

/* While a thread reads, for itself, calls and news are handed to the loop in their order; of news that it does not keep up with only so many. */
static void test_threads_read(void **state)
{
	enum { NEWS = 3000 };
	struct fixture *x = *state;
	struct calls *c = calls_begin(x);
	struct reader t = { x, 0 };
	uint64_t last = 0;
	pthread_t id;

	pthread_create(&id, NULL, reader_run, &t);
	assert_true(comes(x, is_read_by_thread));
	for (unsigned i = 1; i <= 20; i++) {
		if (i % 2)
			say_news(x, 1, i, 10);
		else
			say_message(&x->hand, frame(KIND_SHORT, CALLS, 1, i, 0), 0, 0);
	}
	calls_come(c, 20);
	say_message(&x->hand, frame(KIND_SHORT, CALLS, 9, 21, 0), 0, 0);
	sem_wait(&c->in);
	for (unsigned i = 0; i < NEWS; i++)
		say_news(x, 1, 22 + i, 10);
	say_message(&x->hand, frame(KIND_SHORT, CALLS, 2, 22 + NEWS, 0), 0, 0);
	say_message(&x->hand, frame(KIND_MESSAGE, MOD, 1, 1, 4), 0, 4);
	pthread_join(id, NULL);
	assert_int_equal(t.r, 4);
	sem_post(&c->go);
	for (int i = 0; i < WAIT && last != 22 + NEWS; i++) {
		usleep(1000);
		last = c->sequence[calls_now(c) - 1];
	}
	assert_int_equal(last, 22 + NEWS);
	assert_in_range(c->n, 22, 22 + STATION_NEWS_MAX);
	for (unsigned i = 1; i < c->n; i++)
		assert_true(c->sequence[i] > c->sequence[i - 1]);
	calls_end(x, c);
}

static unsigned shaking(struct fixture *x)
{
	struct ssi_ccm_station_stats stats;

	ssi_ccm_station_stats(x->s, &stats);
	return stats.shaking;
}

/*
 * What an old session said, and a new one that ends it, in one turn of the loop: the old one's calls are heard before its end, and not as if the
 * new one had said them.
 */
static void test_new_session_meanwhile(void **state)
{
	struct fixture *x = *state;
	struct calls *c = calls_begin(x);
	struct hand old = x->hand;
	struct station_frame f = frame(KIND_SHORT, CALLS, 1, 2, 0);
	uint64_t session[2];

	send_fill(x, KIND_MESSAGE, 0, 10);
	dial(x);
	for (int i = 0; i < WAIT && !shaking(x); i++)
		usleep(1000);
	say_message(&old, frame(KIND_SHORT, CALLS, 9, 1, 0), 0, 0);
	sem_wait(&c->in);
	f.ack = 1;                           /* news to the station, so that this call takes the longer way */
	say_message(&old, f, 0, 0);
	say_hello(&x->hand, 0, FRESH + 1, 1);
	session[0] = x->p->session;
	sem_post(&c->go);
	hear_hello(&x->hand);
	x->hand.serial = 0;
	in_step(x);
	session[1] = x->p->session;
	assert_int_equal(session[0], FRESH);
	assert_int_equal(session[1], FRESH + 1);
	calls_come(c, 2);
	assert_int_equal(c->ups[1], 1);
	for (int i = 0; i < WAIT && atomic_load(&x->ups) != 2; i++)      /* which is told after it */
		usleep(1000);
	assert_int_equal(x->ups, 2);
	calls_end(x, c);
	close(old.fd);
}

#define hand(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		hand(test_not_acknowledged), hand(test_lost_with_connection), hand(test_split), hand(test_with_serial), hand(test_want_no_answer),
		hand(test_threads_read), hand(test_new_session_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
