/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands on a node, both sides of it: real children run, queues are full, connections break, the master goes. */
#include "tests/unit/session-fixture.h"

#define NOBODY (UINT64_MAX - 1)      /* a call that neither end has */

static void re_output(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata)
{
	struct fixture *x = userdata;

	ssi_buf_add(fd == 2 ? &x->err : &x->out, p, n);
	if (!x->slow)
		ssi_rexec_consumed(call, n);
}

static void re_exited(struct ssi_rexec_call *call, const struct ssi_rexec_exit *e, void *userdata)
{
	struct fixture *x = userdata;

	x->exit = *e;
	x->exits++;
}

static const struct ssi_rexec_ops re_ops = { .output = re_output, .exited = re_exited };

static struct ssi_rexec_call *re_more(struct fixture *x, const char *script)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL }, *env[] = { "GREETING=hello", NULL };
	struct ssi_rexec_call *call = NULL;

	assert_int_equal(ssi_rexec_start(x->rexec, ssi_head_conn(x->head, "n01"), (char **)argv, (char **)env, "/tmp", 0, &re_ops, x, &call, NULL), 0);
	return call;
}

static struct ssi_rexec_call *re_start(struct fixture *x, const char *script)
{
	fx_join(x);
	return re_more(x, script);
}

static void command_runs(void **state)
{
	struct fixture *x = *state;

	re_start(x, "echo $GREETING from $PWD; echo oh >&2; exit 3");
	fx_until(x, &x->exits, 1);
	assert_string_equal(x->out.data, "hello from /tmp\n");
	assert_string_equal(x->err.data, "oh\n");
	assert_int_equal(x->exit.status, 3);
	assert_string_equal(x->exit.error, "");
}

static void missing_command_says_so(void **state)
{
	struct fixture *x = *state;
	const char *argv[] = { "/no/such/program", NULL };
	struct ssi_rexec_call *call;

	fx_join(x);
	assert_int_equal(ssi_rexec_start(x->rexec, ssi_head_conn(x->head, "n01"), (char **)argv, NULL, NULL, 0, &re_ops, x, &call, NULL), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 127);
	assert_non_null(strstr(x->exit.error, "/no/such/program"));
}

static void input_reaches_the_command(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "tr a-z A-Z");

	static const char much[(64 << 10) + 1];

	assert_int_equal(ssi_rexec_input(call, much, sizeof(much)), -EMSGSIZE);   /* waiting would not help */
	assert_int_equal(ssi_rexec_input(call, "shout", 5), 0);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	fx_until(x, &x->exits, 1);
	assert_string_equal(x->out.data, "SHOUT");
}

static void much_output_comes_whole(void **state)
{
	struct fixture *x = *state;

	re_start(x, "head -c 3000000 /dev/zero");
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->out.len, 3000000);
	assert_int_equal(x->joined, 1);
}

/* Its connection is cut ten times meanwhile, on either side: not a line is missing, twice, or in another's place. */
static void output_survives_cuts(void **state)
{
	enum { LINES = 200000, DIGITS = 7, CUTS = 10 };
	struct fixture *x = *state;
	char line[DIGITS + 2];
	int cuts = 0;

	re_start(x, "seq -w 1 1200000 | head -n 200000");
	while (!x->exits) {
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
		if (x->out.len > (size_t)(cuts + 1) * LINES * (DIGITS + 1) / (CUTS + 1))
			fx_cut(cuts++ % 2 ? x->master : x->node, 1);
	}
	assert_int_equal(cuts, CUTS);
	assert_int_equal(x->out.len, LINES * (DIGITS + 1));
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%0*d\n", DIGITS, i + 1);
		assert_memory_equal(x->out.data + i * (DIGITS + 1), line, DIGITS + 1);
	}
	assert_int_equal(x->exit.status, 0);
	assert_int_equal(x->joined, 1);
	assert_int_equal(x->lost, 0);
}

static void re_until_heartbeat(struct fixture *x)
{
	uint64_t before = ssi_head_node(x->head, "n01")->uptime_ms;

	while (ssi_head_node(x->head, "n01")->uptime_ms == before)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
}

static void slow_reader_holds_it_up(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call;

	x->slow = 1;
	call = re_start(x, "head -c 1000000 /dev/zero");
	while (x->out.len < SSI_REXEC_WINDOW)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	for (int i = 0; i < 5; i++)      /* heartbeats go on, output does not */
		re_until_heartbeat(x);
	assert_int_equal(x->out.len, SSI_REXEC_WINDOW);
	assert_int_equal(x->exits, 0);
	x->slow = 0;
	ssi_rexec_consumed(call, SSI_REXEC_WINDOW);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->out.len, 1000000);
}

/* It goes on writing, and there is never room for all of it: what a command left behind does not hold up its end. */
static void what_it_leaves_behind_is_not_waited_for(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call;

	x->slow = 1;
	call = re_start(x, "yes & read line; exit 3");
	while (x->out.len < SSI_REXEC_WINDOW)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	while (!x->exits && x->out.len < 2 * SSI_REXEC_WINDOW) {
		ssi_rexec_consumed(call, 16384);
		re_until_heartbeat(x);   /* so that the pipe is full again */
	}
	assert_int_equal(x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

/* Nothing more goes into its queue, not a byte: a frame of a call that neither end has. */
static void re_fill(struct ssi_ccm_conn *c, uint16_t type)
{
	static const uint8_t junk[32768];

	for (size_t n = sizeof(junk); n; n /= 2)
		while (ssi_ccm_send(c, SSI_MOD_REXEC, type, NOBODY, junk, n) == 0)
			;
	while (ssi_ccm_send(c, SSI_MOD_REXEC, type, NOBODY, NULL, 0) == 0)
		;
}

/* The queue to the master is full when a command ends. */
static void the_end_finds_its_way(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "echo $$; read line; exit 3");
	struct ssi_ccm_conn *c = ssi_member_conn(x->member);
	pid_t pid;

	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	pid = atoi(x->out.data);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	while (kill(pid, 0) == 0) {
		re_fill(c, SSI_REXEC_OUTPUT);
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	}
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

/* The queue to the node is full when there is room again, and when nobody wants a command any more. */
static void leave_and_kill_find_their_way(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call;
	pid_t pid;

	x->slow = 1;
	call = re_start(x, "head -c 300000 /dev/zero");
	fx_until(x, &x->views, 2);       /* that it has joined is told; who does not take that, for a full queue, is out */
	while (x->out.len < SSI_REXEC_WINDOW)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	re_fill(ssi_head_conn(x->head, "n01"), SSI_REXEC_INPUT);
	x->slow = 0;
	ssi_rexec_consumed(call, SSI_REXEC_WINDOW);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->out.len, 300000);
	ssi_buf_free(&x->out);
	call = re_more(x, "echo $$; exec sleep 1000");
	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	pid = atoi(x->out.data);
	re_fill(ssi_head_conn(x->head, "n01"), SSI_REXEC_INPUT);
	ssi_rexec_cancel(call);
	for (int i = 0; kill(pid, 0) == 0 && i < 1000; i++)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) >= 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(x->exits, 1);
	assert_int_equal(x->joined, 1);
}

/* What a command takes of its input while the queue to the master is full. */
static void leave_for_input_finds_its_way(void **state)
{
	static const char text[65536];
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "cat >/dev/null; exit 3");
	int sent = 0;

	while (sent < 8) {               /* twice the window */
		re_fill(ssi_member_conn(x->member), SSI_REXEC_OUTPUT);
		sent += ssi_rexec_input(call, text, sizeof(text)) == 0;
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	}
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

/* That there is no more of it, while the queue to the node is full. */
static void the_end_of_input_finds_its_way(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "cat >/dev/null; exit 4");

	re_fill(ssi_head_conn(x->head, "n01"), SSI_REXEC_INPUT);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 4);
}

/* More calls than a node runs at once, each of which had written more than there was room for: one was running then, one had ended. */
static void what_is_cancelled_leaves_nothing(void **state)
{
	static const char *const scripts[] = { "head -c 1000000 /dev/zero", "head -c 300000 /dev/zero" };
	struct fixture *x = *state;

	fx_join(x);
	x->slow = 1;
	for (int i = 0; i < 70; i++) {
		struct ssi_rexec_call *call = re_more(x, scripts[i % 2]);

		while (x->out.len < SSI_REXEC_WINDOW && !x->exits)
			assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
		assert_string_equal(x->exit.error, "");
		ssi_rexec_cancel(call);
		ssi_buf_free(&x->out);
	}
	re_more(x, "exit 3");
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

static void is_killed_by_hand(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "echo up; sleep 1000");

	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(ssi_rexec_kill(call, SIGTERM), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.signal, SIGTERM);
	assert_int_equal(x->exit.status, 128 + SIGTERM);
}

static void re_master_goes(struct fixture *x, void (*how)(struct fixture *x))
{
	pid_t pid;

	re_start(x, "echo $$; sleep 1000");
	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	pid = atoi(x->out.data);
	assert_int_equal(kill(pid, 0), 0);
	how(x);
	for (int i = 0; kill(pid, 0) == 0 && i < 1000; i++)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) >= 0);
	assert_int_equal(kill(pid, 0), -1);
	ma_start(x);
}

static void is_killed_when_the_master_goes(void **state)
{
	re_master_goes(*state, ma_stop);
}

/* Which the node does not know at once: its session would go on with the same master. */
static void is_killed_when_the_master_crashes(void **state)
{
	re_master_goes(*state, ma_crash);
}

static void lost_node_ends_its_calls(void **state)
{
	struct fixture *x = *state;

	re_start(x, "sleep 1000");
	ssi_head_off(x->head, "n01", "powered off by hand");
	fx_until(x, &x->exits, 1);
	assert_string_equal(x->exit.error, "powered off by hand");
	assert_int_equal(x->exit.status, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(command_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_command_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(input_reaches_the_command, setup, teardown),
		cmocka_unit_test_setup_teardown(much_output_comes_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(output_survives_cuts, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_reader_holds_it_up, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_leaves_behind_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_finds_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(leave_and_kill_find_their_way, setup, teardown),
		cmocka_unit_test_setup_teardown(leave_for_input_finds_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_of_input_finds_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_cancelled_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(is_killed_by_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(is_killed_when_the_master_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(is_killed_when_the_master_crashes, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_node_ends_its_calls, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
