/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a node does at a moment, and the table of all nodes' as a file: RUN/view/nodes, which the merged view maps (doc/procspace.md). Pure.
 *
 * A load is a shape (which processors, disks and network interfaces there are) and a list of values: SSI_LOAD_FIXED named ones, then
 * SSI_LOAD_CPU of each processor, SSI_LOAD_DISK of each disk, SSI_LOAD_NIC of each interface, in the order of the shape.
 *
 * The file, in the byte order of its machine, everything on a multiple of 8 bytes: a struct ssi_loadtable_head, then a record for each node:
 * struct ssi_loadtable_node, its processors, disks, interfaces, NUMA nodes, the text of its first processor padded with zeros, its values. A
 * reader maps it, checks it with ssi_loadtable_open, and walks it with ssi_loadtable_next; it stays as it is (a new one is another file by the
 * same name).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"

#define SSI_LOAD_CPUS_MAX 1024
#define SSI_LOAD_DISKS_MAX 256
#define SSI_LOAD_NICS_MAX 64
#define SSI_LOAD_NUMA_MAX 64
#define SSI_LOAD_CPUINFO_MAX 4096
#define SSI_LOADTABLE_MAGIC 0x3164616f6c697373ull    /* "ssiload1" where the low byte comes first */

enum { SSI_LOAD_CPU = 10, SSI_LOAD_DISK = 17, SSI_LOAD_NIC = 16 };   /* columns of /proc/stat (in USER_HZ), /proc/diskstats, /proc/net/dev */

/* The named values. Those without a unit are counts. */
enum ssi_load_value {
	SSI_LOAD_1, SSI_LOAD_5, SSI_LOAD_15,             /* load averages, in hundredths */
	SSI_LOAD_RUNNING, SSI_LOAD_TASKS, SSI_LOAD_LAST_PID,   /* of /proc/loadavg; the reader itself counts as running */
	SSI_LOAD_UPTIME, SSI_LOAD_IDLE,                  /* of /proc/uptime, in hundredths of a second */
	SSI_LOAD_INTR, SSI_LOAD_CTXT, SSI_LOAD_BTIME, SSI_LOAD_FORKS,
	SSI_LOAD_PROCS_RUNNING, SSI_LOAD_PROCS_BLOCKED, SSI_LOAD_SOFTIRQ,      /* of /proc/stat; btime in seconds */
	/* pressure: of the last 10 s and 60 s in hundredths of a per cent, and in all in microseconds; 0 where the kernel does not say */
	SSI_LOAD_CPU_SOME10, SSI_LOAD_CPU_SOME60, SSI_LOAD_CPU_SOME,
	SSI_LOAD_MEM_SOME10, SSI_LOAD_MEM_SOME60, SSI_LOAD_MEM_SOME, SSI_LOAD_MEM_FULL10, SSI_LOAD_MEM_FULL60, SSI_LOAD_MEM_FULL,
	SSI_LOAD_IO_SOME10, SSI_LOAD_IO_SOME60, SSI_LOAD_IO_SOME, SSI_LOAD_IO_FULL10, SSI_LOAD_IO_FULL60, SSI_LOAD_IO_FULL,
	SSI_LOAD_PGPGIN, SSI_LOAD_PGPGOUT, SSI_LOAD_PSWPIN, SSI_LOAD_PSWPOUT,   /* of /proc/vmstat */
	SSI_LOAD_MEMINFO,                                /* from here: the lines of ssi_load_meminfo, in KiB */
	SSI_LOAD_MEM_TOTAL = SSI_LOAD_MEMINFO, SSI_LOAD_MEM_FREE, SSI_LOAD_MEM_AVAILABLE, SSI_LOAD_MEM_BUFFERS, SSI_LOAD_MEM_CACHED,
	SSI_LOAD_FIXED = SSI_LOAD_MEMINFO + 32
};
/* The keys of /proc/meminfo that are published, in the order of the values: [0] is "MemTotal". */
#define SSI_LOAD_MEMINFO_KEYS (SSI_LOAD_FIXED - SSI_LOAD_MEMINFO)
extern const char *const ssi_load_meminfo[SSI_LOAD_MEMINFO_KEYS];

struct ssi_load_cpu { uint32_t number, package, core, numa; };
struct ssi_load_disk { uint32_t major, minor; char name[32]; };
struct ssi_load_nic { char name[16]; };
struct ssi_load_numa { uint32_t number, zero; uint64_t memory; };   /* KiB */

/* Names end with a NUL; cpuinfo is the first block of /proc/cpuinfo, "" if there is none, and ends with a NUL. */
struct ssi_load_shape {
	uint32_t n_cpus, n_disks, n_nics, n_numa;
	const struct ssi_load_cpu *cpus;
	const struct ssi_load_disk *disks;
	const struct ssi_load_nic *nics;
	const struct ssi_load_numa *numa;
	const char *cpuinfo;
};
struct ssi_load { struct ssi_load_shape shape; const uint64_t *values; };

bool ssi_load_shape_fits(const struct ssi_load_shape *s);      /* within the bounds? */
size_t ssi_load_values(const struct ssi_load_shape *s);        /* how many values there are */
bool ssi_load_shape_same(const struct ssi_load_shape *a, const struct ssi_load_shape *b);
static inline const uint64_t *ssi_load_cpu(const struct ssi_load *l, uint32_t i) { return l->values + SSI_LOAD_FIXED + (size_t)i * SSI_LOAD_CPU; }
static inline const uint64_t *ssi_load_disk(const struct ssi_load *l, uint32_t i) { return ssi_load_cpu(l, l->shape.n_cpus) + (size_t)i * SSI_LOAD_DISK; }
static inline const uint64_t *ssi_load_nic(const struct ssi_load *l, uint32_t i) { return ssi_load_disk(l, l->shape.n_disks) + (size_t)i * SSI_LOAD_NIC; }

/* --- the file --- */
struct ssi_loadtable_head { uint64_t magic, size, written_ms; uint32_t nodes, zero; };   /* size: of the file; written_ms: wall clock */
struct ssi_loadtable_node {
	uint32_t size;                   /* of this record, this head in it */
	uint32_t number;                 /* the node's */
	char name[64], system[64];
	uint64_t taken_ms;               /* wall clock of the master, when these values came */
	uint32_t busy;                   /* of its processors over the last second, in thousandths */
	uint32_t suspect;                /* 1: not heard of now; the values are the last ones */
	uint32_t n_cpus, n_disks, n_nics, n_numa;
	uint32_t n_cpuinfo;              /* bytes, with the padding */
	uint32_t n_values;
};
void ssi_loadtable_begin(struct ssi_buf *b, uint64_t written_ms);
/* node: all but size, n_* are taken from it. */
void ssi_loadtable_add(struct ssi_buf *b, const struct ssi_loadtable_node *node, const struct ssi_load *l);
int ssi_loadtable_end(struct ssi_buf *b);                      /* 0 or -ENOMEM */

/* p must stay, and lie on a multiple of 8. -EBADMSG: not such a file. */
struct ssi_loadtable { const uint8_t *p; size_t n, at; uint64_t written_ms; uint32_t nodes; };
int ssi_loadtable_open(struct ssi_loadtable *t, const void *p, size_t n);
/* 1 and the next node, both borrowed from the file; 0: there is none; -EBADMSG. */
int ssi_loadtable_next(struct ssi_loadtable *t, const struct ssi_loadtable_node **ret_node, struct ssi_load *ret);
