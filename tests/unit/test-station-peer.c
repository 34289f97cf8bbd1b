/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A station and a peer made by hand: answers that were not asked for, halves of messages, silence where there should be an acknowledgement. */
#include "tests/unit/station-hand.h"

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
	assert_true(hear_message(&x->hand, &f, WAIT));
	say_message(&x->hand, frame(KIND_ANSWER, CALLS, 1, f.sequence, 0), 0, 0);
	pthread_join(id, NULL);
	assert_int_equal(c.r, 0);
	while (ssi_ccm_bsend(x->s, &stuck, body, sizeof(body), SSI_CCM_NOWAIT, 0) == 0 || ssi_ccm_bsend(x->s, &stuck, NULL, 0, SSI_CCM_NOWAIT, 0) == 0)
		;
	c.ms = 2000;
	pthread_create(&id, NULL, call_run, &c);
	assert_true(comes(x, waits_for_both));
	say_message(&x->hand, frame(KIND_ANSWER, CALLS, 1, f.sequence + 1, SIZE), 1, FIRST);
	assert_true(comes(x, is_claimed));
	pthread_join(id, NULL);
	assert_int_equal(c.r, -ETIMEDOUT);
	memset(c.buf, 0xaa, SIZE);
	say(&x->hand, rest, SIZE - FIRST);
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
	say_message(&x->hand, frame(KIND_MESSAGE, MOD, 1, 1, 100), 0, 50);
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

/* A call for which there is no handler is told so, also when there is no room to say it at once. */
static void test_refusal_waits_for_room(void **state)
{
	struct fixture *x = *state;
	struct station_frame f[2] = { frame(KIND_SHORT, CALLS, 1, 1, 0), frame(KIND_SHORT | STATION_WANTS_ANSWER, CALLS, 2, 2, 0) }, got = { 0 };
	uint8_t both[2 * STATION_HEADER];

	assert_int_equal(ssi_ccm_regist(x->s, CALLS, 1, fill_up, NULL), 0);
	for (int i = 0; i < 2; i++) {
		f[i].serial = ++x->hand.serial;
		station_frame_encode(&f[i], both + i * STATION_HEADER);
	}
	say(&x->hand, both, sizeof(both));
	while (station_frame_kind(&got) != KIND_NO_HANDLER && hear_message(&x->hand, &got, 2000))
		if (got.serial % 100 == 0)
			say_ack(&x->hand, got.serial);
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

	setsockopt(x->hand.fd, SOL_SOCKET, SO_RCVBUF, &(int){ 16384 }, sizeof(int));
	setsockopt(x->p->conn->fd, SOL_SOCKET, SO_SNDBUF, &(int){ 16384 }, sizeof(int));
	pthread_create(&id, NULL, send_large, &c);
	assert_true(hear(&x->hand, some, STATION_HEADER, WAIT));
	assert_int_equal(station_frame_decode(some, &got, NULL), 0);
	for (unsigned left = LARGE; left; left -= left < sizeof(some) ? left : sizeof(some)) {
		assert_true(hear(&x->hand, some, left < sizeof(some) ? left : sizeof(some), WAIT));
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
	say_message(&x->hand, frame(KIND_LONG, CALLS, 1, 1, 0), 0, 0);
	in_step(x);
	pthread_mutex_lock(&x->s->jobs_lock);
	x->s->config.workers = workers;
	pthread_mutex_unlock(&x->s->jobs_lock);
	for (int i = 0; i < WAIT && !atomic_load(&n); i++)
		usleep(1000);
	assert_int_equal(n, 1);
}

static void fill_up_and_answer(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	fill_up(s, call, body, NULL);
	atomic_store((atomic_int *)userdata, ssi_ccm_answer(s, call, "x", 1));
}

static bool is_given_up(const struct station_peer *p)
{
	return !p->session;
}

/* Who asks and has no room for the answer does not keep a worker for ever: its session ends. */
static void test_answer_without_room(void **state)
{
	struct fixture *x = *state;
	uint64_t began = ssi_clock_mono_ms();
	atomic_int r = 1;

	x->s->config.answer_ms = 300;
	assert_int_equal(ssi_ccm_regist(x->s, CALLS, 1, fill_up_and_answer, &r), 0);
	say_message(&x->hand, frame(KIND_LONG | STATION_WANTS_ANSWER, CALLS, 1, 1, 0), 0, 0);
	assert_true(comes(x, is_given_up));
	assert_true(ssi_clock_mono_ms() - began >= 300);
	for (int i = 0; i < WAIT && atomic_load(&r) == 1; i++)
		usleep(1000);
	assert_int_equal(r, -ETIMEDOUT);
}

/* Answers to nothing cost nothing, however many modules they name. */
static void test_unasked_answers(void **state)
{
	struct fixture *x = *state;
	unsigned lanes = 0;

	for (uint16_t i = 0; i < 1000; i++)
		say_message(&x->hand, frame(KIND_ANSWER, (uint16_t)(100 + i), 1, i, 10), 1, 10);
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
		cmocka_unit_test_setup_teardown(test_answer_without_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
