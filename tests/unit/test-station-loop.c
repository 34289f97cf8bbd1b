/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stations on an event loop: news, shared bodies, turns that are settled, last words, and the clock. */
#include "tests/unit/station-ends.h"

static struct station_peer *peer(struct end *x, uint32_t node)
{
	return station_peer_find(x->s, node);
}

static void test_news_in_order(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];

	/* The first call of a module takes the longer way, and all that follows it; the second time they are heard where they lie. */
	for (unsigned again = 1; again <= 2; again++) {
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(call(node, DOOR, 1, i), 0);
			assert_int_equal(news(node, DOOR, 2, i, 100), 0);
		}
		until(all, door->calls == 6 * again);
		assert_string_equal(door->told, "2.1:0 2.2:0 2.1:1 2.2:1 2.1:2 2.2:2");
		door->told[0] = 0;
	}
	ends_free(all);
}

/* They take no serial, so there is nothing to acknowledge; and no credit, however many. Their memory is given back. */
static void test_news_cost_nothing(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];
	struct ssi_ccm_station_stats stats;

	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(news(node, DOOR, 2, i, 1000), 0);
		if (i % 50 == 49)
			until(all, door->calls == i + 1);
	}
	assert_int_equal(peer(node, DOOR)->out.next, 1);
	assert_int_equal(peer(door, 1)->rx_serial, 0);
	until(all, !peer(node, DOOR)->out.ring.bytes);
	ssi_ccm_station_stats(node->s, &stats);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(peer(node, DOOR)->out.news, 0);
	ends_free(all);
}

/* A peer that does not read: news are refused to who says them, and go on when it does. */
static void test_news_stalled(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];
	unsigned said = 0;
	int r;

	door->frozen = true;
	while ((r = news(node, DOOR, 2, 0, 10000)) == 0)
		said++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(said, 10, 10000);
	door->frozen = false;
	until(all, door->calls == said);
	until(all, (r = news(node, DOOR, 2, 0, 10)) == 0);
	until(all, door->calls == said + 1);
	assert_int_equal(news(node, DOOR, 2, 0, STATION_KEEP_MIN), -EINVAL);
	ends_free(all);
}

static void test_news_without_connection(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];

	assert_int_equal(news(node, 77, 2, 0, 10), -ENOENT);
	end_cut(node, DOOR);
	until(all, !peer(node, DOOR)->conn);
	assert_int_equal(news(node, DOOR, 2, 0, 10), -ENOTCONN);
	until(all, strstr(node->told, "link:100"));
	assert_int_equal(news(node, DOOR, 2, 1, 10), 0);
	until(all, door->calls == 1);
	assert_non_null(strstr(door->told, "2.2:1"));
	ends_free(all);
}

/* What the table forbids ends the session, as news too. */
static void test_news_forbidden(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];
	const struct ssi_ccm_head to = { .node = DOOR, .module = 3, .type = 7 };

	assert_int_equal(ssi_ccm_news(node->s, &to, "", 0), 0);
	until(all, node->gones);
	assert_int_equal(door->refusals, 1);
	assert_int_equal(door->refused.code, -EPERM);
	assert_int_equal(door->gones, 1);
	ends_free(all);
}

/* One body, many peers: it lives until the last of them has acknowledged it, or is gone. */
static void test_shared(void **state)
{
	struct ends *all = ends_new(3, &ops_plain);
	struct end *door = &all->end[0];
	struct ssi_ccm_body *b = ssi_ccm_body_new(40000);

	memset(b->data, 7, b->len);
	for (unsigned i = 1; i <= 3; i++)
		all->end[i].frozen = true;
	for (uint32_t i = 1; i <= 3; i++) {
		const struct ssi_ccm_head to = { .node = i, .module = CALLS, .type = 4, .sequence = i };

		assert_int_equal(ssi_ccm_rcall_shared(door->s, &to, "head", i - 1, b, SSI_CCM_NOWAIT, 0), 0);
	}
	ends_pass(all, 20);
	assert_int_equal(b->refs, 4);
	all->end[1].frozen = false;
	until(all, b->refs == 3);
	assert_string_equal(all->end[1].told, "2.4:1");
	assert_int_equal(ssi_ccm_part(door->s, 2), 0);
	until(all, b->refs == 2);
	end_cut(door, 3);                    /* it is said again, from the same place */
	all->end[3].frozen = false;
	until(all, b->refs == 1);
	assert_non_null(strstr(all->end[3].told, "2.4:3"));
	assert_int_equal(ssi_ccm_rcall_shared(door->s, &(struct ssi_ccm_head){ .node = 2, .module = CALLS }, NULL, 0, b, SSI_CCM_NOWAIT, 0), -ENOENT);
	assert_int_equal(b->refs, 1);
	ssi_ccm_body_unref(b);
	ssi_ccm_body_unref(NULL);
	ends_free(all);
}

static void shared_heard(struct ssi_ccm_station *s, const struct ssi_ccm_head *head, const void *body, void *userdata)
{
	const uint8_t *b = body;

	assert_int_equal(head->size, 4 + 40000);
	assert_memory_equal(b, "head", 4);
	for (unsigned i = 0; i < 40000; i++)
		assert_int_equal(b[4 + i], (uint8_t)(i * 7));
	++*(unsigned *)userdata;
}

static void test_shared_whole(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	const struct ssi_ccm_head to = { .node = 1, .module = CALLS, .type = 9 };
	struct ssi_ccm_body *b = ssi_ccm_body_new(40000);
	unsigned n = 0;

	for (unsigned i = 0; i < b->len; i++)
		b->data[i] = (uint8_t)(i * 7);
	assert_int_equal(ssi_ccm_regist(all->end[1].s, CALLS, 9, shared_heard, &n), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ssi_ccm_rcall_shared(all->end[0].s, &to, "head", 4, b, SSI_CCM_NOWAIT, 0), 0);
	ssi_ccm_body_unref(b);
	until(all, n == 3);
	ends_free(all);
}

/* To nodes 2 and 3; function 2: and node 3 may go. */
static void on_call_tell(struct end *x, const struct ssi_ccm_head *head)
{
	x->said++;
	assert_int_equal(call(x, 2, 1, head->sequence), 0);
	assert_int_equal(call(x, 3, 1, head->sequence), 0);
	if (head->type == 2)
		assert_int_equal(ssi_ccm_part(x->s, 3), 0);
}

/* Nobody has heard a word of what was said in the turn that is settled here. */
static int on_settle_unheard(struct end *x, struct ssi_err *e)
{
	unsigned said = x->said;

	assert_int_equal(x->holds, x->settles);
	x->said = 0;
	for (unsigned i = 1; i < ENDS && said; i++) {
		struct end *node = &x->all->end[i];
		unsigned calls = node->calls;

		while (!node->frozen && sd_event_run(node->event, 1000) > 0)
			;
		assert_int_equal(node->calls, calls);
	}
	return said && x->fails ? ssi_errf(e, -EIO, "the disk is full") : 0;
}

static struct ends *settling(bool fails)
{
	struct ends *all = ends_new(3, &ops_settle);
	struct end *door = &all->end[0];

	door->on_call = on_call_tell;
	door->on_settle = on_settle_unheard;
	door->fails = fails;
	return all;
}

static void test_settle(void **state)
{
	struct ends *all = settling(false);

	assert_int_equal(call(&all->end[1], DOOR, 1, 7), 0);
	until(all, all->end[2].calls && all->end[3].calls);
	assert_string_equal(all->end[2].told, "2.1:7");
	assert_string_equal(all->end[3].told, "2.1:7");
	ends_free(all);
}

/* What could not be settled nobody hears, not even later: who was told something begins anew, and who was not does not. */
static void test_settle_fails(void **state)
{
	struct ends *all = settling(true);
	struct end *door = &all->end[0], *node = &all->end[1];

	all->end[3].frozen = true;           /* it has no connection when it is spoken to, but a session */
	end_cut(door, 3);
	until(all, !peer(door, 3)->conn);
	atomic_fetch_or(&peer(door, 1)->due, DUE_ALIVE);     /* this station's own to say in that turn: no word of the program's */
	assert_int_equal(call(node, DOOR, 1, 7), 0);
	until(all, door->gones == 2 && all->end[2].gones);
	assert_non_null(strstr(door->told, "gone:2"));
	assert_non_null(strstr(door->told, "gone:3"));
	assert_int_equal(door->ended[2].code, -EIO);
	assert_string_equal(door->ended[3].text, "the disk is full");
	door->fails = false;
	all->end[3].frozen = false;
	until(all, all->end[2].ups == 2 && all->end[3].ups == 2 && door->ups == 5);
	assert_int_equal(all->end[2].calls + all->end[3].calls, 0);
	assert_int_equal(node->gones, 0);
	assert_int_equal(call(node, DOOR, 1, 8), 0);
	until(all, all->end[2].calls && all->end[3].calls);
	assert_non_null(strstr(all->end[2].told, "gone:100 up:100 2.1:8"));
	assert_non_null(strstr(all->end[3].told, "gone:100 up:100 2.1:8"));
	ends_free(all);
}

/* The same to one whose socket is full. */
static void test_settle_fails_stalled(void **state)
{
	struct ends *all = settling(true);
	struct end *door = &all->end[0];

	all->end[2].frozen = true;
	while (news(door, 2, 2, 0, 10000) == 0)
		;
	assert_true(peer(door, 2)->out.stalled);
	assert_int_equal(call(&all->end[1], DOOR, 1, 7), 0);
	until(all, strstr(door->told, "gone:2") && strstr(door->told, "gone:3"));
	all->end[2].frozen = false;
	until(all, all->end[2].ups == 2);
	ends_pass(all, 50);
	assert_null(strstr(all->end[2].told, "2.1:"));
	ends_free(all);
}

/* Who is parted with in a turn hears it at its end, after what was said before. */
static void test_settle_part(void **state)
{
	struct ends *all = settling(false);

	assert_int_equal(call(&all->end[1], DOOR, 2, 7), 0);
	until(all, all->end[3].gones);
	assert_string_equal(all->end[3].told, "2.1:7 down:100 gone:100");
	assert_non_null(strstr(all->end[3].ended[0].text, "has ended"));
	assert_int_equal(all->end[0].ups, 3);
	until(all, all->end[2].calls);
	ends_free(all);
}

static void test_last_words(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];

	node->frozen = true;
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(call(door, 1, 1, i), 0);
	assert_int_equal(ssi_ccm_part_after(door->s, 1, WAIT), 0);
	ends_pass(all, 100);
	assert_int_equal(door->gones, 0);
	node->frozen = false;
	until(all, door->gones && node->gones);
	assert_int_equal(node->calls, 500);
	assert_int_equal(ssi_ccm_part(door->s, 1), -ENOENT);
	assert_int_equal(ssi_ccm_part_after(door->s, 1, 1), -ENOENT);
	assert_int_equal(ssi_ccm_part_after(door->s, 77, 1), -ENOENT);
	ends_free(all);
}

static void test_last_words_unheard(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0];
	uint64_t began = ssi_clock_mono_ms();

	all->end[1].frozen = true;
	assert_int_equal(call(door, 1, 1, 0), 0);
	assert_int_equal(ssi_ccm_part_after(door->s, 1, 200), 0);
	until(all, door->gones);
	assert_in_range(ssi_clock_mono_ms() - began, 200, 3000);
	ends_free(all);
}

/* Parted with at once, while that was to be later; and known again: that it was to go is over. */
static void test_part_sooner(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0];

	all->end[1].frozen = true;
	assert_int_equal(call(door, 1, 1, 0), 0);
	assert_int_equal(ssi_ccm_part_after(door->s, 1, 300), 0);
	assert_int_equal(ssi_ccm_part(door->s, 1), 0);
	assert_int_equal(ssi_ccm_listen_to(door->s, 1, key), 0);
	ends_pass(all, 400);
	all->end[1].frozen = false;
	until(all, door->ups == 2 && all->end[1].ups == 2);
	ends_pass(all, 100);
	assert_int_equal(door->gones, 1);
	ends_free(all);
}

/* Who is to go, and comes back as another meanwhile, is not let in again. */
static void test_part_after_return(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];
	struct ssi_ccm_station_config c = end_config(1, &ops_plain);

	node->frozen = true;
	assert_int_equal(call(door, 1, 1, 0), 0);
	assert_int_equal(ssi_ccm_part_after(door->s, 1, 300), 0);
	shutdown(peer(node, DOOR)->conn->fd, SHUT_RDWR);     /* no goodbye */
	end_close(node);
	c.incarnation++;
	end_open(all, 1, c);
	end_connect(all, 1);
	until(all, door->gones);
	assert_int_equal(ssi_ccm_part(door->s, 1), -ENOENT);
	ends_pass(all, 100);
	assert_int_equal(door->ups, 1);
	ends_free(all);
}

static void on_call_refuse(struct end *x, const struct ssi_ccm_head *head)
{
	struct ssi_err e;

	ssi_errf(&e, -EINVAL, "nonsense");
	if (head->sequence == 2)
		ssi_ccm_refuse(x->s, head->node, &e);
}

/* From a handler: its session ends there, and what it said behind that is not heard. */
static void test_refuse(void **state)
{
	struct ends *all = ends_new(1, &ops_plain);
	struct end *door = &all->end[0], *node = &all->end[1];

	door->on_call = on_call_refuse;
	/* Once by the longer way, that a module's first call takes, and all that follows it; once where they lie. */
	for (unsigned warm = 0; warm <= 1; warm++) {
		if (warm)
			assert_int_equal(call(node, DOOR, 1, 9), 0);
		until(all, door->calls == 3 * warm + warm);
		for (uint64_t i = 0; i < 5; i++)
			assert_int_equal(call(node, DOOR, 1, i), 0);
		until(all, door->gones == warm + 1 && node->gones == warm + 1 && door->refusals == warm + 1);
		assert_int_equal(door->calls, 3 * (warm + 1) + warm);
		assert_int_equal(door->refused.code, -EINVAL);
		assert_string_equal(door->refused.text, "nonsense");
		assert_int_equal(door->ended[1].code, -EINVAL);
		until(all, door->ups == warm + 2 && node->ups == warm + 2);      /* known still: it may begin anew */
	}
	ends_free(all);
}

/* An end with ack_ms acknowledges with the next thing that goes, */
static void test_ack_goes_along(void **state)
{
	struct ends *all = calloc(1, sizeof(*all));
	struct end *door = &all->end[0], *node = &all->end[1];
	struct ssi_ccm_station_config c = end_config(DOOR, &ops_plain);
	uint64_t began;

	c.ack_ms = 1000;
	c.heartbeat_ms = 5000;
	end_open(all, 0, c);
	assert_int_equal(ssi_ccm_listen_to(door->s, 1, key), 0);
	end_open(all, 1, end_config(1, &ops_plain));
	end_connect(all, 1);
	until(all, door->ups && node->ups);
	assert_int_equal(call(node, DOOR, 1, 0), 0);
	until(all, door->calls == 1);
	ends_pass(all, 100);
	assert_int_equal(peer(node, DOOR)->out.acked, 0);
	assert_int_equal(call(door, 1, 1, 0), 0);
	until(all, node->calls == 1);
	assert_int_equal(peer(node, DOOR)->out.acked, 1);
	/* and at the latest after that time. */
	began = ssi_clock_mono_ms();
	assert_int_equal(call(node, DOOR, 1, 1), 0);
	until(all, peer(node, DOOR)->out.acked == 2);
	assert_in_range(ssi_clock_mono_ms() - began, 500, 4000);     /* the one before it may have begun to count */
	ends_free(all);
}

/* Nothing is due: nothing happens. */
static void test_idle(void **state)
{
	struct ends *all = calloc(1, sizeof(*all));

	end_open(all, 0, end_config(DOOR, &ops_plain));
	ends_pass(all, 100);
	all->end[0].turns = 0;
	ends_pass(all, 700);
	assert_int_equal(all->end[0].turns, 0);
	ends_free(all);
}

static struct ends *timed(unsigned heartbeat_ms, unsigned dead_ms)
{
	struct ends *all = calloc(1, sizeof(*all));
	struct ssi_ccm_station_config c = end_config(DOOR, &ops_plain);

	for (unsigned i = 0; i < 2; i++) {
		c.heartbeat_ms = heartbeat_ms;
		c.dead_ms = dead_ms;
		end_open(all, i, c);
		c = end_config(1, &ops_plain);
	}
	assert_int_equal(ssi_ccm_listen_to(all->end[0].s, 1, key), 0);
	end_connect(all, 1);
	until(all, all->end[0].ups && all->end[1].ups);
	return all;
}

/* Its own sign of life, and the other's. */
static void test_wakes_with_one_peer(void **state)
{
	struct ends *all = timed(200, 20000);
	struct ssi_ccm_station_stats stats;

	ends_pass(all, 300);
	all->end[0].turns = all->end[1].turns = 0;
	ends_pass(all, 2000);
	assert_in_range(all->end[0].turns, 5, 2 * 10 + 5);
	assert_in_range(all->end[1].turns, 5, 2 * 10 + 5);
	ssi_ccm_station_stats(all->end[0].s, &stats);
	assert_int_equal(stats.links, 1);
	ends_free(all);
}

/* Signs of life hold a connection, and silence ends it: first the connection, which may be at fault, then the session. */
static void test_silence_on_time(void **state)
{
	struct ends *all = timed(100, 2000);
	struct end *door = &all->end[0];
	uint64_t began;

	ends_pass(all, 2500);
	assert_int_equal(door->gones, 0);
	all->end[1].frozen = true;
	began = ssi_clock_mono_ms();
	until(all, strstr(door->told, "down:1"));
	assert_in_range(ssi_clock_mono_ms() - began, 800, 3000);
	assert_int_equal(door->gones, 0);
	until(all, door->gones);
	assert_in_range(ssi_clock_mono_ms() - began, 1800, 5000);
	assert_int_equal(door->ended[1].code, -EHOSTDOWN);
	ends_free(all);
}

/* A process that was stopped for a while does not take that for its peers' silence. */
static void test_stopped(void **state)
{
	struct ends *all = timed(100, 20000);

	assert_int_equal(news(&all->end[1], DOOR, 1, 0, 10), 0);     /* it is heard, and the clock goes off, in one turn */
	usleep(1500000);
	ends_pass(all, 300);
	assert_int_equal(all->end[0].calls, 1);
	assert_int_equal(all->end[0].gones + all->end[1].gones, 0);
	ends_free(all);
}

static void on_done(ssize_t result, const void *body, void *userdata)
{
	*(ssize_t *)userdata = result;
}

/* A call's deadline is the clock's too. */
static void test_call_expires(void **state)
{
	struct ends *all = timed(5000, 20000);
	const struct ssi_ccm_head to = { .node = 1, .module = CALLS, .type = 1 };
	uint64_t began = ssi_clock_mono_ms();
	ssize_t result = 1;

	all->end[1].frozen = true;
	assert_int_equal(ssi_ccm_call_async(all->end[0].s, &to, SSI_CCM_SHORT, "", 0, on_done, &result, 200), 0);
	until(all, result != 1);
	assert_int_equal(result, -ETIMEDOUT);
	assert_in_range(ssi_clock_mono_ms() - began, 200, 3000);
	ends_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_news_in_order), cmocka_unit_test(test_news_cost_nothing), cmocka_unit_test(test_news_stalled),
		cmocka_unit_test(test_news_without_connection), cmocka_unit_test(test_news_forbidden), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_shared_whole), cmocka_unit_test(test_settle), cmocka_unit_test(test_settle_fails),
		cmocka_unit_test(test_settle_fails_stalled), cmocka_unit_test(test_settle_part), cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_last_words_unheard), cmocka_unit_test(test_part_sooner), cmocka_unit_test(test_part_after_return),
		cmocka_unit_test(test_refuse), cmocka_unit_test(test_ack_goes_along),
		cmocka_unit_test(test_idle), cmocka_unit_test(test_wakes_with_one_peer), cmocka_unit_test(test_silence_on_time),
		cmocka_unit_test(test_stopped), cmocka_unit_test(test_call_expires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
