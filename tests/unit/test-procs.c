/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi/procspace: what a node tells of its processes, and what the master makes of it, in many rounds of births, ends and use; the numbers of the merged
 * system; /proc as the agent reads it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ssi-agent/procs-read.h"
#include "ssi/procspace/procs-internal.h"
#include "ssi/procspace/procs-node.h"

#define BOOT_MS 1000000

static enum ssi_procs_known known_as = SSI_PROCS_SHOWN;

static uint64_t wall(void *userdata)
{
	return 5000000;
}

static enum ssi_procs_known known(const char *node, const char **ret_system, void *userdata)
{
	*ret_system = "demo";
	return known_as;
}

static const struct ssi_procs_ops ops = { .wall = wall, .known = known };

struct fixture { struct ssi_procs procs; struct procs_node *node; struct ssi_procs_told *told; };

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	x->procs.ops = &ops;
	x->procs.numbers = ssi_procs_numbers_new(SSI_PID_REMOTE_FIRST);
	x->node = procs_node_add(&x->procs, 3, "n03", 7);
	x->told = ssi_procs_told_new();
	known_as = SSI_PROCS_SHOWN;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	while (LIST_FIRST(&x->procs.nodes[3]))
		procs_node_forget(&x->procs, LIST_FIRST(&x->procs.nodes[3]));
	ssi_procs_numbers_free(x->procs.numbers);
	ssi_procs_told_free(x->told);
	free(x);
	return 0;
}

/* Tell until all is told; how many bytes. */
static size_t tell(struct fixture *x, const struct ssi_procs_seen *seen, size_t n)
{
	size_t bytes = 0;
	int r;

	do {
		_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

		r = ssi_procs_tell(x->told, seen, n, BOOT_MS, &b);
		assert_true(r >= 0);
		assert_true(b.len <= SSI_PROCS_MESSAGE_MAX);
		assert_int_equal(procs_take(&x->procs, x->node, (uint8_t *)b.data, b.len), 0);
		bytes += b.len;
	} while (r > 0);
	return bytes;
}

static struct ssi_procs_seen process(uint32_t pid, uint32_t ppid, const char *comm, const char *cmdline)
{
	struct ssi_procs_seen s = { .p = { .pid = pid, .ppid = ppid, .pgrp = pid, .session = 1, .tpgid = -1, .uid = { 1000, 1000, 1000, 1000 },
		.gid = { 100, 100, 100, 100 }, .priority = 20, .threads = 1, .start = pid * 10, .state = 'S', .rss = 4096, .vsize = 1 << 20 },
		.cmdline = cmdline, .cmdline_len = cmdline ? strlen(cmdline) + 1 : 0 };

	snprintf(s.p.comm, sizeof(s.p.comm), "%s", comm);
	return s;
}

static void same(const struct fixture *x, const struct ssi_procs_seen *seen, size_t n)
{
	assert_int_equal(x->node->n, n);
	for (size_t i = 0; i < n; i++) {
		const struct procs_entry *e = procs_entry_find(x->node, seen[i].p.pid);

		assert_non_null(e);
		assert_memory_equal(&e->p, &seen[i].p, sizeof(e->p));
		assert_int_equal(e->cmdline_len, seen[i].cmdline_len);
		if (e->cmdline_len)
			assert_memory_equal(e->cmdline, seen[i].cmdline, e->cmdline_len);
	}
}

static void rounds(void **state)
{
	struct fixture *x = *state;
	struct ssi_procs_seen seen[] = {
		process(1, 0, "init", "init"), process(2, 0, "kthreadd", NULL), process(40, 1, "sh", "sh -c x"), process(41, 40, "make", "make"),
	};
	uint32_t number;

	tell(x, seen, 3);
	same(x, seen, 3);
	number = procs_entry_find(x->node, 40)->number;
	assert_true(number >= SSI_PID_REMOTE_FIRST);
	/* It computes, in a few bytes; somebody comes. */
	seen[2].p.utime += 100;
	seen[2].p.state = 'R';
	assert_true(tell(x, seen, 3) < 20);
	tell(x, seen, 4);
	same(x, seen, 4);
	/* It executes something else, and then there is another one by its number. */
	strcpy(seen[2].p.comm, "cc");
	seen[2].cmdline = "cc -O2";
	seen[2].cmdline_len = 7;
	tell(x, seen, 4);
	same(x, seen, 4);
	assert_int_equal(procs_entry_find(x->node, 40)->number, number);
	seen[2].p.start++;
	seen[2].p.utime = 0;
	tell(x, seen, 4);
	same(x, seen, 4);
	assert_int_not_equal(procs_entry_find(x->node, 40)->number, number);
	assert_int_equal(ssi_procs_number_owner(x->procs.numbers, number), 0);
	tell(x, seen, 1);
	same(x, seen, 1);
	assert_true(tell(x, seen, 1) < 4);
}

/* Another session: all is told again, and who is still there has the number that he had. */
static void anew(void **state)
{
	struct fixture *x = *state;
	struct ssi_procs_seen seen[] = { process(1, 0, "init", "init"), process(40, 1, "sh", "sh -c x"), process(41, 40, "make", "make") };
	uint32_t number;

	tell(x, seen, 3);
	number = procs_entry_find(x->node, 40)->number;
	ssi_procs_told_anew(x->told);
	seen[1].p.utime = 7;
	tell(x, seen, 2);
	same(x, seen, 2);
	assert_int_equal(procs_entry_find(x->node, 40)->number, number);
	x->node->begun = false;                  /* who does not begin anew breaks the rule */
	{
		_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

		assert_int_equal(ssi_procs_tell(x->told, seen, 2, BOOT_MS, &b), 0);
		assert_int_equal(procs_take(&x->procs, x->node, (uint8_t *)b.data, b.len), -EPROTO);
	}
}

/* Thousands, in bounded messages; then all of them work at once, and each gets its turn. */
static void many(void **state)
{
	enum { N = 5000 };
	struct fixture *x = *state;
	struct ssi_procs_seen *seen = calloc(N, sizeof(*seen));
	int messages = 0;

	for (uint32_t i = 0; i < N; i++)
		seen[i] = process(i + 1, i ? 1 : 0, "worker", "worker --of-many");
	tell(x, seen, N);
	assert_int_equal(x->node->n, N);
	for (uint32_t i = 0; i < N; i++)
		seen[i].p.utime += 3;
	for (;;) {
		_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

		assert_int_equal(ssi_procs_tell(x->told, seen, N, BOOT_MS, &b), 0);
		assert_true(b.len < SSI_PROCS_USE_MAX + 64);
		assert_int_equal(procs_take(&x->procs, x->node, (uint8_t *)b.data, b.len), 0);
		messages++;
		if (b.len < 8)
			break;
	}
	assert_true(messages < 20);
	same(x, seen, N);
	free(seen);
}

static const struct ssi_proctable_process *row_of(const struct ssi_proctable *t, uint32_t node_pid)
{
	for (uint32_t i = 0; i < t->head->n; i++)
		if (t->processes[i].on_node.pid == node_pid)
			return &t->processes[i];
	fail();
	return NULL;
}

static void table(void **state)
{
	struct fixture *x = *state;
	struct ssi_procs_seen seen[] = { process(1, 0, "init", "init"), process(2, 0, "kthreadd", NULL), process(40, 1, "sh", "sh"), process(41, 40, "job", "job"),
		process(42, 999, "lost", "lost") };
	const uint32_t job = SSI_PID_JOB_FIRST + 5;
	struct ssi_proctable t;
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT, again = SSI_BUF_INIT;

	seen[3].p.job_pid = job;
	seen[4].p.pgrp = 777;
	seen[4].p.job_pid = job;                 /* a second claim */
	tell(x, seen, 5);
	assert_int_equal(ssi_procs_table(&x->procs, &b), 0);
	assert_int_equal(ssi_proctable_read(b.data, b.len, &t, NULL), 0);
	assert_int_equal(t.head->n, 5);
	assert_string_equal(t.nodes[0].name, "n03");
	assert_string_equal(t.nodes[0].system, "demo");
	assert_int_equal(row_of(&t, 1)->ppid, 1);
	assert_int_equal(row_of(&t, 2)->ppid, 0);
	assert_int_equal(row_of(&t, 41)->pid, job);
	assert_int_equal(row_of(&t, 41)->job, 1);
	assert_int_equal(row_of(&t, 41)->ppid, row_of(&t, 40)->pid);
	assert_int_equal(row_of(&t, 41)->start_ms, BOOT_MS + 4100);
	assert_int_equal(row_of(&t, 42)->ppid, 1);
	assert_int_equal(row_of(&t, 42)->pgrp, 0);
	assert_true(row_of(&t, 42)->pid >= SSI_PID_REMOTE_FIRST);
	/* Not heard of: as it was, and waiting. */
	known_as = SSI_PROCS_SILENT;
	assert_int_equal(ssi_procs_table(&x->procs, &again), 0);
	assert_int_equal(ssi_proctable_read(again.data, again.len, &t, NULL), 0);
	assert_int_equal(row_of(&t, 40)->on_node.state, 'D');
	ssi_buf_free(&again);
	/* Another daemon takes the numbers up; then the node does not count any more. */
	known_as = SSI_PROCS_SHOWN;
	procs_node_forget(&x->procs, x->node);
	assert_int_equal(ssi_proctable_read(b.data, b.len, &t, NULL), 0);
	ssi_procs_restore(&x->procs, &t);
	x->node = procs_node_find(&x->procs, 3);
	ssi_procs_told_anew(x->told);
	tell(x, seen, 4);
	assert_int_equal(x->node->n, 4);
	assert_int_equal(procs_entry_find(x->node, 40)->number, row_of(&t, 40)->pid);
	assert_int_equal(procs_entry_find(x->node, 41)->number, job);
	known_as = SSI_PROCS_HIDDEN;
	assert_int_equal(ssi_procs_table(&x->procs, &again), 0);
	assert_int_equal(ssi_proctable_read(again.data, again.len, &t, NULL), 0);
	assert_int_equal(t.head->n, 0);
	assert_null(ssi_procs_node_of(&x->procs, job));
}

static void numbers(void **state)
{
	struct ssi_procs_numbers *n = ssi_procs_numbers_new(SSI_PID_REMOTE_FIRST);
	uint32_t first = ssi_procs_number_get(n, 1);

	assert_int_equal(first, SSI_PID_REMOTE_FIRST);
	assert_int_equal(ssi_procs_number_claim(n, first, 2), -EEXIST);
	assert_int_equal(ssi_procs_number_claim(n, 0, 2), -ERANGE);
	assert_int_equal(ssi_procs_number_claim(n, SSI_PID_END, 2), -ERANGE);
	ssi_procs_number_put(n, first);
	ssi_procs_number_put(n, 0);
	assert_int_equal(ssi_procs_number_get(n, 1), first + 1);     /* not the one that was just given back */
	for (uint32_t i = first + 2; i < SSI_PID_END; i++)
		assert_int_equal(ssi_procs_number_get(n, 9), i);
	assert_int_equal(ssi_procs_number_get(n, 9), first);
	assert_int_equal(ssi_procs_number_get(n, 9), 0);
	assert_int_equal(ssi_procs_number_owner(n, first + 2), 9);
	ssi_procs_numbers_free(n);
}

static void parse(void **state)
{
	static const char stat[] = "4711 (a) b (c) S 1 4711 4711 34816 4712 4194304 120 7 3 9 11 12 13 14 39 19 2 0 5000 1050624 33 18446744073709551615 1 1 140 0 0 0 0 0 0 0 0 0 17 5 0 0 0 0 0\n";
	static const char status[] = "Name:\tx\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t2\t3\t4\nNSpid:\t4711\t1048577\nVmData:\t     8 kB\nRssFile:\t    12 kB\nRssShmem:\t 4 kB\n"
		"SigBlk:\t0000000000010000\n";
	struct ssi_process p = { 0 };
	uint64_t stack;

	assert_int_equal(procs_parse_stat(stat, &p, &stack), 0);
	assert_string_equal(p.comm, "a) b (c");
	assert_int_equal(p.state, 'S');
	assert_int_equal(p.tty, 34816);
	assert_int_equal(p.tpgid, 4712);
	assert_int_equal(p.minflt, 120);
	assert_int_equal(p.majflt, 3);
	assert_int_equal(p.utime, 11);
	assert_int_equal(p.cstime, 14);
	assert_int_equal(p.priority, 39);
	assert_int_equal(p.nice, 19);
	assert_int_equal(p.threads, 2);
	assert_int_equal(p.start, 5000);
	assert_int_equal(p.vsize, 1050624);
	assert_int_equal(p.rss, 33 * sysconf(_SC_PAGESIZE));
	assert_int_equal(p.processor, 5);
	assert_int_equal(stack, 140);
	for (size_t n = 0; n < strlen(stat) - 20; n++) {
		char cut[sizeof(stat)];

		snprintf(cut, sizeof(cut), "%.*s", (int)n, stat);
		assert_int_equal(procs_parse_stat(cut, &p, &stack), -EBADMSG);
	}
	procs_parse_status(status, &p);
	assert_int_equal(p.uid[3], 1003);
	assert_int_equal(p.gid[0], 1);
	assert_int_equal(p.job_pid, 1048577);
	assert_int_equal(p.shared, 16 << 10);
	assert_int_equal(p.data, 8 << 10);
	assert_int_equal(p.blocked, 0x10000);
}

static const struct ssi_procs_seen *find(const struct ssi_procs_seen *seen, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (seen[i].p.pid == (uint32_t)pid)
			return &seen[i];
	return NULL;
}

/* A child as it is born, executes, and is gone. */
static void scan(void **state)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY), go[2];
	const struct ssi_procs_seen *seen, *s;
	struct procs_reader *r;
	size_t n;
	pid_t child;
	char c;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		if (read(go[0], &c, 1) == 1)
			execlp("sleep", "sleep", "600", NULL);
		_exit(1);
	}
	assert_int_equal(procs_reader_new(proc, &r), 0);
	assert_int_equal(procs_reader_scan(r, &seen, &n), 0);
	s = find(seen, n, child);
	assert_non_null(s);
	assert_int_equal(s->p.ppid, getpid());
	assert_int_equal(s->p.uid[0], getuid());
	assert_true(s->cmdline_len > 0);
	assert_true(s->p.rss > 0 && s->p.start > 0);
	assert_int_equal(write(go[1], "x", 1), 1);
	for (int i = 0; i < 1000 && (!s || strcmp(s->p.comm, "sleep") != 0 || s->cmdline_len != 10); i++) {
		usleep(5000);
		assert_int_equal(procs_reader_scan(r, &seen, &n), 0);
		s = find(seen, n, child);
	}
	assert_non_null(s);
	assert_string_equal(s->p.comm, "sleep");
	assert_int_equal(s->cmdline_len, 10);
	assert_memory_equal(s->cmdline, "sleep\0" "600", 10);
	for (size_t i = 1; i < n; i++)
		assert_true(seen[i - 1].p.pid < seen[i].p.pid);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(procs_reader_scan(r, &seen, &n), 0);
	assert_null(find(seen, n, child));
	procs_reader_free(r);
	close(proc);
	close(go[0]);
	close(go[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rounds, setup, teardown), cmocka_unit_test_setup_teardown(anew, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown), cmocka_unit_test_setup_teardown(table, setup, teardown),
		cmocka_unit_test(numbers), cmocka_unit_test(parse), cmocka_unit_test(scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
