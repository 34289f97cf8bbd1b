/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a keeper keep its job: how it starts, what it writes, how it ends, and that nothing of it stays, wherever what it is attached to breaks? Only root
 * can try.
 */
#include <fcntl.h>
#include "keeper-fixture.h"

static void run(struct keeper_test *t, const char *command)
{
	struct keeper_spec s;

	keeper_open(t);
	keeper_spec(&s, command);
	keeper_start(t, &s);
	keeper_until(t, keeper_ended(t));
}

static const char *said(struct keeper_test *t, int stream)
{
	return t->out[stream].data ? t->out[stream].data : "";
}

static void test_exit(void **state)
{
	struct keeper_test t;

	run(&t, "echo out; echo err >&2; exit 3");
	assert_int_equal(t.started, 1);
	assert_string_equal(said(&t, 1), "out\n");
	assert_string_equal(said(&t, 2), "err\n");
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__EXITED);
	assert_int_equal(t.exit->status, 3);
	assert_in_range(t.exit->usage->max_rss, 100u << 10, 1u << 30);
	assert_true(keeper_has(&t, "exit"));
	keeper_over(&t);
	keeper_close(&t);
}

/* It is who it should be, where it should be, with the number it should have, and alone. */
static void test_who(void **state)
{
	struct keeper_test t;

	run(&t, "id -u; id -G; umask; echo $$ $PPID $MARK; env | wc -l; ls /proc | grep -c '^[0-9]'; cat; touch a && stat -c %U:%a . a; cat /proc/self/oom_score_adj; "
	    "ls /tmp/leak /dev/shm");
	assert_string_equal(t.exit->text, "");
	assert_ptr_equal(strstr(said(&t, 1), "65534\n65534\n0027\n1500000 0 here\n3\n"), said(&t, 1));
	assert_non_null(strstr(said(&t, 1), "nobody:700\nnobody:640\n0\n/dev/shm:\n"));
	keeper_over(&t);
	keeper_close(&t);
}

static void test_signals(void **state)
{
	static const struct { const char *command; int sig; Ssi__Job__Exit__Cause cause; } cases[] = {
		{ "kill -TERM $$", SIGTERM, SSI__JOB__EXIT__CAUSE__KILLED }, { "kill -KILL $$", SIGKILL, SSI__JOB__EXIT__CAUSE__KILLED },
		{ "ulimit -c 0; kill -SEGV $$", SIGSEGV, SSI__JOB__EXIT__CAUSE__CRASHED }, { "kill -ABRT $$", SIGABRT, SSI__JOB__EXIT__CAUSE__CRASHED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct keeper_test t;

		run(&t, cases[i].command);
		assert_int_equal(t.exit->signal, cases[i].sig);
		assert_int_equal(t.exit->cause, cases[i].cause);
		keeper_over(&t);
		keeper_close(&t);
	}
}

static void test_not_there(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "");
	s.argv[0] = (ProtobufCBinaryData){ 9, (uint8_t *)"/no/where" };
	keeper_start(&t, &s);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.started, 0);
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__NOT_STARTED);
	assert_int_equal(t.exit->error, ENOENT);
	assert_non_null(strstr(t.exit->text, "/no/where"));
	keeper_over(&t);
	keeper_close(&t);
}

static void say_data(struct keeper_test *t, uint32_t stream, uint64_t offset, const char *text, bool end)
{
	Ssi__Job__Data m = SSI__JOB__DATA__INIT;

	m.stream = stream;
	m.offset = offset;
	m.data = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
	m.end = end;
	keeper_say(t, SSI_JOB_DATA, &m.base);
}

static void say_signal(struct keeper_test *t, int number, bool group)
{
	Ssi__Job__Signal m = SSI__JOB__SIGNAL__INIT;

	m.number = (uint32_t)number;
	m.group = group;
	keeper_say(t, SSI_JOB_SIGNAL, &m.base);
}

static uint64_t was_read(const struct keeper_test *t)
{
	for (size_t i = 0; i < t->exit->n_ends; i++)
		if (!t->exit->ends[i]->stream)
			return t->exit->ends[i]->offset;
	return UINT64_MAX;
}

/* A stream may end before the program does. */
static void test_end(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "echo out; exec >&-; read x; exit 5");
	s.spec.input = true;
	keeper_start(&t, &s);
	keeper_until(&t, t.end[1]);
	assert_string_equal(said(&t, 1), "out\n");
	assert_false(t.end[2] || t.exit);
	say_data(&t, 0, 0, "x\n", true);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->status, 5);
	keeper_over(&t);
	keeper_close(&t);
}

/* Keepers are copies of one process, which may die: they do not. */
static void test_copies(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;
	pid_t server;

	keeper_open(&t);
	keeper_spec(&s, "read x; exit 6");
	s.spec.input = true;
	server = keeper_copy(&t);
	keeper_say(&t, SSI_JOB_SPEC, &s.spec.base);
	keeper_until(&t, t.started);
	assert_int_equal(kill(server, SIGKILL), 0);
	assert_int_equal(waitpid(server, NULL, 0), server);
	keeper_attach(&t);
	say_data(&t, 0, 0, "x\n", true);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->status, 6);
	keeper_say(&t, SSI_JOB_EXIT_ACK, NULL);
	while (keeper_hear(&t, KEEPER_WAIT_MS))
		;
	assert_false(keeper_has(&t, ""));
	keeper_close(&t);
}

/* Pieces that come twice are taken once, and one that comes too early not at all. */
static void test_input(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "cat");
	s.spec.input = true;
	keeper_start(&t, &s);
	say_data(&t, 0, 0, "one ", false);
	keeper_until(&t, t.at[1] == 4 && t.acked[0] == 4);
	say_data(&t, 0, 9, "never", true);
	say_data(&t, 0, 0, "one two ", false);
	keeper_until(&t, t.at[1] == 8);
	keeper_attach(&t);
	say_data(&t, 0, 4, "two three", true);
	keeper_until(&t, keeper_ended(&t));
	assert_string_equal(said(&t, 1), "one two three");
	assert_int_equal(t.acked[0], 13);
	assert_int_equal(was_read(&t), 13);
	keeper_over(&t);
	keeper_close(&t);
	/* What it leaves unread it has not read. */
	keeper_open(&t);
	keeper_spec(&s, "dd bs=1 count=3 2>/dev/null");
	s.spec.input = true;
	keeper_start(&t, &s);
	say_data(&t, 0, 0, "one two", true);
	keeper_until(&t, keeper_ended(&t));
	assert_string_equal(said(&t, 1), "one");
	assert_int_equal(was_read(&t), 3);
	keeper_over(&t);
	keeper_close(&t);
}

/* Both in one keep their order; nobody reads them any more: to write fails. Signals that it is to ignore, and not to get; and how nice it is to be. */
static void test_one_output(void **state)
{
	Ssi__Job__Ack gone = SSI__JOB__ACK__INIT;
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "kill -USR1 $$; kill -USR2 $$; kill -TSTP $$; [ $(nice) = 19 ] || exit 8; echo a; echo b >&2; echo c; "
			"read x; trap '' PIPE; echo d 2>/dev/null || exit 7");
	s.spec.input = s.spec.one_output = true;
	s.spec.leader = true;                /* of a session: nothing stops it but SIGSTOP */
	s.spec.nice = 19;
	s.spec.ignored = 1u << (SIGUSR1 - 1);
	s.spec.blocked = 1u << (SIGUSR2 - 1);
	keeper_start(&t, &s);
	keeper_until(&t, t.at[1] == 6);
	assert_string_equal(said(&t, 1), "a\nb\nc\n");
	gone.stream = 1;
	gone.offset = 6;
	gone.gone = true;
	keeper_say(&t, SSI_JOB_ACK, &gone.base);
	say_data(&t, 0, 0, "go\n", true);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->status, 7);
	keeper_over(&t);
	keeper_close(&t);
}

/* Whoever attaches to it has what it wrote before he hears that it is stopped. */
static void test_stopped(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	t.mute = true;
	keeper_spec(&s, "trap 'echo heard; exit 5' USR1; echo ready; while :; do sleep 0.05; done");
	keeper_start(&t, &s);
	keeper_until(&t, t.at[1] == 6);
	say_signal(&t, SIGSTOP, false);
	keeper_until(&t, t.what == SSI__JOB__STATE__WHAT__STOPPED);
	t.at[1] = t.out[1].len = 0;          /* it was lost on its way */
	t.mute = false;
	t.what = SSI__JOB__STATE__WHAT__NONE;
	keeper_attach(&t);
	keeper_until(&t, t.what == SSI__JOB__STATE__WHAT__STOPPED);
	assert_int_equal(t.what_at, 6);
	say_signal(&t, SIGCONT, false);
	keeper_until(&t, t.what == SSI__JOB__STATE__WHAT__RUNNING);
	say_signal(&t, SIGUSR1, false);
	keeper_until(&t, keeper_ended(&t));
	assert_string_equal(said(&t, 1), "ready\nheard\n");
	assert_int_equal(t.exit->status, 5);
	keeper_over(&t);
	keeper_close(&t);
}

static void test_terminal(void **state)
{
	Ssi__Job__Terminal tty = SSI__JOB__TERMINAL__INIT, other = SSI__JOB__TERMINAL__INIT;
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "tty -s && echo terminal; stty size; trap 'stty size; exit 4' WINCH; read x; echo got $x; while :; do sleep 0.05; done");
	tty.rows = 30;
	tty.columns = 90;
	s.spec.terminal = &tty;
	s.spec.input = true;
	keeper_start(&t, &s);
	keeper_until(&t, t.at[1] == strlen("terminal\r\n30 90\r\n"));
	say_data(&t, 0, 0, "word\r", false);
	keeper_until(&t, strstr(said(&t, 1), "got word\r\n"));
	other.rows = 40;
	other.columns = 100;
	keeper_say(&t, SSI_JOB_WINDOW, &other.base);
	keeper_until(&t, keeper_ended(&t));
	assert_non_null(strstr(said(&t, 1), "40 100\r\n"));
	assert_int_equal(t.exit->status, 4);
	keeper_over(&t);
	keeper_close(&t);
}

/* ^C in a terminal is for who is in front there, not for the shell behind it. */
static void test_terminal_front(void **state)
{
	Ssi__Job__Terminal tty = SSI__JOB__TERMINAL__INIT;
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "set -m; sh -c 'trap \"exit 7\" INT; echo in front; while :; do sleep 0.05; done'; echo status $?; exit 6");
	s.spec.terminal = &tty;
	keeper_start(&t, &s);
	keeper_until(&t, strstr(said(&t, 1), "in front"));
	say_signal(&t, SIGINT, true);
	keeper_until(&t, keeper_ended(&t));
	assert_non_null(strstr(said(&t, 1), "status 7"));
	assert_int_equal(t.exit->status, 6);
	keeper_over(&t);
	keeper_close(&t);
}

#define MUCH 10000000
/* 10 MB of numbers; the connection breaks every few hundred KB, and what was under way is lost. */
static void test_breaks(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;
	char line[32];
	uint64_t next = 300000;
	size_t at = 0;
	unsigned breaks = 0;

	keeper_open(&t);
	keeper_spec(&s, "seq 1000000 2250000");
	keeper_start(&t, &s);
	while (!keeper_ended(&t)) {
		assert_true(keeper_hear(&t, KEEPER_WAIT_MS));
		if (t.at[1] > next && !t.exit) {
			keeper_attach(&t);
			breaks++;
			next = t.at[1] + 300000;
		}
	}
	assert_true(breaks > 15);
	for (unsigned i = 1000000; i <= 2250000; i++) {
		int n = snprintf(line, sizeof(line), "%u\n", i);

		assert_memory_equal(t.out[1].data + at, line, (size_t)n);
		at += (size_t)n;
	}
	assert_int_equal(at, t.at[1]);
	assert_true(at >= MUCH);
	keeper_over(&t);
	keeper_close(&t);
}

/* Nobody is there for a while: it writes until the window is full, waits, and goes on. The record waits too, and is repeated. */
static void test_alone(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "head -c 3000000 /dev/zero; echo done >&2; exit 9");
	t.mute = true;
	keeper_start(&t, &s);
	keeper_until(&t, t.at[1] == SSI_JOB_WINDOW_BYTES);
	keeper_hear(&t, 50);
	assert_int_equal(t.at[1], SSI_JOB_WINDOW_BYTES);
	t.mute = false;
	keeper_attach(&t);
	keeper_until(&t, keeper_ended(&t));
	for (unsigned i = 2; i < 5; i++) {
		keeper_attach(&t);
		keeper_until(&t, t.exits == i);
	}
	assert_int_equal(t.at[1], 3000000);
	assert_string_equal(said(&t, 2), "done\n");
	assert_int_equal(t.exit->status, 9);
	keeper_over(&t);
	keeper_close(&t);
}

/* What it leaves running goes with it, and does not hold it up. */
static void test_left_behind(void **state)
{
	struct keeper_test t;

	run(&t, "sleep 1000 & setsid sleep 1000 & (trap '' TERM HUP; sleep 1000) & echo started");
	assert_string_equal(said(&t, 1), "started\n");
	keeper_over(&t);
	keeper_close(&t);
}

/* The record is where we wait for it before it is written: it is not kept longer than the lease, which may be over before we have looked. */
static void test_lease(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;
	char path[128];
	uint8_t record[4096];
	ssize_t n;
	int fd;

	keeper_open(&t);
	keeper_spec(&s, "sleep 1000");
	s.spec.lease_ms = 300;
	keeper_start(&t, &s);
	keeper_until(&t, t.started);
	snprintf(path, sizeof(path), "%s/jobs/7/exit.new", t.dir);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	ssi_jobhop_close(&t.hop);
	keeper_comes(waitpid(t.keeper, NULL, WNOHANG) == t.keeper);
	t.keeper = 0;
	assert_false(keeper_has(&t, ""));
	n = read(fd, record, sizeof(record));
	close(fd);
	assert_true(n > 0);
	t.exit = ssi__job__exit__unpack(NULL, (size_t)n, record);
	assert_non_null(t.exit);
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__LEASE);
	assert_int_equal(t.exit->signal, SIGKILL);
	keeper_close(&t);
}

static void test_time(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "trap '' TERM; while :; do sleep 1; done");
	s.spec.time_ms = 200;
	keeper_start(&t, &s);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__TIME);
	keeper_over(&t);
	keeper_close(&t);
}

/* Nobody ever said SPEC. */
static void test_spare(void **state)
{
	struct keeper_test t;
	int status;

	keeper_open(&t);
	keeper_spawn(&t);
	ssi_jobhop_close(&t.hop);
	assert_int_equal(waitpid(t.keeper, &status, 0), t.keeper);
	assert_int_equal(status, 0);
	t.keeper = 0;
	keeper_close(&t);
}

/* The folder was removed before the keeper was there: nothing is started. */
static void test_unwanted(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;
	char path[128];
	int status;

	keeper_open(&t);
	snprintf(path, sizeof(path), "%s/jobs/7", t.dir);
	assert_int_equal(rmdir(path), 0);
	keeper_spec(&s, "echo never");
	keeper_start(&t, &s);
	assert_int_equal(waitpid(t.keeper, &status, 0), t.keeper);
	t.keeper = 0;
	keeper_close(&t);
}

/* The keeper is killed: so is its job. */
static void test_killed(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "setsid sleep 1000 & echo ready; exec sleep 1000");
	keeper_start(&t, &s);
	keeper_until(&t, t.at[1] == 6);
	kill(t.keeper, SIGKILL);
	waitpid(t.keeper, NULL, 0);
	t.keeper = 0;
	keeper_comes(kill((pid_t)t.pid, 0) < 0);
	keeper_comes(!t.cgroup[0] || rmdir(t.cgroup) == 0);      /* the next agent does, once the last of them is gone */
	t.cgroup[0] = '\0';
	keeper_close(&t);
}

/* Where the node can bound memory and processes, it does. */
static void test_bounds(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;
	char path[300], line[32];

	keeper_open(&t);
	keeper_spec(&s, "echo ready; read go; ulimit -v 2000000; exec tail /dev/zero");
	s.spec.input = true;
	s.spec.memory = 32 << 20;
	keeper_start(&t, &s);
	keeper_until(&t, t.at[1] == 6);
	snprintf(path, sizeof(path), "%s/memory.max", t.cgroup);
	if (!t.cgroup[0] || access(path, F_OK) < 0) {
		say_signal(&t, SIGKILL, false);
		keeper_until(&t, keeper_ended(&t));
		keeper_over(&t);
		keeper_close(&t);
		skip();
	}
	snprintf(path, sizeof(path), "%s/pids.max", t.cgroup);
	assert_true(ssi_file_read_line(path, line, sizeof(line)) < 0 || atoi(line) > 0);
	say_data(&t, 0, 0, "go\n", false);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__MEMORY);
	assert_int_equal(t.exit->signal, SIGKILL);
	keeper_over(&t);
	keeper_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit), cmocka_unit_test(test_end), cmocka_unit_test(test_copies), cmocka_unit_test(test_who),
		cmocka_unit_test(test_signals), cmocka_unit_test(test_not_there), cmocka_unit_test(test_input), cmocka_unit_test(test_one_output),
		cmocka_unit_test(test_stopped), cmocka_unit_test(test_terminal), cmocka_unit_test(test_terminal_front),
		cmocka_unit_test(test_breaks), cmocka_unit_test(test_alone), cmocka_unit_test(test_left_behind), cmocka_unit_test(test_lease),
		cmocka_unit_test(test_time), cmocka_unit_test(test_spare), cmocka_unit_test(test_unwanted), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_bounds),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, keeper_clean);
}
