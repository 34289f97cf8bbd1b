/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The membership engine: who is let in, who is thrown out and when, and what is counted. What members are told is test-head-view.c's. */
#include "tests/unit/head-fixture.h"

static void joins_and_counts(void **state)
{
	struct fixture *x = *state;
	struct ssi_head_totals t;
	struct ssi_ccm_conn *c;
	Ssi__Membership__JoinReply *m;

	fx_join(x, "n01");
	fx_tell(x);
	c = fx_conn(x, "n02", 7);
	assert_int_equal(fx_say_join(c, "n02", 7, false), 0);
	m = fx_heard_reply(c);
	assert_int_equal(m->heartbeat_ms, 500);
	assert_int_equal(m->detach_ms, 3000);
	assert_int_equal(m->node_number, 2);
	assert_int_equal(m->view->n_members, 2);
	assert_int_equal(m->view->number, 42);
	ssi__membership__join_reply__free_unpacked(m, NULL);
	assert_int_equal(x->last.ev, SSI_EVENT_JOIN);
	assert_int_equal(x->last.before, SSI_NODE_BOOTING);
	assert_int_equal(x->last.stages, 1);
	assert_false(x->last.rejoin);
	assert_int_equal(ssi_head_totals(x->head, "demo", &t), 0);
	assert_int_equal(t.nodes, 3);
	assert_int_equal(t.by_state[SSI_NODE_JOINED], 2);
	assert_int_equal(t.by_state[SSI_NODE_BOOTING], 1);
	assert_int_equal(t.cpus, 4);
	assert_int_equal(t.memory, 2 * GIB);
	assert_ptr_equal(ssi_head_conn(x->head, "n02"), c);
}

static void silence_suspects_then_detaches(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01"), *other = fx_join(x, "n02");
	struct ssi_head_totals t;
	struct ssi_ccm_head f;

	for (int i = 0; i < 19; i++) {
		fx_pass(x, 100);
		fx_beat(other);
	}
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	fx_pass(x, 100);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	for (int i = 0; i < 14; i++) {
		fx_pass(x, 100);
		fx_beat(other);
	}
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	fx_pass(x, 100);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
	assert_int_equal(fx_state(x, "n02"), SSI_NODE_JOINED);
	assert_string_equal(x->last.reason, "nothing heard for 3.5 s");
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.cpus, 2);
	assert_int_equal(t.memory, GIB);
	/* What it finds when it wakes: the order to reboot, and a closed door. */
	fx_heard(c, &f);
	assert_int_equal(f.type, SSI_MEMBER_ORDER);
	fx_settle(x);
	assert_int_equal(x->closed, 1);
	assert_null(ssi_head_conn(x->head, "n01"));
}

static void suspect_is_heard_again(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");

	fx_pass(x, 2100);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	assert_int_equal(fx_beat(c), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	assert_int_equal(x->last.ev, SSI_EVENT_HEARTBEAT);
	fx_pass(x, 1900);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
}

/* Who was silent before the limit was lowered is judged by the lower one. */
static void a_lower_limit_counts_at_once(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(ssi_head_set_system(x->head, "demo", 500, 300000, 41), 0);
	fx_join(x, "n01");
	for (int i = 0; i < 20; i++)
		fx_pass(x, 500);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	assert_int_equal(ssi_head_set_system(x->head, "demo", 500, 3000, 41), 0);
	for (int i = 0; i < 4; i++)
		fx_pass(x, 100);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void detached_is_refused(void **state)
{
	struct fixture *x = *state;
	Ssi__Membership__JoinReply *m;
	struct ssi_ccm_conn *c;

	fx_join(x, "n01");
	fx_pass(x, 3600);
	c = fx_conn(x, "n01", 7);
	fx_say_join(c, "n01", 7, true);
	m = fx_heard_reply(c);
	assert_false(m->accepted);
	ssi__membership__join_reply__free_unpacked(m, NULL);
	assert_int_equal(x->refusals, 1);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
	/* It boots: the new incarnation is welcome, the old one is not. */
	assert_int_equal(ssi_head_boot(x->head, "n01", 6), -ESTALE);
	assert_int_equal(ssi_head_boot(x->head, "n01", 8), 0);
	c = fx_conn(x, "n01", 7);
	fx_say_join(c, "n01", 7, true);
	assert_string_equal(x->refusal, "incarnation 7 is over, 8 is current");
	c = fx_conn(x, "n01", 8);
	assert_int_equal(fx_say_join(c, "n01", 8, false), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
}

static void unknown_and_early_are_refused(void **state)
{
	struct fixture *x = *state;

	fx_say_join(fx_conn(x, "n09", 1), "n09", 1, false);
	assert_string_equal(x->refusal, "the registry has no such node");
	fx_say_join(fx_conn(x, "n01", 9), "n01", 9, false);
	assert_string_equal(x->refusal, "incarnation 9 was never given out, 7 is current");
	assert_int_equal(x->refusals, 2);
}

static void speaks_for_itself_alone(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(fx_say_join(fx_conn(x, "n01", 7), "n02", 7, false), -EPROTO);
	assert_int_equal(fx_say_join(fx_conn(x, "n01", 7), "n01", 8, false), -EPROTO);
	assert_int_equal(fx_beat(fx_conn(x, "n01", 7)), -EPROTO);
}

static void reconnects_in_time(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c, *old = fx_join(x, "n01");

	fx_pass(x, 1000);
	c = fx_conn(x, "n01", 7);
	assert_int_equal(fx_say_join(c, "n01", 7, true), 0);
	assert_true(x->last.rejoin);
	assert_ptr_equal(ssi_head_conn(x->head, "n01"), c);
	fx_settle(x);                    /* the old one ends, and takes nothing with it */
	assert_int_equal(x->closed, 1);
	assert_ptr_equal(ssi_head_conn(x->head, "n01"), c);
	assert_ptr_not_equal(c, old);
}

static void lost_connection_is_not_yet_a_detach(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	static const struct ssi_err e = { .code = -ECONNRESET };

	ssi_ccm_abort(c, &e);
	fx_settle(x);
	assert_null(ssi_head_conn(x->head, "n01"));
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	assert_int_equal(ssi_head_order(x->head, "n01", SSI_HEAD_REBOOT, "x"), -ENOTCONN);
	fx_pass(x, 3600);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void leaves_in_order(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	Ssi__Membership__Leave m = SSI__MEMBERSHIP__LEAVE__INIT;

	m.reason = (char *)"reboot\n\033[31m";
	assert_int_equal(fx_say(c, SSI_MEMBER_LEAVE, &m.base), -ECANCELED);    /* closed by the handler */
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_OFF);
	assert_string_equal(x->last.reason, "reboot??[31m");
	fx_pass(x, 5000);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_OFF);
	/* Its incarnation does not come back. */
	fx_say_join(fx_conn(x, "n01", 7), "n01", 7, true);
	assert_int_equal(x->refusals, 1);
}

static void restored_have_grace(void **state)
{
	struct fixture *x = *state;
	struct ssi_inventory inv = { .cpus = 4, .memory = GIB };
	struct ssi_head_totals t;

	assert_int_equal(ssi_head_restore(x->head, "n01", SSI_NODE_SUSPECT, 9, 5, "", &inv), 0);
	assert_int_equal(ssi_head_restore(x->head, "n02", SSI_NODE_DETACHED, 9, 5, "gone", NULL), 0);
	assert_int_equal(ssi_head_restore(x->head, "n03", SSI_NODE_JOINED, 9, 5, "", &inv), 0);
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.cpus, 8);
	assert_int_equal(t.by_state[SSI_NODE_SUSPECT], 2);
	assert_int_equal(fx_say_join(fx_conn(x, "n03", 9), "n03", 9, true), 0);
	assert_true(x->last.rejoin);
	assert_int_equal(fx_state(x, "n03"), SSI_NODE_JOINED);
	x->changes = 0;
	for (int i = 0; i < 149; i++) {
		fx_pass(x, 100);
		fx_beat(ssi_head_conn(x->head, "n03"));
	}
	assert_int_equal(x->changes, 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	fx_pass(x, 200);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
	assert_int_equal(fx_state(x, "n02"), SSI_NODE_DETACHED);
}

static void come_back_is_judged_as_ever(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(ssi_head_restore(x->head, "n01", SSI_NODE_JOINED, 9, 5, "", NULL), 0);
	assert_int_equal(fx_say_join(fx_conn(x, "n01", 9), "n01", 9, true), 0);
	fx_pass(x, 2100);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	fx_pass(x, 1500);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void own_absence_is_nobodys_silence(void **state)
{
	struct fixture *x = *state;

	fx_join(x, "n01");
	fx_pass(x, 1000);
	x->now += 60000;                 /* stopped for a minute */
	head_tick(x->head);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	fx_pass(x, 1400);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	fx_pass(x, 2200);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void own_link_down_and_back_gives_time(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");

	fx_join(x, "n02");
	x->link_ups = 7;
	fx_pass(x, 2100);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	x->link_ups = 8;                 /* it was down, and is back: half the limit more */
	fx_pass(x, 2000);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	fx_beat(c);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	fx_pass(x, 1100);
	assert_int_equal(fx_state(x, "n02"), SSI_NODE_DETACHED);
	/* And from then on as ever. */
	fx_beat(c);
	fx_pass(x, 3600);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void own_link_that_stays_down_saves_nobody(void **state)
{
	struct fixture *x = *state;

	fx_join(x, "n01");
	x->link_ups = 7;
	fx_pass(x, 3600);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void nothing_to_time_no_timer(void **state)
{
	struct fixture *x = *state;
	int on = 1;

	fx_join(x, "n01");
	assert_true(x->head->armed);
	ssi_head_off(x->head, "n01", "off");
	assert_null(head_due_first(&x->head->due));
	head_tick(x->head);
	assert_false(x->head->armed);
	sd_event_source_get_enabled(x->head->timer, &on);
	assert_int_equal(on, SD_EVENT_OFF);
}

static void removal_leaves_nothing(void **state)
{
	struct fixture *x = *state;
	struct ssi_head_totals t;

	fx_join(x, "n02");
	ssi_head_remove_node(x->head, "n02");
	assert_null(ssi_head_node(x->head, "n02"));
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.nodes, 2);
	assert_int_equal(t.cpus, 0);
	fx_settle(x);
	assert_int_equal(x->closed, 1);
}

static void drained_stays_and_is_told(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	struct head_system *s = TAILQ_FIRST(&x->head->systems);
	struct ssi_head_totals t;
	Ssi__Membership__View *v;
	struct ssi_ccm_head f;
	const uint8_t *body;

	head_view_tell(x->head, s);
	fx_heard(c, &f);
	x->changes = 0;
	assert_int_equal(ssi_head_set_hold(x->head, "n01", SSI_HOLD_DRAINED), 1);
	assert_int_equal(ssi_head_set_hold(x->head, "n01", SSI_HOLD_DRAINED), 0);
	assert_int_equal(ssi_head_set_hold(x->head, "n09", SSI_HOLD_DRAINED), -ENOENT);
	assert_int_equal(x->changes, 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.drained, 1);
	assert_int_equal(t.cpus, 2);
	head_view_tell(x->head, s);
	body = fx_heard(c, &f);
	v = ssi__membership__view__unpack(NULL, f.size, body);
	assert_int_equal(v->n_members, 1);
	assert_true(v->members[0]->drained);
	ssi__membership__view__free_unpacked(v, NULL);
	/* It outlives a boot. */
	assert_int_equal(ssi_head_boot(x->head, "n01", 8), 0);
	assert_int_equal(fx_say_join(fx_conn(x, "n01", 8), "n01", 8, false), 0);
	assert_int_equal(ssi_head_node(x->head, "n01")->hold, SSI_HOLD_DRAINED);
}

static void fenced_is_told_and_stays_out(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	struct ssi_head_totals t;
	struct ssi_ccm_head f;

	assert_int_equal(ssi_head_fence(x->head, "n01", "by hand"), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_FENCING);
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.by_state[SSI_NODE_FENCING], 1);
	assert_int_equal(t.cpus, 0);
	fx_heard(c, &f);
	assert_int_equal(f.type, SSI_MEMBER_ORDER);
	fx_settle(x);
	assert_int_equal(x->closed, 1);
	/* Neither what it says nor time ends it. */
	fx_say_join(fx_conn(x, "n01", 7), "n01", 7, true);
	assert_int_equal(x->refusals, 1);
	fx_pass(x, 10000);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_FENCING);
	assert_int_equal(ssi_head_fence_failed(x->head, "n01", "no answer"), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
	assert_string_equal(x->last.reason, "no answer");
	assert_int_equal(ssi_head_fenced(x->head, "n01", "late"), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
	ssi_head_fence(x->head, "n01", "again");
	assert_int_equal(ssi_head_fenced(x->head, "n01", "proved"), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_OFF);
	/* Nor does it come back by itself afterwards; with a new incarnation it does. */
	fx_say_join(fx_conn(x, "n01", 7), "n01", 7, true);
	assert_int_equal(x->refusals, 2);
	assert_int_equal(ssi_head_boot(x->head, "n01", 8), 0);
	assert_int_equal(fx_say_join(fx_conn(x, "n01", 8), "n01", 8, false), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	assert_int_equal(ssi_head_fence(x->head, "n09", ""), -ENOENT);
}

static void detached_by_hand_is_told_and_refused(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	struct ssi_head_totals t;
	struct ssi_ccm_head f;

	fx_join(x, "n02");
	assert_int_equal(ssi_head_detach(x->head, "n01", "by hand"), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
	assert_string_equal(x->last.reason, "by hand");
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.cpus, 2);
	fx_heard(c, &f);
	assert_int_equal(f.type, SSI_MEMBER_ORDER);
	fx_settle(x);
	assert_int_equal(x->closed, 1);
	fx_say_join(fx_conn(x, "n01", 7), "n01", 7, true);
	assert_int_equal(x->refusals, 1);
	/* Accepted, it may boot; what is over stays over. */
	assert_int_equal(ssi_head_accept(x->head, "n01"), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_OFF);
	fx_say_join(fx_conn(x, "n01", 7), "n01", 7, true);
	assert_int_equal(x->refusals, 2);
	assert_int_equal(ssi_head_boot(x->head, "n01", 8), 0);
	assert_int_equal(fx_say_join(fx_conn(x, "n01", 8), "n01", 8, false), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	/* Accepting who was not held back changes nothing. */
	assert_int_equal(ssi_head_accept(x->head, "n02"), 0);
	assert_int_equal(fx_state(x, "n02"), SSI_NODE_JOINED);
}

static void hardware_changes_without_a_rejoin(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	uint64_t since = ssi_head_node(x->head, "n01")->since_ms;
	Ssi__Membership__JoinReply *m;
	struct ssi_head_totals t;

	fx_pass(x, 2100);
	x->now += 1;
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	assert_int_equal(fx_say_join(c, "n01", 7, true), 0);    /* a sign of life as well */
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	m = fx_heard_reply(c);
	assert_true(m->accepted);
	assert_null(m->view);
	ssi__membership__join_reply__free_unpacked(m, NULL);
	since = ssi_head_node(x->head, "n01")->since_ms;
	x->now += 10;
	assert_int_equal(fx_say_join(c, "n01", 7, true), 0);
	assert_true(x->last.rejoin);
	assert_int_equal(ssi_head_node(x->head, "n01")->since_ms, since);
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.cpus, 2);
	fx_pass(x, 1400);                /* and its time is counted from there */
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
}

/* The heap against a plain search, with a fixed pseudo-random walk. */
static void deadlines_come_in_order(void **state)
{
	struct head_node nodes[200] = { 0 };
	struct head_due d = { 0 };
	uint32_t seed = 1;

	for (int i = 0; i < 20000; i++) {
		struct head_node *n, *first;
		uint64_t least = UINT64_MAX;

		seed = seed * 1664525 + 1013904223;
		n = &nodes[(seed >> 8) % 200];
		if (seed >> 30 == 0)
			head_due_clear(&d, n);
		else
			assert_int_equal(head_due_set(&d, n, (seed >> 4) % 1000), 0);
		for (int k = 0; k < 200; k++)
			if (nodes[k].slot && nodes[k].due < least)
				least = nodes[k].due;
		first = head_due_first(&d);
		assert_int_equal(first ? first->due : UINT64_MAX, least);
	}
	head_due_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(joins_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_suspects_then_detaches, setup, teardown),
		cmocka_unit_test_setup_teardown(suspect_is_heard_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lower_limit_counts_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(detached_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_and_early_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(speaks_for_itself_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(reconnects_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_connection_is_not_yet_a_detach, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(restored_have_grace, setup, teardown),
		cmocka_unit_test_setup_teardown(come_back_is_judged_as_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(own_absence_is_nobodys_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(own_link_down_and_back_gives_time, setup, teardown),
		cmocka_unit_test_setup_teardown(own_link_that_stays_down_saves_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_time_no_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(removal_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(drained_stays_and_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(fenced_is_told_and_stays_out, setup, teardown),
		cmocka_unit_test_setup_teardown(detached_by_hand_is_told_and_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(hardware_changes_without_a_rejoin, setup, teardown),
		cmocka_unit_test(deadlines_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
