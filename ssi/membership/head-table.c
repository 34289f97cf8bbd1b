/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the names of the engine's nodes: a chained hash table (FNV-1a) that doubles. Names come from nodes.d, not from the network. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ssi/membership/head-internal.h"

#define TABLE_FIRST 64

static size_t table_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return (size_t)(h ^ (h >> 32));
}

static struct head_node **table_place(struct head_node **slots, size_t n_slots, const char *name)
{
	return &slots[table_hash(name) & (n_slots - 1)];
}

struct head_node *head_table_find(const struct head_table *t, const char *name)
{
	struct head_node *n = t->n_slots ? *table_place(t->slots, t->n_slots, name) : NULL;

	while (n && strcmp(n->pub.name, name))
		n = n->chain;
	return n;
}

static int table_grow(struct head_table *t)
{
	size_t n_slots = t->n_slots ? t->n_slots * 2 : TABLE_FIRST;
	struct head_node **slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_slots; i++)
		for (struct head_node *n = t->slots[i], *next; n; n = next) {
			struct head_node **to = table_place(slots, n_slots, n->pub.name);
			next = n->chain;
			n->chain = *to;
			*to = n;
		}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return 0;
}

int head_table_add(struct head_table *t, struct head_node *n)
{
	struct head_node **to;

	if (t->n >= t->n_slots && table_grow(t) < 0)
		return -ENOMEM;
	to = table_place(t->slots, t->n_slots, n->pub.name);
	n->chain = *to;
	*to = n;
	t->n++;
	return 0;
}

void head_table_remove(struct head_table *t, struct head_node *n)
{
	struct head_node **at = table_place(t->slots, t->n_slots, n->pub.name);

	while (*at != n)
		at = &(*at)->chain;
	*at = n->chain;
	t->n--;
}

void head_table_free(struct head_table *t)
{
	free(t->slots);
	*t = (struct head_table){ 0 };
}
