/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ccm's loop face: what may be said in a session, how a session ends, and what leaves when. */
#include "tests/unit/ccm-fixture.h"

static void good_key_is_let_in(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	assert_int_equal(x->keys, 1);
	assert_string_equal(ssi_ccm_identity(x->at_master)->who, "n1");
	assert_int_equal(ssi_ccm_identity(x->at_master)->incarnation, 7);
	assert_int_equal(ssi_ccm_node(x->at_master), 1);
	assert_int_equal(ssi_ccm_node(x->at_node), 1);
	assert_int_equal(ssi_ccm_address(x->at_master).s_addr, loopback.s_addr);
	x->echo = true;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "hello", 5), 0);
	fx_until(x, &x->got_node, 1);
	x->echo = false;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 3, 2, NULL, 0), 0);
	fx_until(x, &x->got, 2);
	assert_int_equal(x->got_bytes, 5);
}

/* One endpoint, many nodes; but each of them once. */
static void an_endpoint_may_be_many(void **state)
{
	static const struct ssi_ccm_as n2 = { 2, 9, "n2" };
	struct ssi_ccm_conn *there[2], *here[2], *again;
	struct fixture *x = *state;

	fx_join(x);
	there[0] = x->at_master;
	here[0] = x->at_node;
	fx_connect(x, &n2, good_key);
	fx_until(x, &x->opened_node, 2);
	there[1] = x->at_master;
	here[1] = x->at_node;
	assert_int_equal(ssi_ccm_connect(x->node, loopback, x->port, &n2, good_key, WAIT_MS, &again, NULL), -EEXIST);
	assert_string_equal(ssi_ccm_identity(there[1])->who, "n2");
	assert_int_equal(ssi_ccm_identity(there[1])->incarnation, 9);
	for (int i = 0; i < 2; i++) {
		x->echo = true;
		ssi_ccm_set_userdata(there[i], &there[i]);
		assert_int_equal(ssi_ccm_send(here[i], 2, 1, 0, "hello", 5), 0);
		fx_until(x, &x->got_node, i + 1);
		assert_ptr_equal(ssi_ccm_get_userdata(there[i]), &there[i]);
		assert_int_equal(ssi_ccm_node(there[i]), i + 1);
	}
	ssi_ccm_close(here[0], NULL);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(ssi_ccm_send(there[1], 2, 1, 0, "you", 3), 0);
	fx_until(x, &x->got_node, 3);
}

/* --- what may be said --- */

/* It is told who broke which rule, and the session is over on both ends, once and for all. */
static void ends_by_rule(struct fixture *x, int code)
{
	fx_until(x, &x->closed_master, 1);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_master.code, code);
	assert_int_equal(x->why_refused.code, code);
	assert_true(x->refused_named);
	assert_string_equal(x->refused_id.who, "n1");
	fx_pass(x, 200);
	assert_int_equal(x->got, 0);
	assert_int_equal(x->opened_master, 1);
	assert_int_equal(x->closed_node, 1);
}

static void oversize_ends_the_session(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_node, 2, 3, 0, "seventeen bytes!!", 17);
	ends_by_rule(x, -EMSGSIZE);
}

static void wrong_sender_ends_the_session(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_node, 1, 1, 0, "x", 1);
	ends_by_rule(x, -EPERM);
}

static void unknown_message_ends_the_session(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_node, 9, 9, 0, NULL, 0);
	ends_by_rule(x, -EPERM);
}

static void news_are_under_the_same_rules(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	assert_int_equal(ssi_ccm_send_news(x->at_node, 2, 3, "seventeen bytes!!", 17), 0);
	ends_by_rule(x, -EMSGSIZE);
}

static void the_master_is_under_rules_too(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_master, 2, 3, 0, NULL, 0);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -EPERM);
	fx_until(x, &x->closed_master, 1);
}

static void what_a_handler_refuses_ends_the_session(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->handler_says = -EBADMSG;
	ssi_ccm_send(x->at_node, 2, 1, 0, "x", 1);
	ssi_ccm_send(x->at_node, 2, 1, 0, "y", 1);
	fx_until(x, &x->got, 1);
	assert_non_null(x->at_master);   /* closed() comes from the loop */
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->got, 1);
	x->got = 0;
	ends_by_rule(x, -EBADMSG);
	assert_non_null(strstr(x->why_master.text, "2.1"));
}

/* Who says that it is another is not heard, however often it tries; and is there again when it says who it is. */
static void false_source_is_refused(void **state)
{
	struct fixture *x = *state;
	struct station_self *self;

	fx_join(x);
	self = (struct station_self *)station_peer_find(x->node->station, 1)->self;
	self->number = 2;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, "x", 1), 0);
	fx_until(x, &x->refused, 1);     /* the frame */
	assert_int_equal(x->why_refused.code, -EPROTO);
	assert_string_equal(x->refused_id.who, "n1");
	fx_until(x, &x->refused, 3);     /* and the HELLO of each further connection */
	assert_int_equal(x->why_refused.code, -EPROTO);
	assert_non_null(strstr(x->why_refused.text, "HELLO from node 2"));
	assert_int_equal(x->got, 0);
	self->number = 1;
	ssi_ccm_abort(x->at_node, &(struct ssi_err){ .code = -ECANCELED });
	fx_until(x, &x->closed_node, 1);
	fx_join(x);
	assert_int_equal(x->got, 0);
	assert_int_equal(x->opened_master, 2);
}

/* --- news, and what many are told --- */

static void news_arrive_while_there_is_a_connection(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	assert_int_equal(ssi_ccm_send_news(x->at_node, 2, 1, "hot", 3), 0);
	fx_until(x, &x->got, 1);
	assert_int_equal(x->got_bytes, 3);
	fx_cut(x->node, SSI_CCM_MASTER);
	ssi_ccm_abort(x->at_node, &(struct ssi_err){ .code = -ECANCELED });
	assert_int_equal(ssi_ccm_send_news(x->at_node, 2, 1, "hot", 3), -ENOTCONN);
	fx_until(x, &x->closed_node, 1);
}

static void shared_bodies_arrive_whole(void **state)
{
	static const struct ssi_ccm_as n2 = { 2, 7, "n2" };
	struct ssi_ccm_body *b = ssi_ccm_body_new(BIG);
	struct fixture *x = *state;
	struct ssi_ccm_conn *first;

	memset(b->data, 'b', b->len);
	fx_join(x);
	first = x->at_master;
	fx_connect(x, &n2, good_key);
	fx_until(x, &x->opened_master, 2);
	assert_int_equal(ssi_ccm_send_shared(first, 2, 1, 0, "head", 4, b), 0);
	assert_int_equal(ssi_ccm_send_shared(x->at_master, 2, 1, 0, NULL, 0, b), 0);
	assert_int_equal(b->refs, 3);
	fx_until(x, &x->got_node, 2);
	while (b->refs > 1)              /* it is let go when both have acknowledged it */
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	ssi_ccm_body_unref(b);
}

/* --- the end --- */

static void closing_sends_what_is_queued(void **state)
{
	struct fixture *x = *state;
	uint8_t *big = calloc(1, BIG);

	fx_join(x);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, big, BIG), 0);
	ssi_ccm_close(x->at_node, NULL);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, "x", 1), -ENOTCONN);
	assert_int_equal(ssi_ccm_send_news(x->at_node, 2, 1, "x", 1), -ENOTCONN);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->got, 2);
	assert_int_equal(x->got_bytes, 2 * BIG);
	assert_int_equal(x->why_node.code, -ECANCELED);
	assert_int_equal(x->why_master.code, -EHOSTDOWN);
	free(big);
}

/* Of the master's too; and who was told that it is over does not come back by itself. */
static void the_master_closes(void **state)
{
	static const struct ssi_err why = { .code = -ESTALE, .text = "by hand" };
	struct fixture *x = *state;

	fx_join(x);
	assert_int_equal(ssi_ccm_send(x->at_master, 2, 1, 0, "bye", 3), 0);
	ssi_ccm_close(x->at_master, &why);
	ssi_ccm_close(x->at_master, NULL);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->got_node, 1);
	assert_int_equal(x->why_master.code, -ESTALE);
	assert_string_equal(x->why_master.text, "by hand");
	assert_int_equal(x->why_node.code, -EHOSTDOWN);
	fx_pass(x, 300);
	assert_int_equal(x->refused, 0); /* nor did it begin to */
	assert_int_equal(x->opened_master, 1);
	assert_int_equal(x->closed_master, 1);
	assert_int_equal(x->closed_node, 1);
}

/* At once, whoever does it; what comes then is not heard. */
static void abort_ends_it_at_once(void **state)
{
	static const struct ssi_err why = { .code = -ETIMEDOUT, .text = "silent" };
	struct fixture *x = *state;

	for (int i = 0; i < 2; i++) {
		fx_join(x);
		ssi_ccm_send(x->at_master, 2, 1, 0, "x", 1);
		ssi_ccm_abort(i ? x->at_master : x->at_node, &why);
		assert_int_equal(ssi_ccm_send(i ? x->at_master : x->at_node, 2, 1, 0, "x", 1), -ENOTCONN);
		fx_until(x, &x->closed_node, i + 1);
		fx_until(x, &x->closed_master, i + 1);
		assert_int_equal((i ? x->why_master : x->why_node).code, -ETIMEDOUT);
		assert_int_equal((i ? x->why_node : x->why_master).code, -EHOSTDOWN);
		fx_pass(x, 200);
		assert_int_equal(x->opened_master, i + 1);
		assert_int_equal(x->closed_node, i + 1);
		assert_int_equal(x->closed_master, i + 1);
	}
}

/* Nobody is there to hear them: last words are waited for for a second at most. */
static void closing_is_bounded(void **state)
{
	struct fixture *x = *state;
	uint64_t began;

	fx_join(x);
	sd_event_source_set_enabled(x->master->station->source, SD_EVENT_OFF);      /* the master hangs */
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, "x", 1), 0);
	ssi_ccm_close(x->at_node, NULL);
	began = ssi_clock_mono_ms();
	fx_until(x, &x->closed_node, 1);
	assert_in_range(ssi_clock_mono_ms() - began, 900, 5000);
	assert_int_equal(x->why_node.code, -ECANCELED);
	sd_event_source_set_enabled(x->master->station->source, SD_EVENT_ON);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->got, 1);     /* it had arrived */
}

static void handler_may_close(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->close_on_frame = true;
	ssi_ccm_send(x->at_node, 2, 3, 0, NULL, 0);
	ssi_ccm_send(x->at_node, 2, 3, 0, NULL, 0);
	fx_until(x, &x->closed_master, 1);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->got, 1);
	assert_int_equal(x->why_master.code, -ECANCELED);
}

static void handler_may_abort(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->abort_on_frame = true;
	ssi_ccm_send(x->at_node, 2, 3, 0, NULL, 0);
	ssi_ccm_send(x->at_node, 2, 3, 0, NULL, 0);
	fx_until(x, &x->closed_master, 1);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->got, 1);
	assert_string_equal(x->why_master.text, "by its handler");
	x->abort_on_frame = false;
	x->close_on_frame = true;
	x->handler_says = -EBADMSG;      /* and then refuse what it closed */
	fx_join(x);
	ssi_ccm_send(x->at_node, 2, 3, 0, NULL, 0);
	fx_until(x, &x->closed_master, 2);
	fx_until(x, &x->closed_node, 2);
	assert_int_equal(x->why_master.code, -ECANCELED);
}

static void reconnects_after_the_peer_is_gone(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_close(x->at_master, NULL);
	fx_until(x, &x->closed_node, 1);
	fx_join(x);
	x->echo = true;
	ssi_ccm_send(x->at_node, 2, 1, 3, "again", 5);
	fx_until(x, &x->got_node, 1);
	assert_int_equal(x->opened_master, 2);
}

static void closed_before_it_was_open(void **state)
{
	struct fixture *x = *state;

	fx_connect(x, &n1, good_key);
	ssi_ccm_close(x->at_node, NULL);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -ECANCELED);
	fx_pass(x, 100);
	assert_int_equal(x->opened_node, 0);
	fx_join(x);
}

static void nobody_listens(void **state)
{
	struct fixture *x = *state;

	ssi_ccm_free(x->master);
	x->master = NULL;
	fx_connect(x, &n1, good_key);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -ECONNREFUSED);
}

/* --- what leaves when --- */

static void full_queue_says_again_then_drained(void **state)
{
	struct fixture *x = *state;
	uint8_t *big = calloc(1, BIG);
	int r = 0, sent = 0;

	fx_join(x);
	while ((r = ssi_ccm_send(x->at_node, 2, 1, 0, big, BIG)) == 0 && sent < 100)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(sent, 2, 20);
	fx_until(x, &x->drained, 1);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, big, BIG), 0);
	fx_until(x, &x->got, sent + 1);
	assert_int_equal(x->got_bytes, (size_t)(sent + 1) * BIG);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, big, SSI_CCM_BODY_MAX + 1), -EMSGSIZE);
	fx_pass(x, 200);
	assert_int_equal(x->drained, 1); /* nothing was refused since */
	free(big);
}

static void a_turn_is_settled_once(void **state)
{
	struct fixture *x = *state;
	int before;

	fx_join(x);
	x->echo = true;
	before = x->settles;
	for (int i = 0; i < 8; i++)
		assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "hello", 5), 0);
	fx_until(x, &x->got_node, 8);
	assert_int_equal(x->holds, x->settles);
	assert_true(x->settles - before < 8);
}

/* Neither the answer nor anything else of that session is believed; the node's next one is another. */
static void what_is_not_stored_is_not_answered(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->echo = x->settle_fails = true;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "hello", 5), 0);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -ENOSPC);
	assert_string_equal(x->why_master.text, "it could not be stored");
	fx_until(x, &x->closed_node, 1);
	fx_pass(x, 200);
	assert_int_equal(x->got, 1);
	assert_int_equal(x->got_node, 0);
	assert_int_equal(x->closed_master, 1);
	x->settle_fails = false;
	fx_join(x);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 1, "hello", 5), 0);
	fx_until(x, &x->got_node, 1);
}

static void rules_are_bounded(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_rule many[CCM_RULES_MAX], large = { 7, 1, SSI_CCM_BODY_MAX + 1, SSI_FROM_MASTER, fx_on_node, x };
	struct ssi_ccm *m;

	assert_int_equal(ssi_ccm_new(x->event, &fx_node_ops, x, &m), 0);
	assert_int_equal(ssi_ccm_register(m, &large, 1), -E2BIG);
	for (uint16_t i = 0; i < CCM_RULES_MAX; i++)
		many[i] = (struct ssi_ccm_rule){ 7, (uint16_t)(i + 1), 8, SSI_FROM_MASTER, fx_on_node, x };
	assert_int_equal(ssi_ccm_register(m, many, CCM_RULES_MAX), 0);
	many[0].module = 8;
	assert_int_equal(ssi_ccm_register(m, many, 1), -E2BIG);
	ssi_ccm_free(m);
	assert_int_equal(ssi_ccm_listen(x->master, 9, loopback, 0, NULL), -EBUSY);
	many[0].module = 9;
	assert_int_equal(ssi_ccm_register(x->master, many, 1), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_key_is_let_in, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endpoint_may_be_many, setup, teardown),
		cmocka_unit_test_setup_teardown(oversize_ends_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_sender_ends_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_message_ends_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(news_are_under_the_same_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(the_master_is_under_rules_too, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_handler_refuses_ends_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(false_source_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(news_arrive_while_there_is_a_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(shared_bodies_arrive_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_sends_what_is_queued, setup, teardown),
		cmocka_unit_test_setup_teardown(the_master_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(abort_ends_it_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(handler_may_close, setup, teardown),
		cmocka_unit_test_setup_teardown(handler_may_abort, setup, teardown),
		cmocka_unit_test_setup_teardown(reconnects_after_the_peer_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_before_it_was_open, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue_says_again_then_drained, setup, teardown),
		cmocka_unit_test_setup_teardown(a_turn_is_settled_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_stored_is_not_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(rules_are_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
