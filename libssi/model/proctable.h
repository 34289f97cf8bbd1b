/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The remote processes of the merged system as a file, RUN/view/processes: written by ssi-bootsvc from what the agents say, mapped by whoever shows them
 * (ssi ps, ssi top, the merged /proc). Numbers are those of doc/pids.md. Pure.
 *
 * How and when the file is written, and how it is waited for: doc/procspace.md, libssi/comm/viewfile.h. A mapping stays as it is; a newer table is another
 * file by that name. All is in the byte order of the machine that writes it, which is the one that reads it:
 *
 *     struct ssi_proctable_head
 *     struct ssi_proctable_node [n_nodes]         by their number
 *     struct ssi_proctable_process [n]            by pid
 *     command lines                               as in /proc/PID/cmdline: each word with a NUL
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"

#define SSI_PROCTABLE_MAGIC 0x31505353u          /* "SSP1" */
#define SSI_PROCTABLE_VERSION 1
#define SSI_PROCTABLE_CMDLINE_MAX 4096u          /* more of a command line is not told */

/* Numbers (doc/pids.md): below JOB_FIRST local processes, and jobs by their deputies; from there other jobs; from REMOTE_FIRST other processes of nodes. */
#define SSI_PID_JOB_FIRST (1u << 20)
#define SSI_PID_REMOTE_FIRST (1u << 21)
#define SSI_PID_END (1u << 22)

/* A process as its node knows it: the numbers are those of the node. Sizes are bytes, times 1/100 s. What is not known is 0. */
struct ssi_process {
	uint32_t pid, ppid, pgrp, session;
	uint32_t tty;                    /* as in /proc/PID/stat */
	int32_t tpgid;                   /* -1: none */
	uint32_t flags;                  /* PF_*, as in /proc/PID/stat */
	uint32_t uid[4], gid[4];         /* real, effective, saved, file system */
	int32_t priority, nice;
	uint32_t rt_priority, policy;
	uint32_t threads, processor;     /* the node's processor */
	uint32_t job_pid;                /* its number in the pid namespace of its job; 0: it is in none below the node's own */
	uint64_t start;                  /* since the node's boot: with pid it names a process for as long as the node is up */
	uint64_t utime, stime, cutime, cstime, minflt, majflt;
	uint64_t vsize, rss, shared, data, swap;   /* shared: of rss, what belongs to files and shared memory */
	uint64_t blocked, ignored, caught;         /* signals */
	char state;                      /* R S D T t Z X I; of a node that is not heard of: D */
	char comm[16];                   /* ends with a NUL */
	char pad[7];
};

struct ssi_proctable_node {
	char name[64], system[64];
	uint32_t number, pad;
	uint64_t incarnation;
	uint64_t boot_ms;                /* wall clock: when it booted */
	uint64_t seen_ms;                /* wall clock: when it was heard of its processes last */
};

struct ssi_proctable_process {
	/* Numbers of the merged system; ppid of a node's first process is 1, a group or session whose leader has ended is 0. */
	uint32_t pid, ppid, pgrp, session;
	uint32_t node;                   /* place in the nodes */
	uint32_t job;                    /* 1: the first process of a job; pid is that of the job */
	uint32_t cmdline, cmdline_len;   /* in the command lines; length 0: a kernel thread or a zombie */
	uint64_t start_ms;               /* wall clock */
	struct ssi_process on_node;
};

struct ssi_proctable_head {
	uint32_t magic;
	uint16_t version, pad;
	uint32_t n_nodes, n;
	uint64_t written_ms;             /* wall clock */
	uint64_t size;                   /* of the file */
};

/* A table that was checked as a whole: every place in it lies within. Borrowed from the bytes. */
struct ssi_proctable {
	const struct ssi_proctable_head *head;
	const struct ssi_proctable_node *nodes;
	const struct ssi_proctable_process *processes;
	const char *text;
};

/* p is aligned for a uint64_t. -EBADMSG: not such a table, or of another version. */
int ssi_proctable_read(const void *p, size_t n, struct ssi_proctable *ret, struct ssi_err *e);
const struct ssi_proctable_process *ssi_proctable_find(const struct ssi_proctable *t, uint32_t pid);      /* NULL: there is none */
static inline const struct ssi_proctable_node *ssi_proctable_node(const struct ssi_proctable *t, const struct ssi_proctable_process *p)
{
	return &t->nodes[p->node];
}
static inline const char *ssi_proctable_cmdline(const struct ssi_proctable *t, const struct ssi_proctable_process *p) { return t->text + p->cmdline; }

/* To write one: rows in any order, sorted in place; of a row's process the places of its command line are set here. */
struct ssi_proctable_row { struct ssi_proctable_process p; const char *cmdline; };
/* Appends the file to ret, which is empty. 0, -ENOMEM, -E2BIG. */
int ssi_proctable_write(const struct ssi_proctable_node *nodes, size_t n_nodes, struct ssi_proctable_row *rows, size_t n,
			uint64_t written_ms, struct ssi_buf *ret);
