/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A remote process as proc(5) has it. What is not known of it is 0, as it is of a kernel thread. */
#include <inttypes.h>
#include "ssi/view/remote.h"

#define PF_KTHREAD 0x00200000u
#define PAGE 4096u

static bool is_kernel(const struct ssi_process *p)
{
	return p->flags & PF_KTHREAD || p->state == 'Z' || p->state == 'X';
}

void remote_stat(const struct remote_process *r, struct ssi_buf *b)
{
	const struct ssi_process *p = &r->p->on_node;
	uint64_t start = r->p->start_ms > r->boot_ms ? (r->p->start_ms - r->boot_ms) / 10 : 0;

	ssi_buf_addf(b, "%" PRIu32 " (%s) %c %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRId32 " %" PRIu32 " %" PRIu64 " 0 %" PRIu64 " 0 %" PRIu64
		" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId32 " %" PRId32 " %" PRIu32 " 0 %" PRIu64 " %" PRIu64 " %" PRIu64 " 18446744073709551615 0 0 0 0 0",
		r->p->pid, p->comm, p->state, r->family.ppid, r->family.pgrp, r->family.session, r->family.tty, r->family.tpgid, p->flags, p->minflt, p->majflt,
		p->utime, p->stime, p->cutime, p->cstime, p->priority, p->nice, p->threads, start, p->vsize, p->rss / PAGE);
	ssi_buf_addf(b, " 0 %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0 0 17 %" PRIu32 " %" PRIu32 " %" PRIu32 " 0 0 0 0 0 0 0 0 0 0 0\n", p->blocked & INT32_MAX,
		p->ignored & INT32_MAX, p->caught & INT32_MAX, snapshot_cpu(r->s, ssi_proctable_node(&r->s->table, r->p)->number, p->processor), p->rt_priority, p->policy);
}

static const char *state_name(char c)
{
	static const struct { char c; const char *name; } names[] = {
		{ 'R', "running" }, { 'S', "sleeping" }, { 'D', "disk sleep" }, { 'T', "stopped" }, { 't', "tracing stop" }, { 'Z', "zombie" }, { 'X', "dead" },
		{ 'I', "idle" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].c == c)
			return names[i].name;
	return "unknown";
}

static void memory(const struct ssi_process *p, struct ssi_buf *b)
{
	uint64_t vm = p->vsize / 1024, rss = p->rss / 1024, shared = p->shared / 1024;

	ssi_buf_addf(b, "VmPeak:\t%8" PRIu64 " kB\nVmSize:\t%8" PRIu64 " kB\nVmLck:\t       0 kB\nVmPin:\t       0 kB\nVmHWM:\t%8" PRIu64 " kB\nVmRSS:\t%8" PRIu64
		" kB\nRssAnon:\t%8" PRIu64 " kB\nRssFile:\t%8" PRIu64 " kB\nRssShmem:\t       0 kB\nVmData:\t%8" PRIu64
		" kB\nVmStk:\t       0 kB\nVmExe:\t       0 kB\nVmLib:\t       0 kB\nVmPTE:\t       0 kB\nVmSwap:\t%8" PRIu64 " kB\n",
		vm, vm, rss, rss, rss > shared ? rss - shared : 0, shared, p->data / 1024, p->swap / 1024);
}

void remote_status(const struct remote_process *r, struct ssi_buf *b)
{
	const struct ssi_process *p = &r->p->on_node;

	ssi_buf_addf(b, "Name:\t%s\nUmask:\t0022\nState:\t%c (%s)\nTgid:\t%" PRIu32 "\nNgid:\t0\nPid:\t%" PRIu32 "\nPPid:\t%" PRIu32 "\nTracerPid:\t0\n",
		p->comm, p->state, state_name(p->state), r->p->pid, r->p->pid, r->family.ppid);
	ssi_buf_addf(b, "Uid:\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\nGid:\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\nFDSize:\t0\nGroups:\t \n",
		p->uid[0], p->uid[1], p->uid[2], p->uid[3], p->gid[0], p->gid[1], p->gid[2], p->gid[3]);
	ssi_buf_addf(b, "NStgid:\t%" PRIu32 "\nNSpid:\t%" PRIu32 "\nNSpgid:\t%" PRIu32 "\nNSsid:\t%" PRIu32 "\n",
		r->p->pid, r->p->pid, r->family.pgrp, r->family.session);
	if (!is_kernel(p))
		memory(p, b);
	ssi_buf_addf(b, "Threads:\t%" PRIu32 "\nSigQ:\t0/0\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t%016" PRIx64 "\nSigIgn:\t%016" PRIx64
		"\nSigCgt:\t%016" PRIx64 "\nvoluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n", p->threads, p->blocked, p->ignored, p->caught);
}

void remote_statm(const struct remote_process *r, struct ssi_buf *b)
{
	const struct ssi_process *p = &r->p->on_node;

	ssi_buf_addf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0 %" PRIu64 " 0\n", p->vsize / PAGE, p->rss / PAGE, p->shared / PAGE, p->data / PAGE);
}

void remote_cmdline(const struct remote_process *r, struct ssi_buf *b)
{
	ssi_buf_add(b, ssi_proctable_cmdline(&r->s->table, r->p), r->p->cmdline_len);
}

void remote_comm(const struct remote_process *r, struct ssi_buf *b)
{
	ssi_buf_addf(b, "%s\n", r->p->on_node.comm);
}

void remote_wchan(const struct remote_process *r, struct ssi_buf *b)
{
	ssi_buf_adds(b, "0");
}

void remote_cgroup(const struct remote_process *r, struct ssi_buf *b)
{
	ssi_buf_addf(b, "0::/%s\n", ssi_proctable_node(&r->s->table, r->p)->name);
}

void remote_oom_score(const struct remote_process *r, struct ssi_buf *b)
{
	ssi_buf_adds(b, "0\n");
}

void remote_node(const struct remote_process *r, struct ssi_buf *b)
{
	ssi_buf_addf(b, "%s %" PRIu32 "\n", ssi_proctable_node(&r->s->table, r->p)->name, r->p->on_node.pid);
}
