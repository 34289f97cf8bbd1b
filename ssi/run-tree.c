/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "run" with many nodes: who gets the program's files from whom (run.h). Called by run-many.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libssi/base/hash.h"
#include "ssi/run.h"

#define TREE_NODES 3                     /* with fewer there is no tree */
#define TREE_BYTES (1u << 20)            /* less is there before anybody has been told where it is to be had */
#define TREE_TAKERS 2                    /* at a time: a node's line is shared by them */

int run_tree_open(struct run_tree *t, size_t max)
{
	*t = (struct run_tree){ .max = max };
	t->nodes = calloc(max + 1, sizeof(*t->nodes));
	return t->nodes ? ssi_hash_random(t->key, sizeof(t->key)) : -ENOMEM;
}

void run_tree_close(struct run_tree *t)
{
	free(t->nodes);
	explicit_bzero(t, sizeof(*t));
}

void run_tree_add(struct run_tree *t, struct run_tree_node *o, struct ssi_run *r)
{
	o->tree = t;
	o->run = r;
	o->job = ssi_run_place(r)->job;
	t->nodes[t->n++] = o;
}

static struct run_tree_node *tree_giver(const struct run_tree *t)
{
	struct run_tree_node *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		struct run_tree_node *o = t->nodes[i];

		if (o->has && o->port > 0 && o->takers < TREE_TAKERS && (!best || o->takers < best->takers))
			best = o;
	}
	return best;
}

/* Is somebody going to be a giver, or one already, with time for others later? */
static bool tree_hopes(const struct run_tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct run_tree_node *o = t->nodes[i];

		if (o->run && !o->has && (o->what == TREE_FIRST || o->what == TREE_TAKES))
			return true;
		if (o->has && (o->port > 0 || (o->port < 0 && o->run)))
			return true;
	}
	return false;
}

static void tree_from_here(struct run_tree_node *o)
{
	o->what = TREE_FIRST;
	o->port = -1;
	ssi_run_give(o->run, o->tree->key);
	ssi_run_send(o->run);
}

static void tree_take(struct run_tree_node *o, struct run_tree_node *from)
{
	o->what = TREE_TAKES;
	o->from = from;
	o->port = -1;
	from->takers++;
	ssi_run_give(o->run, o->tree->key);
	ssi_run_take(o->run, from->job, (unsigned)from->port, o->tree->key);
}

static void tree_go(struct run_tree *t)
{
	struct run_tree_node *giver;

	for (size_t i = 0; i < t->n; i++) {
		struct run_tree_node *o = t->nodes[i];

		if (o->what != TREE_WAITS || !o->run)
			continue;
		giver = tree_giver(t);
		if (giver)
			tree_take(o, giver);
		else if (!tree_hopes(t))
			tree_from_here(o);
	}
}

static void tree_took(struct run_tree_node *o, bool whole)
{
	if (o->from) {
		o->from->takers--;
		if (!whole)
			o->from->port = 0;       /* once is enough: others are there, and we */
	}
	o->from = NULL;
	o->what = TREE_FED;
}

bool run_tree_need(struct run_tree_node *o, uint64_t bytes)
{
	struct run_tree *t = o->tree;

	if (!t || t->max < TREE_NODES)
		return false;
	if (o->what == TREE_TAKES)
		tree_took(o, !bytes);
	else if (o->what == TREE_NEW && bytes < TREE_BYTES)
		o->what = TREE_FED;
	else if (o->what == TREE_NEW)
		o->what = TREE_WAITS;
	tree_go(t);
	return o->what == TREE_WAITS || o->what == TREE_TAKES;
}

void run_tree_gives(struct run_tree_node *o, unsigned port)
{
	o->port = (int)port;
	tree_go(o->tree);
}

void run_tree_started(struct run_tree_node *o)
{
	if (o->has || !o->tree)
		return;
	o->has = true;
	tree_go(o->tree);
}

void run_tree_end(struct run_tree_node *o)
{
	if (!o->tree)
		return;
	if (o->what == TREE_TAKES)
		tree_took(o, true);
	if (!o->has || o->port < 0)
		o->port = 0;
	o->run = NULL;
	o->what = TREE_FED;                  /* what is started again elsewhere is sent it from here */
	tree_go(o->tree);
}
