/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * This machine's processes, read from /proc again and again, cheaply: what changes all the time (stat) each time, the rest when a process is new or has
 * executed another program, and of all in turn. It may wait: the command line of a process lies in its memory, whose lock another may hold for long. Not for
 * the agent's loop.
 */
#include "ssi/procspace/procs-node.h"

struct procs_reader;
int procs_reader_new(int proc, struct procs_reader **ret);       /* proc: /proc, held open, borrowed. 0 or -errno */
void procs_reader_free(struct procs_reader *r);
/* All that there are now, by pid, at most SSI_PROCS_MAX; borrowed until the next call. 0 or -errno. */
int procs_reader_scan(struct procs_reader *r, const struct ssi_procs_seen **ret, size_t *ret_n);

/* The parts, for tests: texts of /proc/PID/stat and status, the first with *ret_stack: where its stack begins, another one with each execve. -EBADMSG. */
int procs_parse_stat(const char *text, struct ssi_process *ret, uint64_t *ret_stack);
void procs_parse_status(const char *text, struct ssi_process *ret);
