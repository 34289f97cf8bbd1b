/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A load: read from a /proc that was made up, said and heard, and as a file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "ssi-agent/load-read.h"
#include "ssi/procspace/load.h"
#include "ssi/procspace/procspace.pb-c.h"

struct fixture { char dir[64]; int proc, sys; struct load_reader *reader; struct ssi_inventory inventory; };

static void put(const struct fixture *x, const char *path, const char *text)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/%s", x->dir, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(ssi_path_mkdirs(full, 0755), 0);
	*slash = '/';
	/* In place: a file of /proc is open for good, and read again. */
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	char path[128];

	snprintf(x->dir, sizeof(x->dir), "/tmp/ssi-load-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	put(x, "proc/stat", "cpu  30 0 30 300 0 0 0 0 0 0\ncpu0 10 0 10 100 0 0 0 0 0 0\ncpu3 20 0 20 200 1 2 3 4 5 6\nintr 77 1 2 3\nctxt 5000\nbtime 1700000000\n"
	    "processes 42\nprocs_running 3\nprocs_blocked 1\nsoftirq 99 1 2\n");
	put(x, "proc/loadavg", "1.05 0.50 12.34 3/210 4711\n");
	put(x, "proc/uptime", "100.25 190.50\n");
	put(x, "proc/meminfo", "MemTotal:        1000 kB\nMemFree:          400 kB\nMemAvailable:     700 kB\nActive:     5 kB\nActive(anon):    4 kB\nNoSuch:    9 kB\n");
	put(x, "proc/diskstats", "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n 254       0 vda 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27\n");
	put(x, "proc/net/dev", "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  eth0:100 2 3 4 5 6 7 8 900 10 11 12 13 14 15 16\n");
	put(x, "proc/pressure/memory", "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.75 avg60=0.00 avg300=0.00 total=99\n");
	put(x, "proc/cpuinfo", "processor\t: 0\nmodel name\t: A\n\nprocessor\t: 3\n");
	put(x, "sys/devices/system/cpu/cpu3/topology/core_id", "2\n");
	put(x, "sys/devices/system/cpu/cpu3/topology/physical_package_id", "1\n");
	put(x, "sys/devices/system/cpu/cpu3/node1/x", "");
	snprintf(path, sizeof(path), "%s/proc", x->dir);
	x->proc = open(path, O_PATH | O_DIRECTORY);
	snprintf(path, sizeof(path), "%s/sys", x->dir);
	x->sys = open(path, O_PATH | O_DIRECTORY);
	x->inventory.n_numa = 1;
	x->inventory.numa[0] = (struct ssi_numa) { 1, 2, 1024 * 1000 };
	assert_int_equal(load_reader_new(x->proc, x->sys, &x->reader), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	char cmd[128];

	load_reader_free(x->reader);
	close(x->proc);
	close(x->sys);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", x->dir);
	assert_int_equal(system(cmd), 0);
	free(x);
	return 0;
}

static const struct ssi_load *now(struct fixture *x)
{
	const struct ssi_load *l = NULL;

	assert_int_equal(load_read(x->reader, &x->inventory, &l), 0);
	return l;
}

static void reads(void **state)
{
	const struct ssi_load *l = now(*state);

	assert_int_equal(l->shape.n_cpus, 2);
	assert_int_equal(l->shape.cpus[1].number, 3);
	assert_int_equal(l->shape.cpus[1].core, 2);
	assert_int_equal(l->shape.cpus[1].package, 1);
	assert_int_equal(l->shape.cpus[1].numa, 1);
	assert_string_equal(l->shape.cpuinfo, "processor\t: 0\nmodel name\t: A\n");
	assert_int_equal(ssi_load_cpu(l, 1)[9], 6);
	assert_int_equal(l->shape.n_disks, 1);               /* loop0 never did anything */
	assert_string_equal(l->shape.disks[0].name, "vda");
	assert_int_equal(l->shape.disks[0].major, 254);
	assert_int_equal(ssi_load_disk(l, 0)[16], 27);
	assert_int_equal(l->shape.n_nics, 2);
	assert_string_equal(l->shape.nics[1].name, "eth0");
	assert_int_equal(ssi_load_nic(l, 1)[0], 100);
	assert_int_equal(ssi_load_nic(l, 1)[8], 900);
	assert_int_equal(l->shape.numa[0].memory, 1000);
	assert_int_equal(l->values[SSI_LOAD_1], 105);
	assert_int_equal(l->values[SSI_LOAD_15], 1234);
	assert_int_equal(l->values[SSI_LOAD_RUNNING], 3);
	assert_int_equal(l->values[SSI_LOAD_LAST_PID], 4711);
	assert_int_equal(l->values[SSI_LOAD_UPTIME], 10025);
	assert_int_equal(l->values[SSI_LOAD_BTIME], 1700000000);
	assert_int_equal(l->values[SSI_LOAD_SOFTIRQ], 99);
	assert_int_equal(l->values[SSI_LOAD_MEM_AVAILABLE], 700);
	assert_int_equal(l->values[SSI_LOAD_MEM_SOME10], 150);
	assert_int_equal(l->values[SSI_LOAD_MEM_SOME], 1234);
	assert_int_equal(l->values[SSI_LOAD_MEM_FULL10], 75);
	assert_int_equal(l->values[SSI_LOAD_CPU_SOME10], 0);  /* that kernel does not say */
}

/* Hear b, on top of *l. */
static int hear(const struct ssi_buf *b, struct ssi_load **l, uint64_t **values)
{
	Ssi__Procspace__Load *m = ssi__procspace__load__unpack(NULL, b->len, (const uint8_t *)b->data);
	int r = 0;

	assert_non_null(m);
	if (m->shape) {
		free(*l);
		r = ssi_load_take_shape(m, l, values);
	}
	if (r == 0)
		r = ssi_load_take_values(m, *l, *values);
	ssi__procspace__load__free_unpacked(m, NULL);
	return r;
}

static void same(const struct ssi_load *a, const struct ssi_load *b)
{
	assert_true(ssi_load_shape_same(&a->shape, &b->shape));
	assert_memory_equal(a->values, b->values, ssi_load_values(&a->shape) * sizeof(uint64_t));
}

static void says_what_has_changed(void **state)
{
	struct fixture *x = *state;
	_cleanup_buf_ struct ssi_buf whole = SSI_BUF_INIT, change = SSI_BUF_INIT;
	_cleanup_free_ struct ssi_load *there = NULL;
	const struct ssi_load *l = now(x);
	uint64_t *values;

	assert_int_equal(ssi_load_pack(NULL, l, &whole), 0);
	assert_int_equal(hear(&whole, &there, &values), 0);
	same(l, there);
	put(x, "proc/loadavg", "0.95 0.50 12.34 1/200 4712\n");
	put(x, "proc/meminfo", "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     700 kB\nActive:     5 kB\nActive(anon):    4 kB\n");
	l = now(x);
	assert_int_equal(ssi_load_pack(there, l, &change), 0);
	assert_true(change.len < 32);
	assert_int_equal(hear(&change, &there, &values), 0);
	same(l, there);
	/* A processor comes: another shape. */
	put(x, "proc/stat", "cpu0 1 0 0 0\ncpu1 1 0 0 0\ncpu3 1 0 0 0\n");
	l = now(x);
	assert_false(ssi_load_shape_same(&l->shape, &there->shape));
}

static void refuses_what_cannot_be(void **state)
{
	Ssi__Procspace__Load m = SSI__PROCSPACE__LOAD__INIT;
	Ssi__Procspace__Shape shape = SSI__PROCSPACE__SHAPE__INIT;
	_cleanup_free_ struct ssi_load *l = NULL;
	uint32_t skip[] = { SSI_LOAD_FIXED - 1, 0 };
	int64_t change[] = { 7, 8 };
	char *nics[] = { (char *)"a-name-of-17-bytes" };
	uint64_t *values;

	m.shape = &shape;
	shape.nics = nics;
	shape.n_nics = 1;
	assert_int_equal(ssi_load_take_shape(&m, &l, &values), -EBADMSG);
	shape.n_nics = 0;
	shape.n_cpus = SSI_LOAD_CPUS_MAX + 1;
	assert_int_equal(ssi_load_take_shape(&m, &l, &values), -EBADMSG);
	shape.n_cpus = 0;
	assert_int_equal(ssi_load_take_shape(&m, &l, &values), 0);
	m.skip = skip;
	m.change = change;
	m.n_skip = m.n_change = 2;
	assert_int_equal(ssi_load_take_values(&m, l, values), -EBADMSG);
	assert_int_equal(l->values[SSI_LOAD_FIXED - 1], 7);
	m.n_skip = 1;
	assert_int_equal(ssi_load_take_values(&m, l, values), -EBADMSG);
}

static void is_a_file(void **state)
{
	struct ssi_loadtable_node node = { .number = 7, .name = "n07", .system = "demo", .taken_ms = 123, .busy = 500 };
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	const struct ssi_loadtable_node *o;
	const struct ssi_load *l = now(*state);
	struct ssi_loadtable t;
	struct ssi_load got;

	ssi_loadtable_begin(&b, 99);
	ssi_loadtable_add(&b, &node, l);
	node.number = 8;
	ssi_loadtable_add(&b, &node, l);
	assert_int_equal(ssi_loadtable_end(&b), 0);
	assert_int_equal(ssi_loadtable_open(&t, b.data, b.len), 0);
	assert_int_equal(t.nodes, 2);
	assert_int_equal(t.written_ms, 99);
	for (uint32_t i = 7; i <= 8; i++) {
		assert_int_equal(ssi_loadtable_next(&t, &o, &got), 1);
		assert_int_equal(o->number, i);
		assert_string_equal(o->name, "n07");
		assert_int_equal(o->busy, 500);
		same(l, &got);
	}
	assert_int_equal(ssi_loadtable_next(&t, &o, &got), 0);
	assert_int_equal(ssi_loadtable_open(&t, b.data, b.len - 8), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_has_changed, setup, teardown),
		cmocka_unit_test(refuses_what_cannot_be),
		cmocka_unit_test_setup_teardown(is_a_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
