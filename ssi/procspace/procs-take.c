/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns how a node's message changes what is known of it. Called for each message; nothing in it is believed but as that node's own word about its own
 * processes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ssi/boot/text.h"
#include "ssi/procspace/procs-internal.h"
#include "ssi/procspace/procs-node.h"
#include "ssi/procspace/procs-use.h"
#include "ssi/procspace/procspace.pb-c.h"

#define TAKE_BORN_MAX 512                /* processes in a message: a node has room for fewer, and each may move all others */
#define TAKE_TEXT_MAX (8u << 20)         /* bytes of command lines of a node */

void procs_entry_free(struct ssi_procs *p, struct procs_node *n, struct procs_entry *e)
{
	ssi_procs_number_put(p->numbers, e->number);
	n->text -= e->cmdline_len;
	free(e->cmdline);
}

/* Where pid is, or would be. */
static size_t place(const struct procs_node *n, uint32_t pid)
{
	size_t low = 0, high = n->n;

	if (n->n && n->entries[n->n - 1].p.pid < pid)
		return n->n;                     /* they come in order */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (n->entries[mid].p.pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct procs_entry *procs_entry_find(const struct procs_node *n, uint32_t pid)
{
	size_t at = place(n, pid);

	return at < n->n && n->entries[at].p.pid == pid ? &n->entries[at] : NULL;
}

struct procs_entry *procs_entry_add(struct procs_node *n, uint32_t pid)
{
	size_t at = place(n, pid);

	if (n->n == SSI_PROCS_MAX)
		return NULL;
	if (n->n == n->cap) {
		size_t cap = n->cap ? 2 * n->cap : 64;
		struct procs_entry *entries = reallocarray(n->entries, cap, sizeof(*entries));

		if (!entries)
			return NULL;
		n->entries = entries;
		n->cap = cap;
	}
	memmove(&n->entries[at + 1], &n->entries[at], (n->n - at) * sizeof(*n->entries));
	n->n++;
	n->entries[at] = (struct procs_entry){ .p.pid = pid };
	return &n->entries[at];
}

/* The number in a job's namespace, if it is the job's first process: its parent is the keeper, outside of that. A job's number is below REMOTE_FIRST. */
static uint32_t first_of_job(const struct procs_node *n, const struct procs_entry *e)
{
	const struct procs_entry *parent = e->p.job_pid > 1 && e->p.job_pid < SSI_PID_REMOTE_FIRST ? procs_entry_find(n, e->p.ppid) : NULL;

	return parent && !parent->p.job_pid ? e->p.job_pid : 0;
}

/* A job's first process has the number of the job, if that is so and nobody has it; any other the next one. */
void procs_entry_number(struct ssi_procs *p, const struct procs_node *n, struct procs_entry *e)
{
	uint32_t job = first_of_job(n, e);

	if (e->number && (e->number == job || !job || e->number < SSI_PID_REMOTE_FIRST))
		return;
	if (job && (!p->ops->job || p->ops->job(job, n->name, p->userdata)) &&
	    ssi_procs_number_claim(p->numbers, job, n->number) == 0) {
		ssi_procs_number_put(p->numbers, e->number);
		e->number = job;
	}
	if (!e->number)
		e->number = ssi_procs_number_get(p->numbers, n->number);
}

static void cmdline(struct procs_node *n, struct procs_entry *e, const ProtobufCBinaryData *b)
{
	size_t len = b->len > SSI_PROCTABLE_CMDLINE_MAX ? SSI_PROCTABLE_CMDLINE_MAX : b->len;
	char *copy;

	n->text -= e->cmdline_len;
	free(e->cmdline);
	e->cmdline = NULL;
	e->cmdline_len = 0;
	copy = len && n->text + len + 1 <= TAKE_TEXT_MAX ? malloc(len + 1) : NULL;
	if (!copy)
		return;
	memcpy(copy, b->data, len);
	if (copy[len - 1])
		copy[len++] = '\0';
	e->cmdline = copy;
	e->cmdline_len = (uint32_t)len;
	n->text += len;
}

static void ids(uint32_t to[4], const uint32_t *from, size_t n)
{
	for (size_t i = 0; i < 4; i++)
		to[i] = n == 4 ? from[i] : n ? from[0] : 65534;      /* nobody's: not root's because nothing was said */
}

static void name(char to[16], const ProtobufCBinaryData *b)
{
	char raw[16] = "";

	if (b->len)
		memcpy(raw, b->data, b->len > 15 ? 15 : b->len);
	memset(to, 0, 16);
	ssi_text_copy(to, 16, raw);
}

static void identity(struct ssi_process *p, const Ssi__Procspace__Process *m)
{
	p->ppid = m->ppid;
	p->pgrp = m->pgrp;
	p->session = m->session;
	p->tty = m->tty;
	p->tpgid = m->tpgid;
	p->flags = m->flags;
	ids(p->uid, m->uid, m->n_uid);
	ids(p->gid, m->gid, m->n_gid);
	p->priority = m->priority;
	p->nice = m->nice;
	p->rt_priority = m->rt_priority;
	p->policy = m->policy;
	p->job_pid = m->job_pid;
	p->start = m->start;
	p->blocked = m->blocked;
	p->ignored = m->ignored;
	p->caught = m->caught;
	name(p->comm, &m->comm);
}

static int take_process(struct ssi_procs *p, struct procs_node *n, const Ssi__Procspace__Process *m)
{
	struct procs_entry *e = procs_entry_find(n, m->pid);

	if (!m->pid || m->pid >= SSI_PID_END)
		return -EPROTO;
	if (e && e->p.start != m->start) {
		procs_entry_free(p, n, e);
		*e = (struct procs_entry){ .p.pid = m->pid };
	}
	if (!e)
		e = procs_entry_add(n, m->pid);
	else if (!e->told)
		e->p = (struct ssi_process){ .pid = m->pid };     /* the node counts its use from 0 again */
	if (!e)
		return n->n == SSI_PROCS_MAX ? -EPROTO : -ENOMEM;
	identity(&e->p, m);
	if (!m->same_cmdline)
		cmdline(n, e, &m->cmdline);
	e->told = true;
	procs_entry_number(p, n, e);
	return 0;
}

static int take_use(struct procs_node *n, const uint64_t *use, size_t n_use)
{
	uint64_t pid = 0;

	for (size_t at = 0; at < n_use;) {
		struct procs_entry *e;
		uint64_t mask;

		if (n_use - at < 2 || use[at] >= SSI_PID_END || use[at + 1] >> SSI_USES)
			return -EPROTO;
		pid += use[at++];
		mask = use[at++];
		if (pid >= SSI_PID_END || (size_t)__builtin_popcountll(mask) > n_use - at)
			return -EPROTO;
		e = procs_entry_find(n, (uint32_t)pid);
		for (unsigned i = 0; i < SSI_USES; i++) {
			if (!(mask >> i & 1))
				continue;
			if (e)
				ssi_procs_use_set(&e->p, i, ssi_procs_use_get(&e->p, i) + ssi_procs_unzigzag(use[at]));
			at++;
		}
	}
	return 0;
}

/* Those that are gone, at once: each for itself would move the others each time. untold: all is known, and what was not told is gone too. */
static void sweep(struct ssi_procs *p, struct procs_node *n, bool untold)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->n; i++) {
		if (!n->entries[i].gone && (n->entries[i].told || !untold))
			n->entries[kept++] = n->entries[i];
		else
			procs_entry_free(p, n, &n->entries[i]);
	}
	n->n = kept;
}

static int take_changes(struct ssi_procs *p, struct procs_node *n, const Ssi__Procspace__Processes *m)
{
	int r = 0;

	for (size_t i = 0; i < m->n_gone; i++) {
		struct procs_entry *e = procs_entry_find(n, m->gone[i]);

		if (e)
			e->gone = true;
	}
	if (m->n_gone)
		sweep(p, n, false);
	if (m->n_processes > TAKE_BORN_MAX)
		return -EPROTO;
	for (size_t i = 0; i < m->n_processes && r >= 0; i++)
		r = take_process(p, n, m->processes[i]);
	if (r >= 0)
		r = take_use(n, m->use, m->n_use);
	if (r >= 0 && m->complete)
		sweep(p, n, true);
	return r;
}

int procs_take(struct ssi_procs *p, struct procs_node *n, const uint8_t *body, size_t size)
{
	Ssi__Procspace__Processes *m = ssi__procspace__processes__unpack(NULL, size, body);
	int r = 0;

	if (!m)
		return -EBADMSG;
	if (m->anew) {
		for (size_t i = 0; i < n->n; i++)
			n->entries[i].told = false;
		n->boot_ms = m->boot_ms;
		n->begun = true;
	}
	r = n->begun ? take_changes(p, n, m) : -EPROTO;
	ssi__procspace__processes__free_unpacked(m, NULL);
	return r;
}
