/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of sessions of ccm's loop face when connections break, when a node or the master comes back as another, and when keys are over meanwhile. */
#include "tests/unit/ccm-fixture.h"
#include "tests/chaos/proxy.h"

/* Some numbered frames of up to `size` bytes, as far as there is room: how many were said so far. */
static int say_some(struct ssi_ccm_conn *c, int said, int n, int heard, const uint8_t *body, size_t size)
{
	int r = 0;

	for (int k = 0; k < 8 && said < n && said - heard < 64 && r == 0; k++) {
		r = ssi_ccm_send(c, 2, 1, (uint64_t)said + 1, body, (size_t)said * 7919 % size);
		assert_true(r == 0 || r == -EAGAIN);
		said += r == 0;
	}
	return said;
}

/* Both ends say n of them, and both answer for order and number in their handlers. */
static void talk(struct fixture *x, int n, size_t size, void (*harm)(struct fixture *x, int i))
{
	uint8_t *body = calloc(1, size);

	x->numbered = true;
	for (int i = 0, here = 0, there = 0; x->got < n || x->got_node < n; i++) {
		here = say_some(x->at_node, here, n, x->got, body, size);
		there = say_some(x->at_master, there, n, x->got_node, body, size);
		if (harm)
			harm(x, i);
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	}
	fx_pass(x, 50);
	assert_int_equal(x->got, n);
	assert_int_equal(x->got_node, n);
	free(body);
}

static void cut_now_and_then(struct fixture *x, int i)
{
	if (i % 40 == 19)
		fx_cut(x->node, 1);
	if (i % 40 == 39)
		fx_cut(x->master, 1);
}

static uint64_t links(struct ssi_ccm *m)
{
	struct ssi_ccm_station_stats s;

	ssi_ccm_station_stats(m->station, &s);
	return s.links;
}

/* Nothing is lost, twice or out of order, and nobody hears of it. */
static void cuts_are_unnoticed(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	talk(x, 3000, 20000, cut_now_and_then);
	assert_in_range(links(x->node), 10, 10000);
	assert_int_equal(x->opened_node + x->opened_master, 2);
	assert_int_equal(x->closed_node + x->closed_master, 0);
}

/* The same by a network that resets, truncates, stalls and flips bits (tests/chaos/proxy.h). */
static void a_bad_network_is_unnoticed(void **state)
{
	struct chaos_plan plan = { .seed = 7, .every = 200000, .delay_percent = 5, .delay_us = 2000, .stall_ms = 50, .hold_ms = 100 };
	struct fixture *x = *state;
	struct chaos_proxy *proxy;

	plan.to = x->port;
	assert_int_equal(chaos_proxy_new(&plan, &proxy, NULL), 0);
	/* A half-open connection, and a record that never ends, are noticed by silence: sooner here. */
	assert_int_equal(ssi_ccm_connect(x->node, loopback, chaos_proxy_port(proxy), &n1, good_key, WAIT_MS, &x->at_node, NULL), 0);
	x->node->station->config.dead_ms = x->master->station->config.dead_ms = 8000;
	x->node->station->config.connect_ms = x->master->station->config.connect_ms = 1000;
	x->node->station->config.heartbeat_ms = x->master->station->config.heartbeat_ms = 100;
	fx_until(x, &x->opened_node, 1);
	talk(x, 2000, 20000, NULL);
	assert_in_range(chaos_proxy_stats(proxy)->cuts, 10, 10000);
	assert_int_equal(x->opened_node + x->opened_master, 2);
	assert_int_equal(x->closed_node + x->closed_master, 0);
	ssi_ccm_free(x->node);
	x->node = NULL;
	chaos_proxy_free(proxy);
}

/* Keys serve for so many records; then a new connection brings new ones. */
static void worn_keys_are_changed_unnoticed(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_tls_wear(station_peer_find(x->node->station, 1)->conn->tls, 120);
	talk(x, 600, 20000, NULL);
	while (links(x->node) < 2)       /* looked at now and then */
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(x->closed_node + x->closed_master, 0);
	x->got = x->got_node = 0;
	talk(x, 100, 20000, NULL);
	assert_int_equal(links(x->node), 2);
	assert_int_equal(x->closed_node + x->closed_master, 0);
}

/* What is said while there is no connection arrives with the next one; news do not wait. */
static void what_is_said_meanwhile_arrives(void **state)
{
	struct fixture *x = *state;
	sd_event_source *door;

	fx_join(x);
	door = x->master->station->source;
	fx_cut(x->node, 1);
	sd_event_source_set_enabled(door, SD_EVENT_OFF);
	while (station_peer_find(x->node->station, 1)->conn)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(ssi_ccm_send_news(x->at_node, 2, 1, "hot", 3), -ENOTCONN);
	assert_false(ssi_ccm_waiting(x->at_node));
	for (int i = 0; i < 3; i++)
		assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, (uint64_t)i + 1, "x", 1), 0);
	x->numbered = true;
	sd_event_source_set_enabled(door, SD_EVENT_ON);
	fx_until(x, &x->got, 3);
	assert_int_equal(x->closed_node + x->closed_master, 0);
}

/* A master that hangs: its node hears nothing, and in the end it is as if it had gone. */
static void silence_ends_it(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->node->station->config.heartbeat_ms = 50;
	x->node->station->config.dead_ms = 400;
	ssi_ccm_send_news(x->at_node, 2, 1, "hot", 3);       /* the clock is set anew */
	sd_event_source_set_enabled(x->master->station->source, SD_EVENT_OFF);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -EHOSTDOWN);
	assert_string_equal(x->why_node.text, "nothing was heard for too long");
	sd_event_source_set_enabled(x->master->station->source, SD_EVENT_ON);
	fx_join(x);                      /* which ends what the master still had */
	assert_int_equal(x->closed_master, 1);
	assert_int_equal(x->why_master.code, -ECONNRESET);
}

/* --- others --- */

/* The node's program was started again, say: what the old one had is over at the master, once, and whoever still has its other end is told. */
static void a_new_session_ends_the_old(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm *other = fx_node_new(x);
	struct ssi_ccm_conn *old_there, *old_here, *c;

	fx_join(x);
	old_there = x->at_master;
	old_here = x->at_node;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "x", 1), 0);
	fx_until(x, &x->got, 1);
	assert_int_equal(ssi_ccm_connect(other, loopback, x->port, &n1, good_key, WAIT_MS, &c, NULL), 0);
	fx_until(x, &x->opened_node, 2);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->closed_master, 1);
	assert_ptr_not_equal(x->at_master, old_there);
	assert_null(x->at_node);         /* it was the old one that closed */
	assert_non_null(old_here);
	assert_int_equal(x->why_master.code, -ECONNRESET);
	assert_string_equal(x->why_master.text, "the other end began a new session");
	assert_int_equal(x->why_node.code, -EHOSTDOWN);
	assert_int_equal(ssi_ccm_send(c, 2, 1, 1, "x", 1), 0);
	fx_until(x, &x->got, 2);
	fx_pass(x, 500);                 /* the old one does not fight for it */
	assert_int_equal(x->opened_master, 2);
	assert_int_equal(x->closed_master, 1);
	assert_int_equal(x->closed_node, 1);
	ssi_ccm_free(other);
	x->at_master = NULL;
}

/* A newer incarnation of the node (its machine booted again) too; an older one is not let in any more. */
static void a_new_incarnation_ends_the_old(void **state)
{
	static const struct ssi_ccm_as next = { 1, 8, "n1" };
	struct fixture *x = *state;
	struct ssi_ccm *other = fx_node_new(x);
	struct ssi_ccm_conn *c;

	fx_join(x);
	assert_int_equal(ssi_ccm_connect(other, loopback, x->port, &next, good_key, WAIT_MS, &c, NULL), 0);
	fx_until(x, &x->opened_node, 2);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(ssi_ccm_identity(x->at_master)->incarnation, 8);
	fx_until(x, &x->closed_node, 1);
	fx_connect(x, &n1, good_key);
	fx_until(x, &x->closed_node, 2);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -ESTALE);
	assert_int_equal(x->opened_master, 2);
	assert_int_equal(x->closed_master, 1);
	ssi_ccm_free(other);
}

/* It crashed and is another one, and what was said to the old one is not said to it. */
static void crash_and_come_back(struct fixture *x)
{
	int got = x->got, closed = x->closed_node, opened = x->opened_master;

	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "x", 1), 0);
	fx_until(x, &x->got, got + 1);
	fx_master_crash(x);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 2, "lost", 4), 0);
	fx_master_start(x);
	fx_until(x, &x->closed_node, closed + 1);
	assert_int_equal(x->why_node.code, -ECONNRESET);
	assert_string_equal(x->why_node.text, "the other end began a new session");
	fx_until(x, &x->opened_master, opened + 1);
	fx_pass(x, 20);
	assert_int_equal(x->got, got + 1);
}

/* Of each life of the master there is one session: the one that told of it is there to be taken up. */
static void a_master_that_comes_back_is_another(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->echo = true;
	for (int i = 1; i <= 3; i++) {
		crash_and_come_back(x);
		fx_connect(x, &n1, good_key);
		fx_until(x, &x->opened_node, i + 1);
		assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "x", 1), 0);
		fx_until(x, &x->got_node, 2 * i);
	}
	assert_int_equal(x->opened_master, 4);
	assert_int_equal(x->closed_master, 0);       /* they crashed */
	assert_int_equal(x->closed_node, 3);
}

/* But not by who is another now. */
static void who_is_another_takes_up_nothing(void **state)
{
	static const struct ssi_ccm_as next = { 1, 8, "n1" };
	struct fixture *x = *state;

	fx_join(x);
	crash_and_come_back(x);
	fx_connect(x, &next, good_key);
	fx_until(x, &x->opened_node, 2);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(ssi_ccm_identity(x->at_master)->incarnation, 8);
	crash_and_come_back(x);
	fx_master_crash(x);              /* what it takes up is broken already, and ends with the next master */
	fx_connect(x, &next, good_key);
	fx_until(x, &x->opened_node, 3);
	fx_master_start(x);
	fx_until(x, &x->closed_node, 3);
	fx_connect(x, &next, good_key);
	fx_until(x, &x->opened_node, 4);
	assert_int_equal(x->closed_node, 3);
}

/* In good order it says so at once. */
static void a_master_that_stops_says_so(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_free(x->master);
	x->master = NULL;
	assert_true(fx_within(x, &x->closed_node, 1, 500));
	assert_int_equal(x->why_node.code, -EHOSTDOWN);
	assert_int_equal(ssi_ccm_connect(x->node, loopback, x->port, &n1, good_key, WAIT_MS, &x->at_node, NULL), 0);
	fx_until(x, &x->closed_node, 2);
	assert_int_equal(x->why_node.code, -ECONNREFUSED);
	fx_master_start(x);
	fx_join(x);
}

/* An older life of the master is nobody to a node that knew a newer one. */
static void a_master_of_before_is_not_believed(void **state)
{
	struct fixture *x = *state;

	x->incarnation = 5;
	ssi_ccm_free(x->master);
	fx_master_start(x);
	fx_join(x);
	ssi_ccm_free(x->master);
	fx_until(x, &x->closed_node, 1);
	x->incarnation = 2;
	fx_master_start(x);
	fx_connect(x, &n1, good_key);
	fx_until(x, &x->closed_node, 2);
	assert_int_equal(x->why_node.code, -ESTALE);
	assert_int_equal(x->opened_node, 1);
}

/* A connection of before that comes to nothing says nothing about a session that was begun since. */
static void what_was_tried_before_does_not_count(void **state)
{
	struct fixture *x = *state;
	struct station_peer *p;

	fx_join(x);
	p = station_peer_find(x->node->station, 1);
	fx_master_crash(x);
	while (!p->connecting)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	fx_master_start(x);              /* too late for what is on its way */
	ssi_ccm_abort(x->at_node, &(struct ssi_err){ .code = -ECANCELED });
	fx_connect(x, &n1, good_key);
	fx_until(x, &x->opened_node, 2);
	assert_int_equal(x->closed_node, 1);
	assert_int_equal(x->why_node.code, -ECANCELED);
}

/* Closed by both at once, and begun again before the time for last words is over. */
static void both_close_and_begin_again(void **state)
{
	struct fixture *x = *state;

	for (int i = 1; i <= 3; i++) {
		fx_join(x);
		ssi_ccm_close(x->at_node, NULL);
		ssi_ccm_abort(x->at_master, &(struct ssi_err){ .code = -ECANCELED });
		fx_until(x, &x->closed_node, i);
		fx_until(x, &x->closed_master, i);
	}
	sd_event_source_set_enabled(x->master->station->source, SD_EVENT_OFF);      /* it takes its time */
	fx_connect(x, &n1, good_key);
	fx_pass(x, 200);
	sd_event_source_set_enabled(x->master->station->source, SD_EVENT_ON);
	fx_until(x, &x->opened_node, 4);
	fx_pass(x, 1200);
	assert_int_equal(x->closed_node, 3);
	assert_int_equal(x->closed_master, 3);
}

/* What a node's handler does not take ends its session; and to begin another is for the node alone, at once. */
static void refused_by_the_node_and_begun_again(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->node_says = -EBADMSG;
	assert_int_equal(ssi_ccm_send(x->at_master, 2, 1, 1, "what?", 5), 0);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -EBADMSG);
	fx_until(x, &x->closed_master, 1);
	fx_connect(x, &n1, good_key);
	fx_until(x, &x->opened_master, 2);
	assert_int_equal(x->closed_node, 1);
	x->node_says = 0;
	fx_until(x, &x->opened_node, 2);
	assert_int_equal(ssi_ccm_send(x->at_master, 2, 1, 2, "better", 6), 0);
	fx_until(x, &x->got_node, 2);
	ssi_ccm_abort(x->at_node, &(struct ssi_err){ .code = -ECANCELED });
	fx_until(x, &x->closed_master, 2);
	fx_pass(x, 200);
	assert_int_equal(x->opened_master, 2);
}

/* The master came back, and the station has begun a session with it already; who begins it now is another, and so is the session. */
static void begun_again_as_another(void **state)
{
	struct fixture *x = *state;
	const struct ssi_ccm_as booted = { 1, 8, "n1" };

	fx_join(x);
	fx_master_crash(x);
	fx_master_start(x);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->opened_master, 2);
	fx_connect(x, &booted, good_key);
	fx_until(x, &x->opened_node, 2);
	fx_until(x, &x->opened_master, 3);
	assert_int_equal(ssi_ccm_identity(x->at_master)->incarnation, 8);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "here", 4), 0);
	fx_until(x, &x->got, 1);
}

/* Nobody receives at this face, and no worker runs: what no handler would hear is not kept for one. */
static void only_short_calls(void **state)
{
	struct fixture *x = *state;
	const struct ssi_ccm_head to = { .node = 1, .module = 2, .type = 1 };

	fx_join(x);
	assert_int_equal(ssi_ccm_bsend(x->node->station, &to, "x", 1, SSI_CCM_NOWAIT, 0), 0);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EPERM);
	fx_until(x, &x->closed_master, 1);
	fx_until(x, &x->closed_node, 1);
	fx_join(x);
	assert_int_equal(ssi_ccm_rcall_long(x->node->station, &to, "x", 1, SSI_CCM_NOWAIT, 0), 0);
	fx_until(x, &x->refused, 2);
	fx_until(x, &x->closed_master, 2);
	assert_int_equal(x->got, 0);
}

/* --- keys that are over meanwhile --- */

static void revoked_on_the_way_back(struct fixture *x, int revoked, int code)
{
	fx_join(x);
	x->revoked = revoked;
	fx_cut(x->node, 1);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, code);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, code);
	assert_string_equal(x->refused_id.who, "n1");
	assert_int_equal(x->refused_id.incarnation, 7);
	fx_pass(x, 200);
	assert_int_equal(x->refused, 1); /* it does not come again by itself */
	assert_int_equal(x->opened_master, 1);
	x->revoked = 0;
	fx_join(x);
}

static void used_key_on_the_way_back(void **state)
{
	revoked_on_the_way_back(*state, 1, -EKEYREVOKED);
}

static void old_key_on_the_way_back(void **state)
{
	revoked_on_the_way_back(*state, 2, -EKEYREVOKED);
}

/* A refusal can come from anyone: it is no more than a connection that does not come up. */
static void unknown_on_the_way_back(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->revoked = -ENOENT;
	fx_cut(x->node, 1);
	fx_until(x, &x->refused, 2);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, "x", 1), 0);
	x->revoked = 0;
	fx_until(x, &x->got, 1);
	assert_int_equal(x->closed_node + x->closed_master, 0);
	x->revoked = -ENOENT;
	x->node->station->config.heartbeat_ms = 50;
	x->node->station->config.dead_ms = 800;
	fx_cut(x->node, 1);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -EHOSTDOWN);
}

static void a_stranger_ends_no_session(void **state)
{
	struct fixture *x = *state;
	struct fx_stranger stranger;
	struct station_peer *p;

	fx_join(x);
	fx_stranger_start(&stranger, 3);
	p = station_peer_find(x->node->station, 1);
	p->port = stranger.port;
	fx_cut(x->node, 1);
	while (__atomic_load_n(&stranger.denied, __ATOMIC_ACQUIRE) < 3)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	fx_stranger_end(&stranger);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, "x", 1), 0);
	p->port = x->port;
	fx_until(x, &x->got, 1);
	assert_int_equal(x->closed_node + x->closed_master, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cuts_are_unnoticed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bad_network_is_unnoticed, setup, teardown),
		cmocka_unit_test_setup_teardown(worn_keys_are_changed_unnoticed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_said_meanwhile_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_session_ends_the_old, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_incarnation_ends_the_old, setup, teardown),
		cmocka_unit_test_setup_teardown(a_master_that_comes_back_is_another, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_another_takes_up_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_master_that_stops_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(a_master_of_before_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_tried_before_does_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(both_close_and_begin_again, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_by_the_node_and_begun_again, setup, teardown),
		cmocka_unit_test_setup_teardown(begun_again_as_another, setup, teardown),
		cmocka_unit_test_setup_teardown(only_short_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(used_key_on_the_way_back, setup, teardown),
		cmocka_unit_test_setup_teardown(old_key_on_the_way_back, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_on_the_way_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stranger_ends_no_session, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
