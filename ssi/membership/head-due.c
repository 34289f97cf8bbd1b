/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the order of the engine's deadlines: a binary heap, each node knowing its place. A heartbeat does not touch it: a deadline that
 * comes and finds that its node was heard of is set anew, once for many heartbeats.
 */
#include <errno.h>
#include <stdlib.h>
#include "ssi/membership/head-internal.h"

/* Places count from 1: 0 says "not in here". */
static struct head_node *due_at(const struct head_due *d, size_t i)
{
	return d->heap[i - 1];
}

static void due_put(struct head_due *d, size_t i, struct head_node *n)
{
	d->heap[i - 1] = n;
	n->slot = i;
}

static void due_up(struct head_due *d, struct head_node *n)
{
	size_t i = n->slot;

	for (; i > 1 && due_at(d, i / 2)->due > n->due; i /= 2)
		due_put(d, i, due_at(d, i / 2));
	due_put(d, i, n);
}

static void due_down(struct head_due *d, struct head_node *n)
{
	size_t i = n->slot, child;

	for (; (child = 2 * i) <= d->n; i = child) {
		if (child < d->n && due_at(d, child + 1)->due < due_at(d, child)->due)
			child++;
		if (due_at(d, child)->due >= n->due)
			break;
		due_put(d, i, due_at(d, child));
	}
	due_put(d, i, n);
}

int head_due_set(struct head_due *d, struct head_node *n, uint64_t due)
{
	if (!n->slot) {
		if (d->n == d->cap) {
			size_t cap = d->cap ? d->cap * 2 : 64;
			struct head_node **heap = realloc(d->heap, cap * sizeof(*heap));
			if (!heap)
				return -ENOMEM;
			d->heap = heap;
			d->cap = cap;
		}
		due_put(d, ++d->n, n);
	}
	n->due = due;
	due_up(d, n);
	due_down(d, n);
	return 0;
}

void head_due_clear(struct head_due *d, struct head_node *n)
{
	struct head_node *last;

	if (!n->slot)
		return;
	last = due_at(d, d->n--);
	if (last != n) {
		due_put(d, n->slot, last);
		due_up(d, last);
		due_down(d, last);
	}
	n->slot = 0;
}

struct head_node *head_due_first(const struct head_due *d)
{
	return d->n ? due_at(d, 1) : NULL;
}

void head_due_free(struct head_due *d)
{
	free(d->heap);
	*d = (struct head_due){ 0 };
}
