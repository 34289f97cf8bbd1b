/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a station's peers: the table of them, their lanes, and as whom the station speaks to each. A peer, once made, stays until the station is freed:
 * so one is found without a lock, and a number that was parted with and comes back finds its place again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/station-internal.h"

#define TABLE_MIN 64

static size_t table_slot(uint32_t node, size_t cap)
{
	return (node * 2654435761u) & (cap - 1);
}

struct station_peer *station_peer_find(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
	struct station_peer *p;

	for (size_t i = table_slot(node, t->cap); (p = atomic_load_explicit(&t->slots[i], memory_order_acquire)); i = (i + 1) & (t->cap - 1))
		if (p->node == node)
			return p;
	return NULL;
}

static void table_put(struct station_table *t, struct station_peer *p)
{
	size_t i = table_slot(p->node, t->cap);

	while (atomic_load_explicit(&t->slots[i], memory_order_relaxed))
		i = (i + 1) & (t->cap - 1);
	atomic_store_explicit(&t->slots[i], p, memory_order_release);
}

/* A larger table beside the old one, which somebody may be searching; together they are no more than twice the last. */
static int table_grow(struct ssi_ccm_station *s, size_t cap)
{
	struct station_table *old = atomic_load(&s->table), *t = calloc(1, sizeof(*t) + cap * sizeof(t->slots[0]));
	struct station_peer **all = realloc(s->all, cap / 2 * sizeof(*all));

	if (all)
		s->all = all;
	if (!t || !all) {
		free(t);
		return -ENOMEM;
	}
	t->cap = cap;
	t->older = old;
	for (unsigned i = 0; i < s->n_peers; i++)
		table_put(t, s->all[i]);
	atomic_store_explicit(&s->table, t, memory_order_release);
	return 0;
}

static struct station_peer *peer_new(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->s = s;
	p->node = p->remote = p->remote_next = node;
	p->self = p->self_next = &s->self;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->room, NULL);
	pthread_cond_init(&p->idle, NULL);
	STAILQ_INIT(&p->out.exts);
	TAILQ_INIT(&p->waiters);
	TAILQ_INIT(&p->asyncs);
	TAILQ_INIT(&p->inbox);
	return p;
}

static void self_free(struct station_peer *p, const struct station_self *self)
{
	if (self != &p->s->self)
		free((void *)self);
}

static void peer_free(struct station_peer *p)
{
	struct station_lane *lane, *next;

	station_session_free(p);
	for (lane = atomic_load(&p->lanes); lane; lane = next) {
		next = lane->next;
		free(lane);
	}
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->idle);
	station_peer_turn_to(p, &p->s->self, p->node);
	self_free(p, p->self);
	free(p->why);
	free(p->id);
	free(p);
}

int station_peer_add(struct ssi_ccm_station *s, uint32_t node, struct station_peer **ret)
{
	struct station_peer *p;
	int r = 0;

	pthread_mutex_lock(&s->peers_lock);
	p = station_peer_find(s, node);
	if (!p && s->n_peers >= s->config.max_peers)
		r = -E2BIG;
	if (!p && !r && (s->n_peers + 1) * 2 > s->table->cap)
		r = table_grow(s, s->table->cap * 2);
	if (!p && !r) {
		p = peer_new(s, node);
		if (p) {
			s->all[s->n_peers] = p;
			table_put(s->table, p);
			s->n_peers++;
		} else
			r = -ENOMEM;
	}
	pthread_mutex_unlock(&s->peers_lock);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

const struct ssi_ccm_permit *station_permit_find(const struct ssi_ccm_station *s, uint32_t node, uint16_t module, uint16_t type)
{
	for (size_t i = 0; i < s->n_permits; i++) {
		const struct ssi_ccm_permit *l = &s->permits[i];

		if (l->module == module && (!l->type || l->type == type) && l->first <= node && node <= l->last)
			return l;
	}
	return NULL;
}

/* The largest frame of a module that a node may send; 0: none. */
static uint32_t permit_largest(const struct ssi_ccm_station *s, uint32_t node, uint16_t module)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < s->n_permits; i++) {
		const struct ssi_ccm_permit *m = &s->permits[i];

		if (m->module == module && m->first <= node && node <= m->last && m->max_size + STATION_HEADER > largest)
			largest = m->max_size + STATION_HEADER;
	}
	return largest;
}

/* What is in use stays as it is: other threads read it without the lock, and the old session's goodbye is still the old one's. */
void station_peer_turn_to(struct station_peer *p, const struct station_self *self, uint32_t remote)
{
	if (p->self_next != p->self)
		self_free(p, p->self_next);
	p->self_next = self;
	p->remote_next = remote;
}

void station_peer_forget(struct station_peer *p)
{
	p->known = false;
	p->part_at = 0;
	p->parted = p->session;
	p->parting = true;
}

bool station_peer_adopt(struct station_peer *p)
{
	if (p->self == p->self_next && p->remote == p->remote_next)
		return true;
	if (p->session || p->conn || p->reader || p->out.writing)
		return false;
	if (p->self != p->self_next)
		self_free(p, p->self);
	p->self = p->self_next;
	p->remote = p->remote_next;
	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next) {
		l->permit = NULL;            /* it was the other one's */
		l->largest = permit_largest(p->s, p->remote, l->module);
	}
	return true;
}

struct station_lane *station_lane_get(struct station_peer *p, uint16_t module)
{
	struct station_lane *l = station_lane_find(p, module);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->module = module;
	l->largest = permit_largest(p->s, p->remote, module);
	TAILQ_INIT(&l->queue);
	l->next = atomic_load_explicit(&p->lanes, memory_order_relaxed);
	atomic_store_explicit(&p->lanes, l, memory_order_release);
	return l;
}

int station_peers_new(struct ssi_ccm_station *s)
{
	return table_grow(s, TABLE_MIN);
}

void station_peers_free(struct ssi_ccm_station *s)
{
	struct station_table *t, *older;

	for (unsigned i = 0; i < s->n_peers; i++)
		peer_free(s->all[i]);
	for (t = atomic_load(&s->table); t; t = older) {
		older = t->older;
		free(t);
	}
	free(s->all);
}

const struct ssi_identity *ssi_ccm_identity_of(const struct ssi_ccm_station *s, uint32_t node)
{
	const struct station_peer *p = station_peer_find((struct ssi_ccm_station *)s, node);

	return p ? p->id : NULL;
}

struct in_addr ssi_ccm_address_of(const struct ssi_ccm_station *s, uint32_t node)
{
	const struct station_peer *p = station_peer_find((struct ssi_ccm_station *)s, node);

	return p ? p->from : (struct in_addr){ 0 };
}

const struct ssi_err *ssi_ccm_why(const struct ssi_ccm_station *s, uint32_t node)
{
	static const struct ssi_err unknown = { .code = -EHOSTDOWN, .text = "the session ended" };
	const struct station_peer *p = station_peer_find((struct ssi_ccm_station *)s, node);

	return p && p->why ? p->why : &unknown;
}

bool ssi_ccm_is_up(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_peer *p = station_peer_find(s, node);
	bool up;

	if (!p)
		return false;
	pthread_mutex_lock(&p->lock);
	up = p->known && p->state == PEER_UP;
	pthread_mutex_unlock(&p->lock);
	return up;
}

bool ssi_ccm_unread(const struct ssi_ccm_station *s, uint32_t node)
{
	const struct station_peer *p = station_peer_find((struct ssi_ccm_station *)s, node);

	return p && p->conn && station_conn_unread(p->conn);
}

void ssi_ccm_set_userdata_of(struct ssi_ccm_station *s, uint32_t node, void *userdata)
{
	struct station_peer *p = station_peer_find(s, node);

	if (p)
		p->userdata = userdata;
}

void *ssi_ccm_userdata_of(const struct ssi_ccm_station *s, uint32_t node)
{
	const struct station_peer *p = station_peer_find((struct ssi_ccm_station *)s, node);

	return p ? p->userdata : NULL;
}
