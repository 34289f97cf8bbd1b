/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stations: what is received, by who waits and by who looks. */
#include "tests/unit/station-fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_arecv),
		both(test_bounds),
		both(test_too_long),
		both(test_whole_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
