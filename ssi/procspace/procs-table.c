/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns how the processes of nodes stand in the merged system: whose parents and groups they have there. Called when somebody looks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/procspace/procs-internal.h"

#define KTHREADD 2

/* A node's number of a process, in the merged system; or what it is where there is none. */
static uint32_t merged(const struct procs_node *n, uint32_t pid, uint32_t otherwise)
{
	const struct procs_entry *e = pid ? procs_entry_find(n, pid) : NULL;

	return e && e->number ? e->number : otherwise;
}

static uint32_t parent(const struct procs_node *n, const struct ssi_process *p)
{
	if (!p->ppid)
		return p->pid == KTHREADD ? 0 : 1;
	return merged(n, p->ppid, 1);
}

static void row(const struct procs_node *n, const struct procs_entry *e, uint32_t node, bool silent, struct ssi_proctable_row *ret)
{
	struct ssi_proctable_process *q = &ret->p;

	*ret = (struct ssi_proctable_row){ .p = { .pid = e->number, .node = node, .cmdline_len = e->cmdline_len, .on_node = e->p }, .cmdline = e->cmdline };
	q->ppid = parent(n, &e->p);
	q->pgrp = merged(n, e->p.pgrp, 0);
	q->session = merged(n, e->p.session, 0);
	q->job = e->number < SSI_PID_REMOTE_FIRST;
	q->start_ms = n->boot_ms + e->p.start * 10;
	if (silent || !e->p.state || !strchr("RSDTtZXI", e->p.state))
		q->on_node.state = 'D';
}

static int by_number(const void *a, const void *b)
{
	const struct procs_node *const *x = a, *const *y = b;

	return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

/* The nodes that count, by number; the others are forgotten. */
static int nodes_that_count(struct ssi_procs *p, struct procs_node ***ret, size_t *ret_n, size_t *ret_rows)
{
	struct procs_node *n, *next, **list = NULL;
	size_t k = 0, cap = 0, rows = 0;
	const char *system;

	for (size_t i = 0; i < PROCS_BUCKETS; i++)
		for (n = LIST_FIRST(&p->nodes[i]); n; n = next) {
			next = LIST_NEXT(n, link);
			if (p->ops->known(n->name, &system, p->userdata) == SSI_PROCS_HIDDEN) {
				procs_node_forget(p, n);
				continue;
			}
			if (k == cap) {
				struct procs_node **more = reallocarray(list, cap = cap ? 2 * cap : 64, sizeof(*list));

				if (!more) {
					free(list);
					return -ENOMEM;
				}
				list = more;
			}
			list[k++] = n;
			rows += n->n;
		}
	if (k)
		qsort(list, k, sizeof(*list), by_number);
	*ret = list;
	*ret_n = k;
	*ret_rows = rows;
	return 0;
}

int ssi_procs_table(struct ssi_procs *p, struct ssi_buf *ret)
{
	_cleanup_free_ struct procs_node **list = NULL;
	_cleanup_free_ struct ssi_proctable_node *nodes = NULL;
	_cleanup_free_ struct ssi_proctable_row *rows = NULL;
	size_t n, n_rows, at = 0;
	int r = nodes_that_count(p, &list, &n, &n_rows);

	if (r < 0)
		return r;
	nodes = calloc(n + 1, sizeof(*nodes));
	rows = calloc(n_rows + 1, sizeof(*rows));
	if (!nodes || !rows)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *system = "";
		bool silent = p->ops->known(list[i]->name, &system, p->userdata) == SSI_PROCS_SILENT;

		nodes[i] = (struct ssi_proctable_node){ .number = list[i]->number, .incarnation = list[i]->incarnation, .boot_ms = list[i]->boot_ms, .seen_ms = list[i]->seen_ms };
		snprintf(nodes[i].name, sizeof(nodes[i].name), "%s", list[i]->name);
		snprintf(nodes[i].system, sizeof(nodes[i].system), "%s", system);
		for (size_t k = 0; k < list[i]->n; k++)
			if (list[i]->entries[k].p.job_pid)
				procs_entry_number(p, list[i], &list[i]->entries[k]);
		for (size_t k = 0; k < list[i]->n; k++)
			if (list[i]->entries[k].number)
				row(list[i], &list[i]->entries[k], (uint32_t)i, silent, &rows[at++]);
	}
	return ssi_proctable_write(nodes, n, rows, at, p->ops->wall(p->userdata), ret);
}
