/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the nodes of which processes are known. Called by ccm and by the daemon. */
#include "ssi/procspace/procs-head.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/hash.h"
#include "ssi/procspace/procs-internal.h"
#include "ssi/procspace/procs-node.h"

struct procs_node *procs_node_find(const struct ssi_procs *p, uint32_t number)
{
	struct procs_node *n;

	LIST_FOREACH(n, &p->nodes[number % PROCS_BUCKETS], link)
		if (n->number == number)
			return n;
	return NULL;
}

struct procs_node *procs_node_add(struct ssi_procs *p, uint32_t number, const char *name, uint64_t incarnation)
{
	struct procs_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->number = number;
	n->incarnation = incarnation;
	LIST_INSERT_HEAD(&p->nodes[number % PROCS_BUCKETS], n, link);
	return n;
}

void procs_node_forget(struct ssi_procs *p, struct procs_node *n)
{
	LIST_REMOVE(n, link);
	for (size_t i = 0; i < n->n; i++)
		procs_entry_free(p, n, &n->entries[i]);
	free(n->entries);
	free(n);
}

/* Who speaks, as it is known; of a boot before nothing is left. */
static struct procs_node *speaker(struct ssi_procs *p, struct ssi_ccm_conn *c)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);
	uint32_t number = ssi_ccm_node(c);
	struct procs_node *n = procs_node_find(p, number);

	if (n && (n->incarnation != id->incarnation || strcmp(n->name, id->who) != 0)) {
		procs_node_forget(p, n);
		n = NULL;
	}
	if (!n)
		n = procs_node_add(p, number, id->who, id->incarnation);
	if (n && n->conn != c) {
		n->conn = c;
		n->begun = false;
	}
	return n;
}

static int on_processes(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_procs *p = userdata;
	struct procs_node *n = speaker(p, c);

	if (!n)
		return -ENOMEM;
	n->seen_ms = p->ops->wall(p->userdata);
	p->ops->told(p->userdata);
	return procs_take(p, n, body, f->size);
}

int ssi_procs_new(struct ssi_ccm *m, const struct ssi_procs_ops *ops, void *userdata, struct ssi_procs **ret)
{
	struct ssi_procs *p = calloc(1, sizeof(*p));
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_PROCSPACE, SSI_PROCSPACE_PROCS, SSI_PROCS_MESSAGE_MAX, SSI_FROM_NODE, on_processes, p },
		{ SSI_MOD_PROCSPACE, SSI_PROCSPACE_ACTED, 1024, SSI_FROM_NODE, procs_on_acted, p },
	};
	uint32_t first = 0;
	int r = p ? ssi_hash_random(&first, sizeof(first)) : -ENOMEM;

	if (r == 0) {
		p->ops = ops;
		p->userdata = userdata;
		p->numbers = ssi_procs_numbers_new(first);
		r = p->numbers ? ssi_ccm_register(m, rules, sizeof(rules) / sizeof(*rules)) : -ENOMEM;
	}
	if (r < 0) {
		ssi_procs_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void ssi_procs_free(struct ssi_procs *p)
{
	struct procs_node *n;
	struct procs_call *call;

	if (!p)
		return;
	for (size_t i = 0; i < PROCS_BUCKETS; i++)
		while ((n = LIST_FIRST(&p->nodes[i])))
			procs_node_forget(p, n);
	while ((call = LIST_FIRST(&p->calls))) {
		LIST_REMOVE(call, link);
		free(call);
	}
	ssi_procs_numbers_free(p->numbers);
	free(p);
}

static void restore_one(struct ssi_procs *p, const struct ssi_proctable *t, const struct ssi_proctable_process *row)
{
	const struct ssi_proctable_node *from = ssi_proctable_node(t, row);
	struct procs_node *n = procs_node_find(p, from->number);
	struct procs_entry *e;

	if (!n)
		n = procs_node_add(p, from->number, from->name, from->incarnation);
	if (!n || procs_entry_find(n, row->on_node.pid) || ssi_procs_number_claim(p->numbers, row->pid, from->number) < 0)
		return;
	n->boot_ms = from->boot_ms;
	n->seen_ms = from->seen_ms;
	e = procs_entry_add(n, row->on_node.pid);
	if (!e) {
		ssi_procs_number_put(p->numbers, row->pid);
		return;
	}
	e->p = row->on_node;
	e->number = row->pid;
}

void ssi_procs_restore(struct ssi_procs *p, const struct ssi_proctable *t)
{
	for (uint32_t i = 0; i < t->head->n; i++)
		restore_one(p, t, &t->processes[i]);
}

const char *ssi_procs_node_of(const struct ssi_procs *p, uint32_t pid)
{
	const struct procs_node *n = procs_node_find(p, ssi_procs_number_owner(p->numbers, pid));

	return n ? n->name : NULL;
}
