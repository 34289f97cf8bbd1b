/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the last load of every node. Called by ccm and by the daemon. A message that does not follow on what is here is passed over: the
 * node tells all of it within the minute.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/map.h"
#include "ssi/procspace/load-head.h"
#include "ssi/procspace/load.h"
#include "ssi/procspace/procspace.pb-c.h"

struct load_node {
	struct ssi_load_of of;
	const struct ssi_ccm_conn *conn;     /* who said it; NULL: gone */
	uint64_t sequence;
	struct ssi_load *load;
	uint64_t *values;
	struct { uint64_t all, idle; } spent;    /* by all processors so far */
};

struct ssi_load_head {
	const struct ssi_load_ops *ops;
	void *userdata;
	struct ssi_map nodes;
};

static struct load_node *node_at(struct ssi_load_head *h, const char *name)
{
	struct load_node *n = ssi_map_get(&h->nodes, name);

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	snprintf(n->of.name, sizeof(n->of.name), "%s", name);
	if (ssi_map_put(&h->nodes, n->of.name, n) < 0)
		free(TAKE_PTR(n));
	return n;
}

static void node_empty(struct load_node *n)
{
	free(TAKE_PTR(n->load));
	n->of.load = NULL;
	n->conn = NULL;
}

/* How busy its processors were between two messages. The guest columns are in user and nice already. */
static void node_count(struct load_node *n, bool first)
{
	uint64_t all = 0, idle = 0, went;

	for (uint32_t i = 0; i < n->load->shape.n_cpus; i++) {
		const uint64_t *t = ssi_load_cpu(n->load, i);

		for (int k = 0; k < 8; k++)
			all += t[k];
		idle += t[3] + t[4];
	}
	went = first || all <= n->spent.all ? 0 : all - n->spent.all;
	if (went) {
		uint64_t rested = idle > n->spent.idle ? idle - n->spent.idle : 0;

		rested = rested > went ? went : rested;
		n->of.busy = (uint32_t)((went - rested) * 1000 / went);
	}
	n->of.idle_cpus = (1000 - n->of.busy) * n->load->shape.n_cpus / 10;
	n->spent.all = all;
	n->spent.idle = idle;
}

static int node_take(struct load_node *n, const struct ssi_ccm_conn *c, uint64_t sequence, const Ssi__Procspace__Load *m)
{
	bool first = !n->load;
	int r;

	if (m->shape) {
		struct ssi_load *fresh;
		uint64_t *values;

		r = ssi_load_take_shape(m, &fresh, &values);
		if (r < 0)
			return r;
		node_empty(n);
		n->load = fresh;
		n->values = values;
	} else if (!n->load || n->conn != c || sequence != n->sequence + 1) {
		return -ESTALE;
	}
	r = ssi_load_take_values(m, n->load, n->values);
	if (r < 0) {
		node_empty(n);
		return r;
	}
	n->conn = c;
	n->sequence = sequence;
	n->of.load = n->load;
	n->of.taken_ms = ssi_clock_wall_ms();
	node_count(n, first);
	return 0;
}

static int head_on_load(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_load_head *h = userdata;
	Ssi__Procspace__Load *m;
	struct load_node *n;
	int r;

	if (!h->ops->member(c, h->userdata))
		return 0;
	m = ssi__procspace__load__unpack(NULL, f->size, body);
	if (!m)
		return -EBADMSG;
	n = node_at(h, ssi_ccm_identity(c)->who);
	r = n ? node_take(n, c, f->sequence, m) : -ENOMEM;
	ssi__procspace__load__free_unpacked(m, NULL);
	if (r == 0)
		h->ops->told(&n->of, h->userdata);
	return r == -EBADMSG ? r : 0;
}

int ssi_load_head_new(struct ssi_ccm *m, const struct ssi_load_ops *ops, void *userdata, struct ssi_load_head **ret)
{
	_cleanup_free_ struct ssi_load_head *h = calloc(1, sizeof(*h));
	struct ssi_ccm_rule rule = { SSI_MOD_PROCSPACE, SSI_PROCSPACE_LOAD, SSI_LOAD_MESSAGE_MAX, SSI_FROM_NODE, head_on_load, h };
	int r;

	if (!h)
		return -ENOMEM;
	h->ops = ops;
	h->userdata = userdata;
	r = ssi_ccm_register(m, &rule, 1);
	if (r >= 0)
		*ret = TAKE_PTR(h);
	return r;
}

void ssi_load_head_free(struct ssi_load_head *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nodes.cap; i++)
		if (h->nodes.slots[i].key) {
			struct load_node *n = h->nodes.slots[i].value;

			free(n->load);
			free(n);
		}
	ssi_map_free(&h->nodes);
	free(h);
}

const struct ssi_load_of *ssi_load_head_get(const struct ssi_load_head *h, const char *name)
{
	const struct load_node *n = ssi_map_get(&h->nodes, name);

	return n && n->load ? &n->of : NULL;
}

void ssi_load_head_forget(struct ssi_load_head *h, const char *name)
{
	struct load_node *n = ssi_map_get(&h->nodes, name);

	if (n)
		node_empty(n);
}

void ssi_load_head_closed(struct ssi_load_head *h, struct ssi_ccm_conn *c)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);
	struct load_node *n = id ? ssi_map_get(&h->nodes, id->who) : NULL;

	if (n && n->conn == c)
		n->conn = NULL;
}
