/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a station from its making to its end, whom it knows, and what they may send. Called by programs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"
#include "libssi/comm/station-internal.h"

uint64_t station_deadline(unsigned timeout_ms)
{
	return timeout_ms == SSI_CCM_FOREVER ? UINT64_MAX : ssi_clock_mono_ms() + timeout_ms;
}

int station_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline)
{
	struct timespec t = { .tv_sec = (time_t)(deadline / 1000), .tv_nsec = (long)(deadline % 1000) * 1000000 };

	if (deadline == UINT64_MAX) {
		pthread_cond_wait(cond, lock);
		return 0;
	}
	return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &t) == ETIMEDOUT ? -ETIMEDOUT : 0;
}

static void config_default(struct ssi_ccm_station_config *c)
{
	static const struct ssi_ccm_station_ops none;

	c->ops = c->ops ? c->ops : &none;
	c->heartbeat_ms = c->heartbeat_ms ? c->heartbeat_ms : 500;
	c->dead_ms = c->dead_ms ? c->dead_ms : 3000;
	c->answer_ms = c->answer_ms ? c->answer_ms : 30000;
	c->connect_ms = c->connect_ms ? c->connect_ms : 5000;
	c->retain = c->retain ? c->retain : 4u << 20;
	c->window = c->window ? c->window : 4u << 20;
	c->max_peers = c->max_peers ? c->max_peers : 16384;
	c->workers = c->workers ? c->workers : 4;
}

static int config_check(const struct ssi_ccm_station_config *c, struct ssi_err *e)
{
	if (!c->incarnation || c->number == SSI_CCM_ANY_NODE)
		return ssi_errf(e, -EINVAL, "a station needs a number and an incarnation");
	if (c->plain && ntohl(c->address.s_addr) >> 24 != 127)
		return ssi_errf(e, -EPERM, "without TLS on 127.0.0.0/8 only");
	if (c->retain < STATION_WINDOW_MIN || c->window < STATION_WINDOW_MIN || c->retain > 1u << 30 || c->window > 1u << 30)
		return ssi_errf(e, -EINVAL, "windows are 64 KiB to 1 GiB");
	if (c->heartbeat_ms >= c->dead_ms / 2)
		return ssi_errf(e, -EINVAL, "a sign of life each %u ms: silence of %u ms breaks a connection", c->heartbeat_ms, c->dead_ms / 2);
	return 0;
}

int ssi_ccm_station_new(const struct ssi_ccm_station_config *config, struct ssi_ccm_station **ret, struct ssi_err *e)
{
	SSI_CLEANUP(ssi_ccm_station_freep) struct ssi_ccm_station *s = NULL;
	struct ssi_ccm_station_config whole = *config;
	int r;

	config_default(&whole);
	r = config_check(&whole, e);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return ssi_errf(e, -ENOMEM, "no memory for a station");
	s->config = whole;
	s->self = (struct station_self){ whole.number, whole.incarnation, "" };
	snprintf(s->self.who, sizeof(s->self.who), whole.who ? "%s" : "%.0s%u", whole.who ? whole.who : "", whole.number);
	s->listener = s->epoll = s->wake = s->tick = s->hot_timer = -1;
	for (size_t i = 0; i < sizeof(s->door) / sizeof(s->door[0]); i++)
		TAILQ_INIT(&s->door[i]);
	TAILQ_INIT(&s->hellos);
	TAILQ_INIT(&s->owing);
	TAILQ_INIT(&s->dead);
	TAILQ_INIT(&s->work);
	TAILQ_INIT(&s->hot);
	TAILQ_INIT(&s->jobs);
	pthread_mutex_init(&s->peers_lock, NULL);
	pthread_mutex_init(&s->work_lock, NULL);
	pthread_mutex_init(&s->calls_lock, NULL);
	pthread_mutex_init(&s->jobs_lock, NULL);
	pthread_cond_init(&s->jobs_cond, NULL);
	pthread_cond_init(&s->calls_cond, NULL);
	s->workers = calloc(s->config.workers, sizeof(*s->workers));
	r = ssi_hash_random(&s->next_call, sizeof(s->next_call));
	s->next_call >>= 16;     /* so that it never comes to SSI_CCM_NOSEQ */
	if (r < 0 || !s->workers || station_peers_new(s) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for a station");
	r = station_door_listen(s, e);
	if (r >= 0)
		r = station_loop_start(s, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

/* Everybody out: the sessions end, and whoever was inside a call has left it. */
static void station_evict(struct ssi_ccm_station *s)
{
	for (unsigned i = 0; i < s->n_peers; i++) {
		struct station_peer *p = s->all[i];

		pthread_mutex_lock(&p->lock);
		station_out_part(p);
		station_session_quiesce(p);
		station_session_end(p, -ESHUTDOWN);
		p->known = false;
		while (p->users) {
			p->waiting_idle++;
			station_cond_wait(&p->idle, &p->lock, UINT64_MAX);
			p->waiting_idle--;
		}
		pthread_mutex_unlock(&p->lock);
		station_call_inbox(p);       /* callbacks of calls: each is told once */
	}
}

void ssi_ccm_station_free(struct ssi_ccm_station *s)
{
	int fds[5];

	if (!s)
		return;
	atomic_store(&s->down, true);
	station_loop_stop(s);
	station_evict(s);
	station_call_end(s);
	station_link_close_all(s);
	memcpy(fds, (int[]){ s->listener, s->epoll, s->wake, s->tick, s->hot_timer }, sizeof(fds));
	station_peers_free(s);
	pthread_mutex_destroy(&s->peers_lock);
	pthread_mutex_destroy(&s->work_lock);
	pthread_mutex_destroy(&s->calls_lock);
	pthread_mutex_destroy(&s->jobs_lock);
	pthread_cond_destroy(&s->jobs_cond);
	pthread_cond_destroy(&s->calls_cond);
	free(s->workers);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(s->chunk);
	free(s->raw);
	explicit_bzero(s->any_key, sizeof(s->any_key));
	free(s);
}

uint16_t ssi_ccm_station_port(const struct ssi_ccm_station *s)
{
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);

	return getsockname(s->listener, (struct sockaddr *)&sa, &n) < 0 ? 0 : ntohs(sa.sin_port);
}

int ssi_ccm_permit(struct ssi_ccm_station *s, const struct ssi_ccm_permit *lines, size_t n)
{
	if (s->n_peers || s->any)
		return -EBUSY;
	if (n > STATION_PERMITS_MAX - s->n_permits)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		if (lines[i].max_size > SSI_CCM_BODY_MAX)
			return -EMSGSIZE;
		else if (!lines[i].module)
			return -EINVAL;
	memcpy(s->permits + s->n_permits, lines, n * sizeof(*lines));
	s->n_permits += n;
	return 0;
}

/* Make node known; its lock is held on return. */
static int station_know(struct ssi_ccm_station *s, uint32_t node, const uint8_t *key, struct station_peer **ret)
{
	struct station_peer *p;
	int r = station_peer_add(s, node, &p);

	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	if (p->known) {
		pthread_mutex_unlock(&p->lock);
		return -EEXIST;
	}
	p->known = true;
	p->state = PEER_NEW;
	p->has_key = key != NULL;
	p->by_any = false;
	if (key)
		memcpy(p->key, key, sizeof(p->key));
	*ret = p;
	return 0;
}

int ssi_ccm_listen_to(struct ssi_ccm_station *s, uint32_t node, const uint8_t *key)
{
	struct station_peer *p;
	int r;

	if (node == SSI_CCM_ANY_NODE) {
		pthread_mutex_lock(&s->peers_lock);
		r = s->any ? -EEXIST : 0;
		if (!r && key)
			memcpy(s->any_key, key, sizeof(s->any_key));
		s->has_any_key = s->has_any_key || key;
		s->any = true;
		pthread_mutex_unlock(&s->peers_lock);
		return r;
	}
	if (node >= s->config.number)
		return -EINVAL;
	r = station_know(s, node, key, &p);
	if (r < 0)
		return r;
	station_peer_turn_to(p, &s->self, node);
	p->listens = true;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* node: as it is known here; remote: its number; as: whom this station is to it, NULL for itself. */
static int station_connect(struct ssi_ccm_station *s, uint32_t node, const struct station_self *as, uint32_t remote, struct in_addr addr,
			   uint16_t port, const uint8_t *key)
{
	struct station_self *self = as ? malloc(sizeof(*self)) : NULL;
	struct station_peer *p;
	int r = as && !self ? -ENOMEM : station_know(s, node, key, &p);

	if (r < 0) {
		free(self);
		return r;
	}
	if (self)
		*self = *as;
	station_peer_turn_to(p, self ? self : &s->self, remote);
	p->listens = false;
	p->addr = addr;
	p->port = port;
	pthread_mutex_unlock(&p->lock);
	station_work(p, WORK_CONNECT);
	return 0;
}

int ssi_ccm_connect_to(struct ssi_ccm_station *s, uint32_t node, struct in_addr addr, uint16_t port, const uint8_t *key)
{
	if (node <= s->config.number || node == SSI_CCM_ANY_NODE || (s->config.plain && ntohl(addr.s_addr) >> 24 != 127))
		return -EINVAL;
	return station_connect(s, node, NULL, node, addr, port, key);
}

int ssi_ccm_connect_as(struct ssi_ccm_station *s, uint32_t alias, const struct ssi_ccm_as *as, uint32_t node, struct in_addr addr, uint16_t port,
		       const uint8_t *key)
{
	struct station_self self = { as->number, as->incarnation, "" };

	if (node <= as->number || node == SSI_CCM_ANY_NODE || alias == SSI_CCM_ANY_NODE || !as->incarnation)
		return -EINVAL;
	memcpy(self.who, as->who, sizeof(self.who));
	return station_connect(s, alias, &self, node, addr, port, key);
}

int ssi_ccm_part_after(struct ssi_ccm_station *s, uint32_t node, unsigned timeout_ms)
{
	struct station_peer *p = station_peer_find(s, node);
	bool known;

	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	known = p->known;
	if (known)
		p->part_at = ssi_clock_mono_ms() + timeout_ms;
	pthread_mutex_unlock(&p->lock);
	station_watch(p);
	return known ? 0 : -ENOENT;
}

void ssi_ccm_refuse(struct ssi_ccm_station *s, uint32_t node, const struct ssi_err *why)
{
	struct station_peer *p = station_peer_find(s, node);

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	station_refused(s, p->from, node, p->id, why);
	station_because(p, why);
	station_out_part(p);
	if (p->conn)
		station_session_broken(p, p->conn);
	station_session_doom(p);
	if (station_in_loop(s))
		p->deaf = p->session;
	pthread_mutex_unlock(&p->lock);
}

int ssi_ccm_part(struct ssi_ccm_station *s, uint32_t node)
{
	struct station_peer *p = station_peer_find(s, node);

	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	if (!p->known) {
		pthread_mutex_unlock(&p->lock);
		return -ENOENT;
	}
	station_peer_forget(p);
	if (station_in_loop(s))
		p->deaf = p->session;
	station_session_fail_waiters(p, -EHOSTDOWN);
	pthread_mutex_unlock(&p->lock);
	station_work(p, WORK_PARTED);
	return 0;
}

int ssi_ccm_await(struct ssi_ccm_station *s, uint32_t node, unsigned timeout_ms)
{
	struct station_peer *p = station_peer_find(s, node);
	uint64_t deadline = station_deadline(timeout_ms);
	int r = 0;

	if (station_in_loop(s))
		return -EDEADLK;
	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	p->users++;
	p->waiting_room++;
	while (!r && p->state != PEER_UP) {
		if (s->down)
			r = -ESHUTDOWN;
		else if (!p->known)
			r = -ENOENT;
		else
			r = station_cond_wait(&p->room, &p->lock, deadline);
	}
	p->waiting_room--;
	if (!--p->users && p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
	pthread_mutex_unlock(&p->lock);
	return r;
}

void ssi_ccm_station_stats(struct ssi_ccm_station *s, struct ssi_ccm_station_stats *ret)
{
	unsigned n = s->n_peers;

	*ret = (struct ssi_ccm_station_stats){ .refused = s->refused, .shaking = s->n_shaking };
	for (unsigned i = 0; i < n; i++) {
		struct station_peer *p;

		pthread_mutex_lock(&s->peers_lock);
		p = s->all[i];
		pthread_mutex_unlock(&s->peers_lock);
		pthread_mutex_lock(&p->lock);
		ret->peers += p->known;
		ret->up += p->conn != NULL;
		ret->sessions += p->sessions;
		ret->links += p->links;
		ret->sent += p->sent;
		ret->received += p->received + p->calls;
		ret->again += p->again;
		ret->duplicates += p->duplicates;
		ret->bytes += p->out.retained;
		for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next)
			ret->bytes += l->received - l->taken;
		pthread_mutex_unlock(&p->lock);
	}
}
