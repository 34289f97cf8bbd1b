/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stations: handlers, calls and their answers. */
#include "tests/unit/station-fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_calls),
		cmocka_unit_test_setup_teardown(test_call_bound, setup_plain, teardown),
		both(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
