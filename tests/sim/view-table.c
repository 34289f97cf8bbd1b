/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes what a daemon would (RUN/view: processes, nodes, wanted) of nodes that do not exist: view-table DIR NODES PROCESSES [NAME]. Each node has 4
 * processors in 2 cores, 8 GiB, a disk and an interface. Process i (from 0) is on node i mod NODES, its number is 2^21 + i, its node calls it 100 + i; every tenth is
 * stopped, every second belongs to user 1234. It is called NAME-i (cc1). Tests and bench/view compare with that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/loadtable.h"
#include "libssi/model/proctable.h"

enum { CPUS = 4 };
static const uint64_t memory = 8 << 20;     /* KiB */

static int write_file(const char *dir, const char *name, const struct ssi_buf *b)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);

	return path ? ssi_file_write_atomic(path, b->data, b->len, 0644) : -1;
}

static void fill_process(struct ssi_proctable_row *row, uint32_t i, uint32_t nodes, const char *name, uint64_t now)
{
	static char cmdline[64];         /* the same for all */
	uint32_t uid = i % 2 ? 1234 : 0;
	struct ssi_process *p = &row->p.on_node;
	int len = snprintf(cmdline, sizeof(cmdline), "%s%c-O2%cfile.c", name, 0, 0) + 1;

	row->p = (struct ssi_proctable_process){ .pid = SSI_PID_REMOTE_FIRST + i, .ppid = 1, .pgrp = SSI_PID_REMOTE_FIRST + i, .session = SSI_PID_REMOTE_FIRST + i,
		.node = i % nodes, .cmdline_len = (uint32_t)len, .start_ms = now - 60000 };
	row->cmdline = cmdline;
	*p = (struct ssi_process){ .pid = 100 + i, .ppid = 1, .tpgid = -1, .priority = 20 + (int32_t)(i % 20), .nice = (int32_t)(i % 20), .threads = 1,
		.processor = i % CPUS, .start = 6000, .utime = 1000 + i, .stime = 100, .vsize = 100 << 20, .rss = (uint64_t)(1 + i % 50) << 20, .shared = 1 << 20,
		.state = i % 10 == 9 ? 'T' : 'S', .uid = { uid, uid, uid, uid }, .gid = { uid, uid, uid, uid } };
	snprintf(p->comm, sizeof(p->comm), "%s-%u", name, i);
}

static int write_processes(const char *dir, uint32_t n_nodes, uint32_t n, const char *name, uint64_t now)
{
	_cleanup_free_ struct ssi_proctable_node *nodes = calloc(n_nodes, sizeof(*nodes));
	_cleanup_free_ struct ssi_proctable_row *rows = calloc(n + 1, sizeof(*rows));
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

	if (!nodes || !rows)
		return -1;
	for (uint32_t i = 0; i < n_nodes; i++) {
		snprintf(nodes[i].name, sizeof(nodes[i].name), "n%02u", i + 1);
		strcpy(nodes[i].system, "demo");
		nodes[i].number = i + 1;
		nodes[i].incarnation = 1;
		nodes[i].boot_ms = now - 120000;
		nodes[i].seen_ms = now;
	}
	for (uint32_t i = 0; i < n; i++)
		fill_process(&rows[i], i, n_nodes, name, now);
	return ssi_proctable_write(nodes, n_nodes, rows, n, now, &b) < 0 ? -1 : write_file(dir, "processes", &b);
}

static void add_node(struct ssi_buf *b, uint32_t i, uint64_t now)
{
	struct ssi_load_cpu cpus[CPUS];
	struct ssi_load_disk disk = { 254, 0, "vda" };
	struct ssi_load_nic nic = { "eth0" };
	struct ssi_load_numa numa = { .number = 0, .memory = memory };
	uint64_t values[SSI_LOAD_FIXED + CPUS * SSI_LOAD_CPU + SSI_LOAD_DISK + SSI_LOAD_NIC] = { 0 };
	static const char cpuinfo[] = "processor\t: 0\nvendor_id\t: Made\nmodel name\t: Made of Nothing\n";
	struct ssi_load l = { .shape = { CPUS, 1, 1, 1, cpus, &disk, &nic, &numa, cpuinfo }, .values = values };
	struct ssi_loadtable_node node = { .number = i + 1, .taken_ms = now };

	for (uint32_t k = 0; k < CPUS; k++)
		cpus[k] = (struct ssi_load_cpu){ .number = k, .core = k / 2 };
	snprintf(node.name, sizeof(node.name), "n%02u", i + 1);
	strcpy(node.system, "demo");
	values[SSI_LOAD_1] = 200;
	values[SSI_LOAD_RUNNING] = 2;
	values[SSI_LOAD_TASKS] = 50;
	values[SSI_LOAD_CTXT] = 1000000;
	values[SSI_LOAD_MEM_TOTAL] = memory;
	values[SSI_LOAD_MEM_FREE] = values[SSI_LOAD_MEM_AVAILABLE] = memory / 2;
	for (uint32_t k = 0; k < CPUS * SSI_LOAD_CPU; k++)
		values[SSI_LOAD_FIXED + k] = 1000;
	ssi_loadtable_add(b, &node, &l);
}

static int write_nodes(const char *dir, uint32_t n_nodes, uint64_t now)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

	ssi_loadtable_begin(&b, now);
	for (uint32_t i = 0; i < n_nodes; i++)
		add_node(&b, i, now);
	return ssi_loadtable_end(&b) < 0 ? -1 : write_file(dir, "nodes", &b);
}

int main(int argc, char **argv)
{
	struct ssi_buf none = SSI_BUF_INIT;
	uint32_t nodes, processes;
	uint64_t now = ssi_clock_wall_ms();

	if (argc < 4 || argc > 5 || ssi_num_u32(argv[2], 1, 1000, &nodes) < 0 || ssi_num_u32(argv[3], 0, 1000000, &processes) < 0) {
		fputs("usage: view-table DIR NODES PROCESSES [NAME]\n", stderr);
		return 2;
	}
	mkdir(argv[1], 0755);
	none.data = (char *)"";
	if (write_file(argv[1], "wanted", &none) < 0 || write_nodes(argv[1], nodes, now) < 0 || write_processes(argv[1], nodes, processes, argc > 4 ? argv[4] : "cc1", now) < 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
