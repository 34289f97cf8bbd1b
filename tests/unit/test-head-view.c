/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What members are told: changes only, the least of them, and by what a node that comes back knows already. */
#include "tests/unit/head-fixture.h"
#include "ssi/membership/view.h"

/* A node's own view, kept as a node keeps it. */
static void follow(struct ssi_view *own, struct ssi_ccm_conn *c)
{
	Ssi__Membership__View *v = fx_heard_view(c);

	assert_int_equal(ssi_view_apply(own, v), 0);
	ssi__membership__view__free_unpacked(v, NULL);
}

/* Come (back) with what is known; returns how many members the answer held. */
static size_t come(struct fixture *x, const char *name, uint64_t incarnation, struct ssi_view *own, struct ssi_ccm_conn **ret)
{
	Ssi__Membership__Inventory inv = SSI__MEMBERSHIP__INVENTORY__INIT;
	Ssi__Membership__Join m = SSI__MEMBERSHIP__JOIN__INIT;
	Ssi__Membership__JoinReply *reply;
	size_t n;

	inv.cpus = 2;
	inv.memory = GIB;
	m.node = (char *)name;
	m.incarnation = incarnation;
	m.inventory = &inv;
	m.view = own->number;
	m.digest = own->digest;
	*ret = fx_conn(x, name, incarnation);
	assert_int_equal(fx_say(*ret, SSI_MEMBER_JOIN, &m.base), 0);
	reply = fx_heard_reply(*ret);
	assert_true(reply->accepted);
	assert_int_equal(ssi_view_apply(own, reply->view), 0);
	n = reply->view->n_members;
	ssi__membership__join_reply__free_unpacked(reply, NULL);
	return n;
}

static void lost(struct fixture *x, struct ssi_ccm_conn *c)
{
	struct ssi_err e = { .code = -ECONNRESET, .text = "lost" };

	ssi_ccm_abort(c, &e);
	fx_settle(x);
}

static void members_are_told_of_changes(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01"), *d = fx_join(x, "n02");
	Ssi__Membership__View *v;
	struct ssi_ccm_head f;

	fx_tell(x);
	v = fx_heard_view(c);
	assert_int_equal(v->since, 41);
	assert_int_equal(v->number, 43);
	assert_int_equal(v->n_members, 2);
	ssi__membership__view__free_unpacked(v, NULL);
	fx_heard(d, &f);
	ssi_head_off(x->head, "n02", "powered off");
	fx_tell(x);
	v = fx_heard_view(c);
	assert_int_equal(v->since, 43);
	assert_int_equal(v->n_members, 0);
	assert_int_equal(v->n_gone, 1);
	assert_int_equal(v->gone[0], 2);
	ssi__membership__view__free_unpacked(v, NULL);
}

static void only_the_state_is_told_by_number(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01"), *d = fx_join(x, "n02");
	struct ssi_ccm_head f;
	Ssi__Membership__View *v;

	fx_tell(x);
	fx_heard(c, &f);
	for (int i = 0; i < 21; i++) {
		fx_pass(x, 100);
		fx_beat(c);
	}
	ssi_buf_consume(c->told, c->told->len);
	assert_int_equal(fx_state(x, "n02"), SSI_NODE_SUSPECT);
	fx_tell(x);
	v = fx_heard_view(c);
	assert_int_equal(v->n_members, 0);
	assert_int_equal(v->n_suspect, 1);
	assert_int_equal(v->suspect[0], 2);
	ssi__membership__view__free_unpacked(v, NULL);
	fx_beat(d);
	fx_tell(x);
	v = fx_heard_view(c);
	assert_int_equal(v->n_joined, 1);
	assert_int_equal(v->n_members + v->n_suspect + v->n_gone, 0);
	ssi__membership__view__free_unpacked(v, NULL);
}

static void coming_back_in_time_is_no_change(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	struct ssi_view own = { 0 };
	struct ssi_head_totals t, after;

	come(x, "n02", 7, &own, &c);
	fx_tell(x);
	follow(&own, c);
	assert_int_equal(own.n, 2);
	ssi_head_totals(x->head, "demo", &t);
	lost(x, c);
	assert_int_equal(come(x, "n02", 7, &own, &c), 1);      /* itself */
	ssi_head_totals(x->head, "demo", &after);
	assert_int_equal(after.view, t.view);
	assert_int_equal(own.n, 2);
	ssi_view_free(&own);
}

static void who_comes_back_is_told_what_it_missed(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c;
	struct ssi_view own = { 0 };

	fx_join(x, "n02");
	come(x, "n01", 7, &own, &c);
	fx_tell(x);
	follow(&own, c);
	lost(x, c);
	fx_join(x, "n03");
	fx_tell(x);
	ssi_head_off(x->head, "n02", "powered off");
	fx_tell(x);
	assert_int_equal(come(x, "n01", 7, &own, &c), 2);      /* n03 and itself; n02 is gone */
	assert_int_equal(own.n, 2);
	assert_int_equal(own.members[1].number, 3);
	assert_int_equal(own.digest, TAILQ_FIRST(&x->head->systems)->digest);
	/* And from here on as everyone. */
	ssi_head_off(x->head, "n03", "powered off");
	fx_tell(x);
	follow(&own, c);
	assert_int_equal(own.n, 1);
	assert_int_equal(own.digest, TAILQ_FIRST(&x->head->systems)->digest);
	ssi_view_free(&own);
}

static void who_holds_something_else_is_told_all(void **state)
{
	struct fixture *x = *state;
	struct ssi_view own = { .number = 41, .digest = 4711 };
	struct ssi_ccm_conn *c;

	fx_join(x, "n02");
	fx_join(x, "n03");
	fx_tell(x);
	assert_int_equal(come(x, "n01", 7, &own, &c), 3);
	assert_int_equal(own.n, 3);
	ssi_view_free(&own);
}

/* A master that was started again, and has its nodes from its store: those who held the view are told nothing but themselves. */
static void a_restarted_master_builds_on_what_is_known(void **state)
{
	struct fixture *x = *state;
	struct ssi_inventory inv = { .cpus = 2, .memory = GIB };
	struct ssi_view own = { 0 };
	struct ssi_ccm_conn *c;
	struct ssi_head_totals t;

	fx_join(x, "n02");
	fx_join(x, "n03");
	come(x, "n01", 7, &own, &c);
	fx_tell(x);
	follow(&own, c);
	teardown(state);
	setup(state);
	x = *state;
	for (int i = 1; i <= 3; i++) {
		char name[8];
		snprintf(name, sizeof(name), "n%02d", i);
		ssi_head_restore(x->head, name, SSI_NODE_JOINED, 7, 5, "", &inv);
	}
	assert_int_equal(come(x, "n01", 7, &own, &c), 1);
	assert_int_equal(own.n, 3);
	ssi_head_totals(x->head, "demo", &t);
	assert_int_equal(t.view, 41);
	/* Who does not come back is gone for those too. */
	for (int i = 0; i < 400; i++) {
		fx_pass(x, 100);
		fx_beat(c);
	}
	ssi_buf_consume(c->told, c->told->len);
	assert_int_equal(fx_state(x, "n02"), SSI_NODE_DETACHED);
	fx_tell(x);
	follow(&own, c);
	assert_int_equal(own.n, 1);
	ssi_view_free(&own);
}

static void a_removed_node_is_not_left_behind(void **state)
{
	struct fixture *x = *state;
	struct ssi_view own = { 0 };
	struct ssi_ccm_conn *c;

	fx_join(x, "n02");
	come(x, "n01", 7, &own, &c);
	fx_tell(x);
	follow(&own, c);
	lost(x, c);
	ssi_head_remove_node(x->head, "n02");
	come(x, "n01", 7, &own, &c);
	assert_int_equal(own.n, 1);
	ssi_view_free(&own);
}

static void heartbeats_are_answered_now_and_then(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01");
	int answers = 0;
	struct ssi_ccm_head f;

	for (int i = 0; i < 12; i++) {
		fx_pass(x, 500);
		fx_beat(c);
		for (; c->told->len; answers++) {
			fx_heard(c, &f);
			assert_int_equal(f.type, SSI_MEMBER_HEARTBEAT_REPLY);
		}
	}
	assert_int_equal(answers, 4);    /* 6 s, each detach_ms / 2 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(members_are_told_of_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_state_is_told_by_number, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_back_in_time_is_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(who_comes_back_is_told_what_it_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(who_holds_something_else_is_told_all, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restarted_master_builds_on_what_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_node_is_not_left_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(heartbeats_are_answered_now_and_then, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
