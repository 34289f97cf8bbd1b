/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The membership engine with a clock of our own and connections that go nowhere: what it is told goes in as frames, as from the wire,
 * and what it says is read from the connections' queues.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/comm/ccm-internal.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"

#define GIB (1ull << 30)

struct fixture {
	sd_event *event;
	struct ssi_ccm *ccm;
	struct ssi_head *head;
	uint64_t now;
	int changes, refusals, closed;
	struct { char name[64]; enum ssi_nodestate before, after; enum ssi_nodeevent ev; bool rejoin; size_t stages; char reason[128]; } last;
	char refusal[256];
};

static uint64_t fx_clock(void *userdata)
{
	return ((struct fixture *)userdata)->now;
}

static void fx_changed(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join, void *userdata)
{
	struct fixture *x = userdata;

	x->changes++;
	snprintf(x->last.name, sizeof(x->last.name), "%s", n->name);
	snprintf(x->last.reason, sizeof(x->last.reason), "%s", n->reason);
	x->last.before = before;
	x->last.after = n->state;
	x->last.ev = ev;
	x->last.rejoin = join && join->rejoin;
	x->last.stages = join ? join->n_stages : 0;
}

static void fx_refused(struct ssi_ccm_conn *c, const char *text, void *userdata)
{
	struct fixture *x = userdata;

	x->refusals++;
	snprintf(x->refusal, sizeof(x->refusal), "%s", text);
}

static void fx_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->closed++;
	ssi_head_closed(x->head, c);
}

static const struct ssi_head_ops head_ops = { .mono = fx_clock, .wall = fx_clock, .changed = fx_changed, .refused = fx_refused };
static const struct ssi_ccm_ops ccm_ops = { .closed = fx_closed };

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct in_addr a = { 0 };
	char name[8];

	assert_non_null(x);
	x->now = 1000000;
	assert_int_equal(sd_event_new(&x->event), 0);
	assert_int_equal(ssi_ccm_new(x->event, &ccm_ops, x, &x->ccm), 0);
	assert_int_equal(ssi_head_new(x->event, x->ccm, &head_ops, x, &x->head), 0);
	assert_int_equal(ssi_head_set_system(x->head, "demo", 500, 3000, 41), 0);
	assert_int_equal(ssi_head_set_node(x->head, "n01", "nowhere", 1, a, NULL), -ENOENT);
	for (uint32_t i = 1; i <= 3; i++) {
		snprintf(name, sizeof(name), "n%02u", i);
		assert_int_equal(ssi_head_set_node(x->head, name, "demo", i, a, NULL), 0);
		assert_int_equal(ssi_head_boot(x->head, name, 7), 0);
	}
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_head_free(x->head);
	ssi_ccm_free(x->ccm);
	sd_event_unref(x->event);
	free(x);
	return 0;
}

static struct ssi_ccm_conn *fx_conn(struct fixture *x, const char *name, uint64_t incarnation)
{
	struct ssi_ccm_conn *c;

	assert_int_equal(conn_new(x->ccm, -1, false, (struct in_addr){ 0 }, &c), 0);
	c->id = (struct ssi_identity){ .kind = SSI_IDENTITY_NODE, .incarnation = incarnation };
	snprintf(c->id.who, sizeof(c->id.who), "%s", name);
	return c;
}

static int fx_say(struct ssi_ccm_conn *c, uint16_t type, const ProtobufCMessage *m)
{
	struct ssi_frame f = { .module = SSI_MOD_MEMBERSHIP, .type = type, .incarnation = c->id.incarnation };
	uint8_t buf[4096];
	struct ssi_err e;

	f.size = (uint32_t)protobuf_c_message_pack(m, buf + SSI_WIRE_HEADER);
	ssi_wire_encode(&f, buf);
	return conn_input(c, buf, SSI_WIRE_HEADER + f.size, &e);
}

static int fx_say_join(struct ssi_ccm_conn *c, const char *name, uint64_t incarnation, bool rejoin)
{
	Ssi__Membership__Inventory inv = SSI__MEMBERSHIP__INVENTORY__INIT;
	Ssi__Membership__Join m = SSI__MEMBERSHIP__JOIN__INIT;
	Ssi__Boot__Stage stage = SSI__BOOT__STAGE__INIT, *stages[] = { &stage };

	inv.cpus = 2;
	inv.memory = GIB;
	stage.name = (char *)"root";
	m.stages = stages;
	m.n_stages = 1;
	m.node = (char *)name;
	m.incarnation = incarnation;
	m.inventory = &inv;
	m.rejoin = rejoin;
	return fx_say(c, SSI_MEMBER_JOIN, &m.base);
}

static int fx_beat(struct ssi_ccm_conn *c)
{
	Ssi__Membership__Heartbeat m = SSI__MEMBERSHIP__HEARTBEAT__INIT;

	m.load = 0.5;
	return fx_say(c, SSI_MEMBER_HEARTBEAT, &m.base);
}

/* The next frame in c's queue, taken out of it; its body is valid until the next call. */
static const uint8_t *fx_heard(struct ssi_ccm_conn *c, struct ssi_frame *ret)
{
	const uint8_t *body;

	assert_true(c->out.len - c->out_at >= SSI_WIRE_HEADER);
	assert_int_equal(ssi_wire_decode((uint8_t *)c->out.data + c->out_at, ret, NULL), 0);
	body = (uint8_t *)c->out.data + c->out_at + SSI_WIRE_HEADER;
	c->out_at += SSI_WIRE_HEADER + ret->size;
	return body;
}

static Ssi__Membership__JoinReply *fx_heard_reply(struct ssi_ccm_conn *c)
{
	struct ssi_frame f;
	const uint8_t *body = fx_heard(c, &f);
	Ssi__Membership__JoinReply *m;

	assert_int_equal(f.type, SSI_MEMBER_JOIN_REPLY);
	m = ssi__membership__join_reply__unpack(NULL, f.size, body);
	assert_non_null(m);
	return m;
}

static struct ssi_ccm_conn *fx_join(struct fixture *x, const char *name)
{
	struct ssi_ccm_conn *c = fx_conn(x, name, 7);
	Ssi__Membership__JoinReply *m;

	assert_int_equal(fx_say_join(c, name, 7, false), 0);
	m = fx_heard_reply(c);
	assert_true(m->accepted);
	ssi__membership__join_reply__free_unpacked(m, NULL);
	return c;
}

static enum ssi_nodestate fx_state(struct fixture *x, const char *name)
{
	return ssi_head_node(x->head, name)->state;
}

/* Time goes by in steps as the timer would see them. */
static void fx_pass(struct fixture *x, uint64_t ms)
{
	for (uint64_t end = x->now + ms; x->now < end;) {
		x->now += end - x->now < 100 ? end - x->now : 100;
		head_tick(x->head);
	}
}

/* Until closed() of everything that was closed has come. */
static void fx_settle(struct fixture *x)
{
	while (sd_event_run(x->event, 0) > 0)
		;
}

static void joins_and_counts(void **state)
{
	struct fixture *x = *state;
	struct ssi_head_totals t;
	struct ssi_ccm_conn *c;
	Ssi__Membership__JoinReply *m;

	fx_join(x, "n01");
	c = fx_conn(x, "n02", 7);
	assert_int_equal(fx_say_join(c, "n02", 7, false), 0);
	m = fx_heard_reply(c);
	assert_int_equal(m->heartbeat_ms, 500);
	assert_int_equal(m->detach_ms, 3000);
	assert_int_equal(m->node_number, 2);
	assert_int_equal(m->view->n_members, 2);
	assert_int_equal(m->view->number, 43);
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
	struct ssi_frame f;

	for (int i = 0; i < 14; i++) {
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
	assert_string_equal(x->last.reason, "nothing heard for 3.0 s");
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

	fx_pass(x, 1600);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_SUSPECT);
	assert_int_equal(fx_beat(c), 0);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	assert_int_equal(x->last.ev, SSI_EVENT_HEARTBEAT);
	fx_pass(x, 1400);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
}

static void detached_is_refused(void **state)
{
	struct fixture *x = *state;
	Ssi__Membership__JoinReply *m;
	struct ssi_ccm_conn *c;

	fx_join(x, "n01");
	fx_pass(x, 3200);
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

	conn_fail(c, &e);
	fx_settle(x);
	assert_null(ssi_head_conn(x->head, "n01"));
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_JOINED);
	assert_int_equal(ssi_head_order(x->head, "n01", SSI_HEAD_REBOOT, "x"), -ENOTCONN);
	fx_pass(x, 3200);
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
	fx_pass(x, 1600);
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
	fx_pass(x, 2000);
	assert_int_equal(fx_state(x, "n01"), SSI_NODE_DETACHED);
}

static void members_are_told_of_changes(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *c = fx_join(x, "n01"), *d = fx_join(x, "n02");
	struct head_system *s = TAILQ_FIRST(&x->head->systems);
	Ssi__Membership__View *v;
	struct ssi_frame f;
	const uint8_t *body;

	head_view_tell(x->head, s);
	body = fx_heard(c, &f);
	assert_int_equal(f.type, SSI_MEMBER_VIEW);
	v = ssi__membership__view__unpack(NULL, f.size, body);
	assert_int_equal(v->since, 41);
	assert_int_equal(v->number, 43);
	assert_int_equal(v->n_members, 2);
	ssi__membership__view__free_unpacked(v, NULL);
	fx_heard(d, &f);
	ssi_head_off(x->head, "n02", "powered off");
	head_view_tell(x->head, s);
	body = fx_heard(c, &f);
	v = ssi__membership__view__unpack(NULL, f.size, body);
	assert_int_equal(v->since, 43);
	assert_int_equal(v->n_members, 1);
	assert_string_equal(v->members[0]->name, "n02");
	assert_string_equal(v->members[0]->state, "off");
	ssi__membership__view__free_unpacked(v, NULL);
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
		cmocka_unit_test_setup_teardown(detached_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_and_early_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(speaks_for_itself_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(reconnects_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_connection_is_not_yet_a_detach, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(restored_have_grace, setup, teardown),
		cmocka_unit_test_setup_teardown(come_back_is_judged_as_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(own_absence_is_nobodys_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(members_are_told_of_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_time_no_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(removal_leaves_nothing, setup, teardown),
		cmocka_unit_test(deadlines_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
