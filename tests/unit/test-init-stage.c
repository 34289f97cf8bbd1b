/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-init/stage, timeline and failure: the engine with made-up stages, and what is said when one of them fails. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "ssi-init/boot.h"
#include "ssi-init/failure.h"
#include "ssi-init/outcome.h"
#include "ssi-init/timeline.h"

/* Shared with the stages' children: how often each ran, and in what order they ended. */
static struct shared { int calls[8]; int order[16]; int n; } *shared;

static int ran(int i, int r)
{
	shared->calls[i]++;
	shared->order[shared->n++] = i;
	return r;
}

static int good0(void *ctx, struct ssi_err *e)
{
	return ran(0, 0);
}

static int good1(void *ctx, struct ssi_err *e)
{
	return ran(1, 0);
}

static int third_time(void *ctx, struct ssi_err *e)
{
	return ran(2, shared->calls[2] < 2 ? ssi_errf(e, -EAGAIN, "not yet") : 0);
}

static int not_yet(void *ctx, struct ssi_err *e)
{
	return ran(2, ssi_errf(e, -EAGAIN, "not yet"));
}

static int slow(void *ctx, struct ssi_err *e)
{
	const struct timespec ts = { .tv_sec = 1 };

	nanosleep(&ts, NULL);
	return ran(7, 0);
}

static int bad(void *ctx, struct ssi_err *e)
{
	return ran(3, ssi_errf(e, -EIO, "the disk is on fire"));
}

static int silent(void *ctx, struct ssi_err *e)
{
	ran(4, 0);
	outcome_note("asking the oracle");
	for (;;)
		pause();
	return 0;
}

static int refused(void *ctx, struct ssi_err *e)
{
	return ran(5, ssi_errf(e, -EKEYREVOKED, "used before"));
}

static int small(void *ctx, struct ssi_err *e)
{
	return ran(7, ssi_errf(e, -EFBIG, "too small a machine"));
}

static int crash(void *ctx, struct ssi_err *e)
{
	ran(6, 0);
	kill(getpid(), SIGKILL);
	return 0;
}

static bool never(const void *ctx)
{
	return false;
}

static int setup(void **state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ssi_log_open("test", LOG_EMERG);
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 0, sizeof(*shared));
	return shared == MAP_FAILED;
}

/* finish, settle: masks (stage.h). */
static int run_on(const struct stage *table, size_t n, unsigned finish, unsigned settle, struct stages *s, const struct stage_run **failed)
{
	int r;

	assert_int_equal(stages_init(s, table, n, NULL, NULL), 0);
	s->finish = finish;
	s->settle = settle;
	r = stages_run(s, failed);
	stages_close(s);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return r;
}

static int run(const struct stage *table, size_t n, struct stages *s, const struct stage_run **failed)
{
	return run_on(table, n, 0, 0, s, failed);
}

static void in_the_order_of_their_needs(void **state)
{
	static const struct stage table[] = {
		{ "late", 1u << 1 | 1u << 2, NULL, good0, false, 5000, 1, 0, NULL },
		{ "inside", 0, NULL, good1, true, 0, 1, 0, NULL },
		{ "unwanted", 0, never, bad, false, 5000, 1, 0, NULL },
	};
	const struct stage_run *failed = NULL;
	struct stages s;
	char text[256];

	assert_int_equal(run(table, 3, &s, &failed), 0);
	assert_null(failed);
	assert_int_equal(shared->n, 2);
	assert_int_equal(shared->order[0], 1);
	assert_int_equal(shared->order[1], 0);
	assert_int_equal(s.runs[2].state, STAGE_SKIPPED);
	assert_true(timeline_format(&s, NULL, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "late "));
	assert_null(strstr(text, "unwanted"));
}

static void tried_again(void **state)
{
	static const struct stage table[] = { { "third", 0, NULL, third_time, false, 5000, 5, 20, NULL } };
	const struct stage_run *failed = NULL;
	uint64_t begin = ssi_clock_mono_ms();
	struct stages s;

	assert_int_equal(run(table, 1, &s, &failed), 0);
	assert_int_equal(s.runs[0].tries, 3);
	assert_true(ssi_clock_mono_ms() - begin >= 20 + 40);
}

static void failed_for_good(void **state)
{
	static const struct stage table[] = {
		{ "bad", 0, NULL, bad, false, 5000, 2, 10, "look at @, and mend it" },
		{ "after", 1, NULL, good0, false, 5000, 1, 0, NULL },
		{ "beside", 0, NULL, silent, false, 60000, 1, 0, NULL },
	};
	struct boot b = { .args_known = true };
	const struct stage_run *failed = NULL;
	char what[600], next[600], text[256];
	struct stages s;

	assert_int_equal(run(table, 3, &s, &failed), -EIO);
	assert_ptr_equal(failed, &s.runs[0]);
	assert_int_equal(shared->calls[3], 2);
	assert_int_equal(shared->calls[0], 0);
	inet_pton(AF_INET, "10.77.0.1", &b.args.master);
	failure_format(&b, failed, what, next, sizeof(what));
	assert_memory_equal(what, "the disk is on fire (2 tries in ", 32);
	assert_string_equal(next, "look at 10.77.0.1, and mend it");
	timeline_format(&s, NULL, text, sizeof(text));
	assert_memory_equal(text, "bad ", 4);
}

static void the_report_s_needs_go_on(void **state)
{
	static const struct stage table[] = {
		{ "bad", 0, NULL, bad, false, 5000, 1, 10, NULL },
		{ "drivers", 0, NULL, third_time, false, 5000, 5, 20, NULL },
		{ "network", 1u << 1, NULL, good1, false, 5000, 1, 0, NULL },
		{ "beside", 1u << 1, NULL, good0, false, 5000, 1, 0, NULL },
	};
	const struct stage_run *failed = NULL;
	struct stages s;

	assert_int_equal(run_on(table, 4, 1u << 1 | 1u << 2, 0, &s, &failed), -EIO);
	assert_string_equal(failed->stage->name, "bad");
	assert_int_equal(s.runs[2].state, STAGE_DONE);
	assert_int_equal(s.runs[3].state, STAGE_WAITING);
}

/* One that was to be tried again when another failed is not, and nobody is kept busy by that. */
static void waiting_for_the_report_s_needs_is_idle(void **state)
{
	static const struct stage table[] = {
		{ "bad", 0, NULL, bad, false, 5000, 1, 10, NULL },
		{ "resting", 0, NULL, not_yet, false, 5000, 5, 100, NULL },
		{ "slow", 0, NULL, slow, false, 5000, 1, 0, NULL },
	};
	const struct stage_run *failed = NULL;
	clock_t busy = clock();
	struct stages s;

	assert_int_equal(run_on(table, 3, 1u << 2, 0, &s, &failed), -EIO);
	assert_int_equal(s.runs[2].state, STAGE_DONE);
	assert_int_equal(s.runs[1].state, STAGE_RESTING);
	assert_true(clock() - busy < CLOCKS_PER_SEC / 10);
}

/* What cannot be asked for twice is not cut short by another's failure; but not begun again either. */
static void a_try_that_runs_may_settle(void **state)
{
	static const struct stage table[] = {
		{ "bad", 0, NULL, bad, false, 5000, 1, 10, NULL },
		{ "token", 0, NULL, slow, false, 5000, 1, 0, NULL },
		{ "another", 0, NULL, not_yet, false, 5000, 5, 5000, NULL },
		{ "beside", 0, NULL, silent, false, 60000, 1, 0, NULL },
	};
	const struct stage_run *failed = NULL;
	struct stages s;

	assert_int_equal(run_on(table, 4, 0, 1u << 1 | 1u << 2, &s, &failed), -EIO);
	assert_string_equal(failed->stage->name, "bad");
	assert_int_equal(s.runs[1].state, STAGE_DONE);
	assert_int_equal(shared->calls[7], 1);
	assert_int_equal(shared->calls[2], 1);
	assert_int_equal(s.runs[3].state, STAGE_RUNNING);
}

static void past_its_deadline(void **state)
{
	static const struct stage table[] = { { "silent", 0, NULL, silent, false, 100, 2, 10, NULL } };
	const struct stage_run *failed = NULL;
	uint64_t begin = ssi_clock_mono_ms();
	struct stages s;

	assert_int_equal(run(table, 1, &s, &failed), -ETIMEDOUT);
	assert_int_equal(shared->calls[4], 2);
	assert_memory_equal(failed->err.text, "asking the oracle: no answer in ", 32);
	assert_true(ssi_clock_mono_ms() - begin < 5000);
}

static void a_refusal_is_not_asked_again(void **state)
{
	static const struct stage table[] = { { "token", 0, NULL, refused, false, 5000, 5, 10, NULL } };
	const struct stage_run *failed = NULL;
	struct stages s;

	assert_int_equal(run(table, 1, &s, &failed), -EKEYREVOKED);
	assert_int_equal(shared->calls[5], 1);
	assert_string_equal(failed->err.text, "used before");
}

static void a_machine_does_not_grow(void **state)
{
	static const struct stage table[] = { { "image", 0, NULL, small, false, 5000, 5, 10, NULL } };
	const struct stage_run *failed = NULL;
	struct stages s;

	assert_int_equal(run(table, 1, &s, &failed), -EFBIG);
	assert_int_equal(shared->calls[7], 1);
}

static void a_child_that_dies(void **state)
{
	static const struct stage table[] = { { "crash", 0, NULL, crash, false, 5000, 1, 10, NULL } };
	const struct stage_run *failed = NULL;
	struct stages s;

	assert_int_equal(run(table, 1, &s, &failed), -EIO);
	assert_non_null(strstr(failed->err.text, "signal 9"));
}

static void the_timeline_s_format(void **state)
{
	static const struct stage drivers = { .name = "drivers" }, agent = { .name = "agent" };
	struct stages s = { .n = 1, .runs[0] = { .stage = &drivers, .state = STAGE_DONE, .start_ms = 3295, .end_ms = 4608, .tries = 1 } };
	struct stage_run more = { .stage = &agent, .start_ms = 6154, .end_ms = 6155, .tries = 2 };
	char text[64], small[30];

	assert_int_equal(timeline_format(&s, &more, text, sizeof(text)), strlen("drivers 3295 4608 1\nagent 6154 6155 2\n"));
	assert_string_equal(text, "drivers 3295 4608 1\nagent 6154 6155 2\n");
	/* What does not fit is left out whole. */
	assert_int_equal(timeline_format(&s, &more, small, sizeof(small)), strlen("drivers 3295 4608 1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_the_order_of_their_needs, setup),
		cmocka_unit_test_setup(tried_again, setup),
		cmocka_unit_test_setup(failed_for_good, setup),
		cmocka_unit_test_setup(the_report_s_needs_go_on, setup),
		cmocka_unit_test_setup(waiting_for_the_report_s_needs_is_idle, setup),
		cmocka_unit_test_setup(a_try_that_runs_may_settle, setup),
		cmocka_unit_test_setup(past_its_deadline, setup),
		cmocka_unit_test_setup(a_refusal_is_not_asked_again, setup),
		cmocka_unit_test_setup(a_machine_does_not_grow, setup),
		cmocka_unit_test_setup(a_child_that_dies, setup),
		cmocka_unit_test_setup(the_timeline_s_format, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
