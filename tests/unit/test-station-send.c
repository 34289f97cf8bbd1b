/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stations: what is sent, copied and by reference, and how much of it. */
#include "tests/unit/station-fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_messages),
		both(test_large),
		both(test_credit),
		both(test_room_while_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
