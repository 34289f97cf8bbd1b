/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The files of a remote process as proc(5) has them, out of its row of the process table. Pure but for the clock. */
#include "libssi/base/buf.h"
#include "ssi/view/snapshot.h"

/* What a job takes from its deputy: who waits for it, and its terminal. */
struct remote_family { uint32_t ppid, pgrp, session, tty; int32_t tpgid; };

struct remote_process {
	const struct snapshot *s;
	const struct ssi_proctable_process *p;
	struct remote_family family;
	uint64_t boot_ms;                /* wall clock: when this machine booted, from which /proc/PID/stat counts */
};
void remote_stat(const struct remote_process *r, struct ssi_buf *b);
void remote_status(const struct remote_process *r, struct ssi_buf *b);
void remote_statm(const struct remote_process *r, struct ssi_buf *b);
void remote_cmdline(const struct remote_process *r, struct ssi_buf *b);
void remote_comm(const struct remote_process *r, struct ssi_buf *b);
void remote_wchan(const struct remote_process *r, struct ssi_buf *b);
void remote_cgroup(const struct remote_process *r, struct ssi_buf *b);
void remote_oom_score(const struct remote_process *r, struct ssi_buf *b);
void remote_node(const struct remote_process *r, struct ssi_buf *b);   /* not of proc(5): the node's name, and its own number there */
