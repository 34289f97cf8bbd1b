/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/proctable: what is written is read; what is cut or bent is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/model/proctable.h"

#define WORDS "sh\0-c\0exit 3"

static const struct ssi_proctable_node nodes[] = {
	{ .name = "n01", .system = "demo", .number = 1, .incarnation = 7, .boot_ms = 1000, .seen_ms = 5000 },
	{ .name = "n02", .system = "demo", .number = 2, .incarnation = 9, .boot_ms = 2000, .seen_ms = 6000 },
};

static void make(struct ssi_buf *ret)
{
	struct ssi_proctable_row rows[] = {
		{ { .pid = SSI_PID_REMOTE_FIRST + 5, .ppid = 1, .node = 1, .on_node = { .pid = 4711, .comm = "sh", .state = 'S' }, .cmdline_len = sizeof(WORDS) }, WORDS },
		{ { .pid = SSI_PID_JOB_FIRST + 1, .node = 0, .job = 1, .on_node = { .pid = 12, .comm = "kworker/0:0-eve", .state = 'I' } }, NULL },
		{ { .pid = SSI_PID_REMOTE_FIRST + 2, .node = 0, .on_node = { .pid = 1, .comm = "init" }, .cmdline_len = 5 }, "init" },
	};

	assert_int_equal(ssi_proctable_write(nodes, 2, rows, 3, 77, ret), 0);
}

static void both_ways(void **state)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	const struct ssi_proctable_process *p;
	struct ssi_proctable t;

	make(&b);
	assert_int_equal(ssi_proctable_read(b.data, b.len, &t, NULL), 0);
	assert_int_equal(t.head->n, 3);
	assert_int_equal(t.head->written_ms, 77);
	p = ssi_proctable_find(&t, SSI_PID_REMOTE_FIRST + 5);
	assert_non_null(p);
	assert_int_equal(p->on_node.pid, 4711);
	assert_string_equal(ssi_proctable_node(&t, p)->name, "n02");
	assert_int_equal(p->cmdline_len, sizeof(WORDS));
	assert_memory_equal(ssi_proctable_cmdline(&t, p), WORDS, sizeof(WORDS));
	p = ssi_proctable_find(&t, SSI_PID_JOB_FIRST + 1);
	assert_non_null(p);
	assert_int_equal(p->job, 1);
	assert_int_equal(p->cmdline_len, 0);
	assert_null(ssi_proctable_find(&t, SSI_PID_REMOTE_FIRST + 3));
	assert_null(ssi_proctable_find(&t, 0));
}

static void empty(void **state)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	struct ssi_proctable t;

	assert_int_equal(ssi_proctable_write(NULL, 0, NULL, 0, 1, &b), 0);
	assert_int_equal(ssi_proctable_read(b.data, b.len, &t, NULL), 0);
	assert_int_equal(t.head->n, 0);
	assert_null(ssi_proctable_find(&t, 1));
}

static void cut(void **state)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	struct ssi_proctable t;
	struct ssi_err e;

	make(&b);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(ssi_proctable_read(b.data, n, &t, &e), -EBADMSG);
}

/* One field bent at a time. */
static void bent(void **state)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	struct ssi_proctable_head *h;
	struct ssi_proctable_node *n;
	struct ssi_proctable_process *p;
	struct ssi_proctable t;

	make(&b);
	h = (void *)b.data;
	n = (void *)(h + 1);
	p = (void *)(n + 2);
#define REFUSED(field, value) do { \
		__typeof__(field) was_ = (field); \
		(field) = (value); \
		assert_int_equal(ssi_proctable_read(b.data, b.len, &t, NULL), -EBADMSG); \
		(field) = was_; \
	} while (0)
	REFUSED(h->magic, 1);
	REFUSED(h->version, 2);
	REFUSED(h->n, UINT32_MAX);
	REFUSED(h->n_nodes, UINT32_MAX);
	REFUSED(h->n_nodes, 1);
	REFUSED(p[1].node, 2);
	REFUSED(p[1].pid, p[0].pid);
	REFUSED(p[2].cmdline, UINT32_MAX);
	REFUSED(p[2].cmdline_len, UINT32_MAX);
	REFUSED(p[2].cmdline_len, 1);        /* no end of a word */
#undef REFUSED
	memset(n[1].name, 'x', sizeof(n[1].name));
	assert_int_equal(ssi_proctable_read(b.data, b.len, &t, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_ways), cmocka_unit_test(empty), cmocka_unit_test(cut), cmocka_unit_test(bent) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
