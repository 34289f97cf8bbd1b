/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's store: events and stages, whose number is bounded, and changes that are written together. */
#include "tests/unit/state-fixture.h"

static int count(const struct state_event *ev, void *userdata)
{
	unsigned *n = userdata;

	assert_string_equal(ev->kind, "bind");
	assert_true(ev->id > *n);
	++*n;
	return 0;
}

/* From the newest; three of them. */
static int count_back(const struct state_event *ev, void *userdata)
{
	unsigned *n = userdata;

	assert_int_equal(ev->id, --*n);
	return *n == 8;
}

static void count_of(const struct state_event *ev, void *userdata)
{
	unsigned *n = userdata;

	n[strcmp(ev->node, "n01") ? 1 : 0]++;
}

/* What it says is bounded; what happens to it, and what others say, is not. */
static void a_mad_node_fills_no_store(void **state)
{
	struct state *s = reopen(NULL);
	struct events *ev;
	unsigned n[2] = { 0 };

	assert_int_equal(events_new(s, &ev), 0);
	assert_int_equal(events_follow(ev, count_of, n), 0);
	for (unsigned i = 0; i < 1000; i++)
		events_add(ev, "node-event", "n01", M1, 1, "look at me");
	assert_int_equal(n[0], 100);
	events_add(ev, "node-event", "n02", M2, 1, "and at me");
	events_add(ev, "detach", "n01", "", 1, "nothing heard");
	assert_int_equal(n[0], 101);
	assert_int_equal(n[1], 1);
	/* Anyone may ask for a boot in a machine's name; that does not silence its node. */
	for (unsigned i = 0; i < 1000; i++)
		events_add(ev, "arm", "n02", M2, 1, "boot script given out");
	assert_int_equal(n[1], 101);
	events_add(ev, "boot-failed", "n02", M2, 1, "at root: no root");
	assert_int_equal(n[1], 102);
	events_free(ev);
	state_close(s);
}

static void count_ended(const struct state_stage *g, void *userdata)
{
	*(unsigned *)userdata += g->end_ms == 77;
}

static void count_stage(const struct state_stage *g, void *userdata)
{
	++*(unsigned *)userdata;
}

/* The names of stages are a node's own: so many of one boot are kept, and those that are known go on being told anew. */
static void a_mad_node_has_few_stages(void **state)
{
	struct state *s = reopen(NULL);
	struct state_stage g = { .tries = 1 };
	unsigned n = 0;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(g.name, sizeof(g.name), "stage-%u", i);
		assert_int_equal(state_stage_put(s, "n01", 1, &g, NULL), 0);
	}
	assert_int_equal(state_stage_each(s, "n01", 1, count_stage, &n, NULL), 0);
	assert_int_equal(n, STATE_STAGES);
	strcpy(g.name, "stage-0");
	g.end_ms = 77;
	assert_int_equal(state_stage_put(s, "n01", 1, &g, NULL), 0);
	assert_int_equal(state_stage_put(s, "n01", 2, &g, NULL), 0);
	assert_int_equal(state_stage_put(s, "n02", 1, &g, NULL), 0);
	s = reopen(s);
	n = 0;
	assert_int_equal(state_stage_each(s, "n01", 1, count_stage, &n, NULL), 0);
	assert_int_equal(n, STATE_STAGES);
	assert_int_equal(state_stage_each(s, "n01", 2, count_stage, &n, NULL), 0);
	assert_int_equal(state_stage_each(s, "n02", 1, count_stage, &n, NULL), 0);
	assert_int_equal(n, STATE_STAGES + 2);
	n = 0;
	assert_int_equal(state_stage_each(s, "n01", 1, count_ended, &n, NULL), 0);
	assert_int_equal(n, 1);
	state_close(s);
}

static void events_keep_their_order(void **state)
{
	struct state *s = reopen(NULL);
	unsigned n = 0;

	for (unsigned i = 0; i < 10; i++) {
		struct state_event ev = { .time = i, .kind = "bind", .node = "n01", .machine = M1, .text = "x" };

		assert_int_equal(state_event_add(s, &ev, NULL), 0);
		assert_int_equal(ev.id, i + 1);
	}
	s = reopen(s);
	assert_int_equal(state_event_each(s, 0, false, count, &n, NULL), 0);
	assert_int_equal(n, 10);
	n = 0;
	assert_int_equal(state_event_each(s, 4, false, count, &n, NULL), 0);
	assert_int_equal(n, 6);
	n = 11;
	assert_int_equal(state_event_each(s, 4, true, count_back, &n, NULL), 0);
	assert_int_equal(n, 8);
	state_close(s);
}

/* What is gathered is seen at once, and is there after a restart once it is settled; a part that is undone leaves the rest. */
static void gathered_changes_are_one(void **state)
{
	struct state *s = reopen(NULL);
	uint64_t v = 0;
	struct ssi_err e;

	state_gather(s);
	assert_int_equal(state_value_put(s, "first", 1, &e), 0);
	assert_int_equal(state_value_get(s, "first", &v, &e), 0);
	assert_int_equal(state_begin(s, false, &e), 0);
	assert_int_equal(state_value_put(s, "undone", 2, &e), 0);
	state_rollback(s);
	assert_int_equal(state_value_get(s, "undone", &v, &e), -ENOENT);
	/* Durable in the middle: what was before it is stored with the lesser promise, what follows with the greater. */
	assert_int_equal(state_begin(s, true, &e), 0);
	assert_int_equal(state_value_put(s, "durable", 3, &e), 0);
	assert_int_equal(state_begin(s, true, &e), 0);
	assert_int_equal(state_value_put(s, "within", 4, &e), 0);
	assert_int_equal(state_commit(s, &e), 0);
	assert_int_equal(state_commit(s, &e), 0);
	assert_int_equal(state_value_put(s, "last", 5, &e), 0);
	assert_int_equal(state_settle(s, &e), 0);
	assert_int_equal(state_settle(s, &e), 0);       /* nothing to settle */
	s = reopen(s);
	assert_int_equal(state_value_get(s, "first", &v, &e), 0);
	assert_int_equal(state_value_get(s, "durable", &v, &e), 0);
	assert_int_equal(state_value_get(s, "within", &v, &e), 0);
	assert_int_equal(state_value_get(s, "last", &v, &e), 0);
	assert_int_equal(v, 5);
	assert_int_equal(state_value_get(s, "undone", &v, &e), -ENOENT);
	state_close(s);
}

/* A process that is killed between gathering and settling has said nothing to anyone, and nothing of it happened. */
static void what_is_not_settled_did_not_happen(void **state)
{
	pid_t pid = fork();
	struct state *s;
	uint64_t v = 0;
	struct ssi_err e;
	int status;

	if (pid == 0) {
		s = reopen(NULL);
		state_gather(s);
		state_value_put(s, "settled", 1, NULL);
		state_settle(s, NULL);
		state_gather(s);
		state_value_put(s, "not settled", 1, NULL);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	s = reopen(NULL);
	assert_int_equal(state_value_get(s, "settled", &v, &e), 0);
	assert_int_equal(state_value_get(s, "not settled", &v, &e), -ENOENT);
	state_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mad_node_fills_no_store, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mad_node_has_few_stages, setup, teardown),
		cmocka_unit_test_setup_teardown(gathered_changes_are_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_settled_did_not_happen, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
