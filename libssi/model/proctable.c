/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the form of RUN/view/processes. Called by the daemon, who writes it, and by what shows processes. It checks all of a table at once, so that its
 * readers need not.
 */
#include "libssi/model/proctable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ssi_process) % 8 == 0 && sizeof(struct ssi_proctable_node) % 8 == 0 && sizeof(struct ssi_proctable_process) % 8 == 0 &&
	       sizeof(struct ssi_proctable_head) % 8 == 0, "each part of the table begins aligned");

static bool text_ends(const char *s, size_t n)
{
	return memchr(s, '\0', n);
}

static int check_nodes(const struct ssi_proctable *t, struct ssi_err *e)
{
	for (uint32_t i = 0; i < t->head->n_nodes; i++)
		if (!text_ends(t->nodes[i].name, sizeof(t->nodes[i].name)) || !text_ends(t->nodes[i].system, sizeof(t->nodes[i].system)))
			return ssi_errf(e, -EBADMSG, "not a table of processes: node %u has no end of its name", i);
	return 0;
}

static int check_processes(const struct ssi_proctable *t, uint64_t text, struct ssi_err *e)
{
	for (uint32_t i = 0; i < t->head->n; i++) {
		const struct ssi_proctable_process *p = &t->processes[i];

		if (i && p->pid <= p[-1].pid)
			return ssi_errf(e, -EBADMSG, "not a table of processes: number %u is out of order", p->pid);
		if (p->node >= t->head->n_nodes || !text_ends(p->on_node.comm, sizeof(p->on_node.comm)))
			return ssi_errf(e, -EBADMSG, "not a table of processes: process %u has no node, or no name", p->pid);
		if (p->cmdline > text || p->cmdline_len > text - p->cmdline || (p->cmdline_len && t->text[p->cmdline + p->cmdline_len - 1]))
			return ssi_errf(e, -EBADMSG, "not a table of processes: the command line of %u lies outside of it", p->pid);
	}
	return 0;
}

int ssi_proctable_read(const void *p, size_t n, struct ssi_proctable *ret, struct ssi_err *e)
{
	const struct ssi_proctable_head *h = p;
	struct ssi_proctable t = { .head = h };
	uint64_t nodes, processes;
	int r;

	if (n < sizeof(*h) || h->magic != SSI_PROCTABLE_MAGIC)
		return ssi_errf(e, -EBADMSG, "not a table of processes");
	if (h->version != SSI_PROCTABLE_VERSION)
		return ssi_errf(e, -EBADMSG, "a table of processes of version %u, and %u is known: the daemon and this program are of different versions", h->version,
				SSI_PROCTABLE_VERSION);
	nodes = (uint64_t)h->n_nodes * sizeof(*t.nodes);
	processes = (uint64_t)h->n * sizeof(*t.processes);
	if (h->size != n || nodes > n - sizeof(*h) || processes > n - sizeof(*h) - nodes)
		return ssi_errf(e, -EBADMSG, "a table of processes that is cut off");
	t.nodes = (const void *)(h + 1);
	t.processes = (const void *)(t.nodes + h->n_nodes);
	t.text = (const void *)(t.processes + h->n);
	r = check_nodes(&t, e);
	if (r >= 0)
		r = check_processes(&t, n - sizeof(*h) - nodes - processes, e);
	if (r >= 0)
		*ret = t;
	return r;
}

const struct ssi_proctable_process *ssi_proctable_find(const struct ssi_proctable *t, uint32_t pid)
{
	size_t low = 0, high = t->head->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->processes[mid].pid == pid)
			return &t->processes[mid];
		if (t->processes[mid].pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int by_pid(const void *a, const void *b)
{
	const struct ssi_proctable_row *x = a, *y = b;

	return x->p.pid < y->p.pid ? -1 : x->p.pid > y->p.pid;
}

int ssi_proctable_write(const struct ssi_proctable_node *nodes, size_t n_nodes, struct ssi_proctable_row *rows, size_t n,
			uint64_t written_ms, struct ssi_buf *ret)
{
	struct ssi_proctable_head h = { .magic = SSI_PROCTABLE_MAGIC, .version = SSI_PROCTABLE_VERSION, .n_nodes = (uint32_t)n_nodes, .n = (uint32_t)n,
		.written_ms = written_ms };
	uint64_t text = 0;

	if (n_nodes > UINT32_MAX || n > SSI_PID_END)
		return -E2BIG;
	if (n)
		qsort(rows, n, sizeof(*rows), by_pid);
	for (size_t i = 0; i < n; i++) {
		rows[i].p.cmdline = (uint32_t)text;
		text += rows[i].p.cmdline_len;
		if (text > UINT32_MAX)
			return -E2BIG;
	}
	h.size = sizeof(h) + n_nodes * sizeof(*nodes) + n * sizeof(struct ssi_proctable_process) + text;
	if (!ssi_buf_reserve(ret, h.size))
		return -ENOMEM;
	ssi_buf_add(ret, &h, sizeof(h));
	ssi_buf_add(ret, nodes, n_nodes * sizeof(*nodes));
	for (size_t i = 0; i < n; i++)
		ssi_buf_add(ret, &rows[i].p, sizeof(rows[i].p));
	for (size_t i = 0; i < n; i++)
		ssi_buf_add(ret, rows[i].cmdline, rows[i].p.cmdline_len);
	return ret->err;
}
