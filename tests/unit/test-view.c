/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi/view without FUSE: sums of files, inode numbers, the tree over tables that the test writes, and what the kernel is told of new ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "ssi/view/merge.h"
#include "ssi/view/told.h"
#include "ssi/view/view.h"

static const uint64_t memory = 1000;
static const struct view_caller root = { 0, 0 };

/* A folder with two nodes of two processors and a process each. */
static void write_tables(const char *dir, const char *name)
{
	struct ssi_buf nodes = SSI_BUF_INIT, processes = SSI_BUF_INIT;
	struct ssi_load_cpu cpus[2] = { { .number = 0 }, { .number = 5, .core = 1 } };
	uint64_t values[SSI_LOAD_FIXED + 2 * SSI_LOAD_CPU] = { 0 };
	struct ssi_load l = { .shape = { .n_cpus = 2, .cpus = cpus, .cpuinfo = "processor\t: 0\nmodel name\t: X\n" }, .values = values };
	struct ssi_proctable_node node[2] = { { .name = "n01", .number = 1 }, { .name = "n02", .number = 2 } };
	struct ssi_proctable_row row[2] = { { .p = { .pid = SSI_PID_REMOTE_FIRST, .ppid = 1, .cmdline_len = 4, .on_node = { .pid = 9, .state = 'S', .processor = 5 } },
					      .cmdline = "a\0b" }, { .p = { .pid = SSI_PID_REMOTE_FIRST + 1, .node = 1, .on_node = { .state = 'R', .uid = { 7, 7, 7, 7 } } } } };
	char path[256];

	values[SSI_LOAD_MEM_TOTAL] = memory;
	values[SSI_LOAD_1] = 150;
	values[SSI_LOAD_IDLE] = 250;
	values[SSI_LOAD_CTXT] = 7;
	values[SSI_LOAD_PGPGIN] = 3;
	for (int i = 0; i < 2 * SSI_LOAD_CPU; i++)
		values[SSI_LOAD_FIXED + i] = (uint64_t)i;
	ssi_loadtable_begin(&nodes, 1);
	ssi_loadtable_add(&nodes, &(struct ssi_loadtable_node){ .number = 1, .name = "n01" }, &l);
	ssi_loadtable_add(&nodes, &(struct ssi_loadtable_node){ .number = 2, .name = "n02" }, &l);
	assert_int_equal(ssi_loadtable_end(&nodes), 0);
	strcpy(row[0].p.on_node.comm, name);
	assert_int_equal(ssi_proctable_write(node, 2, row, 2, 1, &processes), 0);
	snprintf(path, sizeof(path), "%s/nodes", dir);
	assert_int_equal(ssi_file_write_atomic(path, nodes.data, nodes.len, 0644), 0);
	snprintf(path, sizeof(path), "%s/processes", dir);
	assert_int_equal(ssi_file_write_atomic(path, processes.data, processes.len, 0644), 0);
	ssi_buf_free(&nodes);
	ssi_buf_free(&processes);
}

static char dir[] = "/tmp/ssi-test-view-XXXXXX";
static struct view w;

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	write_tables(dir, "first");
	if (view_open(&w, dir) < 0)
		return -1;
	w.snap.local_cpus = 1;
	w.snap.local_numa = 1;
	snapshot_refresh(&w.snap);
	return 0;
}

static int teardown(void **state)
{
	view_close(&w);
	return ssi_path_rmtree(dir);
}

static void says(void (*merge)(const struct snapshot *, const char *, struct ssi_buf *), const char *local, const char *want)
{
	struct ssi_buf b = SSI_BUF_INIT;

	merge(&w.snap, local, &b);
	assert_string_equal(b.data ? b.data : "", want);
	ssi_buf_free(&b);
}

static void sums(void **state)
{
	says(merge_stat, "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5 1 1\nctxt 10\nbtime 99\n",
	     "cpu  21 26 31 36 41 46 51 56 61 66\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 0 1 2 3 4 5 6 7 8 9\ncpu2 10 11 12 13 14 15 16 17 18 19\n"
	     "cpu3 0 1 2 3 4 5 6 7 8 9\ncpu4 10 11 12 13 14 15 16 17 18 19\nintr 5 1 1\nctxt 24\nbtime 99\n");
	says(merge_meminfo, "MemTotal:           500 kB\nHugePages_Total:       3\n", "MemTotal:          2500 kB\nHugePages_Total:       3\n");
	says(merge_vmstat, "nr_free_pages 4\npgpgin 4\npgpgin_no 1\n", "nr_free_pages 4\npgpgin 10\npgpgin_no 1\n");
	says(merge_loadavg, "0.25 0.50 1.00 2/100 4711\n", "3.25 0.50 1.00 2/100 4711\n");
	says(merge_uptime, "100.00 50.00\n", "100.00 55.00\n");
	says(merge_cpuinfo, "", "processor\t: 1\nmodel name\t: X\nnode\t\t: n01\n\nprocessor\t: 2\nmodel name\t: X\nnode\t\t: n01\n\n"
	     "processor\t: 3\nmodel name\t: X\nnode\t\t: n02\n\nprocessor\t: 4\nmodel name\t: X\nnode\t\t: n02\n\n");
	/* What does not look as it should stays as it is. */
	says(merge_loadavg, "nonsense\n", "nonsense\n");
	says(merge_uptime, "", "");
	says(merge_stat, "cpu\nctxt\n", "cpu\ncpu1 0 1 2 3 4 5 6 7 8 9\ncpu2 10 11 12 13 14 15 16 17 18 19\ncpu3 0 1 2 3 4 5 6 7 8 9\n"
	     "cpu4 10 11 12 13 14 15 16 17 18 19\nctxt\n");
	says(merge_meminfo, "MemTotal\nMemTotal: x kB\n", "MemTotal\nMemTotal: x kB\n");
}

static void numbers(void **state)
{
	const struct vnode all[] = { { VIEW_ROOT, 0, 0, 0 }, { VIEW_PID_LINK, 1, 0, VIEW_NAMES_MAX }, { VIEW_TID_LINK, VIEW_NUMBER_MAX, VIEW_NUMBER_MAX - 1, 17 },
		{ VIEW_NODE_FILE, 3, 0, 2 } };

	assert_int_equal(view_ino(&all[0]), 1);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct vnode v = view_vnode(view_ino(&all[i]));

		assert_int_equal(v.kind, all[i].kind);
		assert_int_equal(v.a, all[i].a);
		assert_int_equal(v.b, all[i].b);
		assert_int_equal(v.name, all[i].name);
	}
	/* A number that nobody gave is no place. */
	assert_null(view_ops(&(struct vnode){ .kind = 200 })->lookup);
}

static struct vnode walk(const char *path)
{
	char *copy = strdup(path), *rest;
	struct vnode v = { 0 }, to;

	for (char *name = strtok_r(copy, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
		assert_non_null(view_ops(&v)->lookup);
		assert_int_equal(view_ops(&v)->lookup(&w, &root, &v, name, &to), 0);
		v = to;
	}
	free(copy);
	return v;
}

static void holds(const char *path, const char *want)
{
	struct ssi_buf b = SSI_BUF_INIT;
	struct vnode v = walk(path);

	assert_int_equal(view_ops(&v)->text(&w, &root, &v, &b), 0);
	assert_string_equal(b.data, want);
	ssi_buf_free(&b);
}

static void tree(void **state)
{
	struct vnode v = { 0 }, to;
	struct stat st;

	holds("2097152/comm", "first\n");
	holds("2097152/ssi", "n01 9\n");
	holds("2097152/task/2097152/comm", "first\n");
	holds("ssi/cpu/online", "0-4\n");
	holds("ssi/cpu/cpu3/topology/core_cpus_list", "3\n");
	holds("ssi/cpu/cpu3/topology/package_cpus_list", "3-4\n");
	holds("ssi/cpu/cpu3/topology/package_cpus", "00000018\n");
	holds("ssi/node/node2/cpulist", "3-4\n");
	holds("ssi/node/node1/distance", "255 10 255\n");
	/* The node's processor 5 is number 2 here. */
	assert_int_equal(snapshot_cpu(&w.snap, 1, 5), 2);
	assert_int_equal(view_ops(&v)->lookup(&w, &root, &v, "2097154", &to), -ENOENT);
	assert_int_equal(view_ops(&v)->lookup(&w, &root, &v, "02097152", &to), -ENOENT);
	v = walk("2097152/stat");
	assert_int_equal(view_attr(&w, &v, &st), 0);
	assert_int_equal(st.st_size, 512);
	v = walk("2097153");
	assert_int_equal(view_attr(&w, &v, &st), 0);
	assert_int_equal(st.st_uid, 7);
}

/* The kernel: what it is told, and what it answers. */
static uint64_t inval[8];
static int n_inval, inval_answer;

int fuse_lowlevel_notify_inval_inode(struct fuse_session *se, fuse_ino_t ino, off_t off, off_t len)
{
	assert_int_equal(off, -1);           /* attributes alone */
	if (n_inval < 8)
		inval[n_inval++] = ino;
	return inval_answer;
}

/* How often the kernel is told of v when the table is written anew. */
static int told_of(struct told *t, const struct vnode *v, const char *name)
{
	int n = 0;

	write_tables(dir, name);
	w.snap.checked_ms = 0;
	snapshot_refresh(&w.snap);
	n_inval = 0;
	told_look(t, NULL, &w);
	for (int i = 0; i < n_inval; i++)
		n += inval[i] == view_ino(v);
	assert_int_equal(n, n_inval);
	return n;
}

static void has(struct told *t, const struct vnode *v)
{
	struct stat st;

	assert_int_equal(view_attr(&w, v, &st), 0);
	told_attr(t, &w, v, &st);
}

static void telling(void **state)
{
	struct vnode comm = walk("2097152/comm"), statm = walk("2097152/statm"), other = walk("2097153/comm");
	struct told t = { 0 };

	assert_int_equal(told_open(&t), 0);
	has(&t, &comm);
	has(&t, &statm);
	has(&t, &other);
	assert_int_equal(told_of(&t, &comm, "first"), 0);
	assert_int_equal(told_of(&t, &comm, "second"), 1);     /* the one that says another thing, once */
	assert_int_equal(told_of(&t, &comm, "third"), 0);
	has(&t, &comm);
	inval_answer = -ENOENT;                                /* it has not got so far: again, until it has */
	assert_int_equal(told_of(&t, &comm, "fourth"), 1);
	assert_int_equal(told_of(&t, &comm, "fourth"), 1);
	inval_answer = 0;
	assert_int_equal(told_of(&t, &comm, "fourth"), 1);
	assert_int_equal(told_of(&t, &comm, "fourth"), 0);
	has(&t, &comm);
	told_forget(&t, &comm);
	assert_int_equal(told_of(&t, &comm, "first"), 0);
	told_close(&t);
	/* Of these it never takes what it has for what is. */
	assert_true(view_attr_seconds(&w, &comm) > 1);
	assert_true(view_attr_seconds(&w, &(struct vnode){ .kind = VIEW_RTID_FILE, .a = comm.a, .b = comm.a, .name = comm.name }) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sums), cmocka_unit_test(numbers), cmocka_unit_test(tree), cmocka_unit_test(telling) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
