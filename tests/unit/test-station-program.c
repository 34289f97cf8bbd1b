/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A station in the event loop of a program, which another thread runs and stops: handlers, states, silence. */
#include "tests/unit/station-fixture.h"

/* A program with an event loop, in a thread; frozen, it is a node that was stopped. */
struct program { sd_event *event; struct ssi_ccm_station *s; struct seen seen; pthread_t id; atomic_bool run; atomic_int calls; uint16_t port; };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_event_loop, setup_program, teardown_program),
		cmocka_unit_test_setup_teardown(test_silence, setup_program, teardown_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
