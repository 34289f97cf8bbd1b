/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns connections from their first packet until a session has taken them over: connecting and accepting, TLS, HELLO, and the limits on who
 * may knock. Called by the loop alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"
#include "libssi/base/num.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/station-internal.h"

#define LINK_ACCEPT_BURST 64
#define LINK_BACKOFF_MIN 50
#define LINK_BACKOFF_MAX 2000
#define LINK_LASTED_MS 1000
#define LINK_PAUSE_MS 500                /* without descriptors: how long until the next try */

int station_link_listen(struct ssi_ccm_station *s, struct ssi_err *e)
{
	int fd = ssi_sock_listen(s->config.address, s->config.port, e);

	if (fd < 0)
		return fd;
	s->listener = fd;
	return 0;
}

/* When to try again: a moment that doubles, and differs from node to node. */
static void link_backoff(struct station_peer *p)
{
	uint16_t jitter = 0;

	p->backoff = p->backoff ? p->backoff * 2 : LINK_BACKOFF_MIN;
	if (p->backoff > LINK_BACKOFF_MAX)
		p->backoff = LINK_BACKOFF_MAX;
	ssi_hash_random(&jitter, sizeof(jitter));
	p->connect_at = p->s->now + p->backoff / 2 + p->backoff * (uint64_t)jitter / UINT16_MAX;
}

static void link_add(struct station_conn *c, uint32_t events)
{
	struct ssi_ccm_station *s = c->s;

	c->deadline = s->now + s->config.connect_ms;
	TAILQ_INSERT_TAIL(&s->shaking, c, link);
	atomic_fetch_add(&s->n_shaking, 1);
	station_conn_watch(c, events);
}

static void link_remove(struct station_conn *c)
{
	TAILQ_REMOVE(&c->s->shaking, c, link);
	atomic_fetch_sub(&c->s->n_shaking, 1);
}

/* It came to nothing. A connection to this node is told of; one of ours is tried again. */
static void link_fail(struct station_conn *c, const struct ssi_err *why)
{
	struct station_peer *p = c->peer;

	link_remove(c);
	c->state = LINK_DEAD;
	station_conn_watch(c, 0);
	if (!c->outgoing || why->code == -EKEYREJECTED || why->code == -EPROTO || why->code == -EBADMSG || why->code == -ESTALE)
		station_refused(c->s, c->addr, c->node, why);
	if (p) {
		p->connecting = NULL;
		link_backoff(p);
	}
	shutdown(c->fd, SHUT_RDWR);
	station_conn_unref(c);
}

void station_link_abandon(struct station_peer *p)
{
	struct station_conn *c = p->connecting;

	if (!c)
		return;
	p->connecting = NULL;
	link_remove(c);
	c->state = LINK_DEAD;
	station_conn_watch(c, 0);
	station_conn_unref(c);
}

void station_link_encode_hello(struct station_conn *c, uint32_t to, const struct station_hello *h, uint8_t *buf)
{
	const struct station_frame f = {
		.type = CONTROL_HELLO, .source = c->s->config.number, .destination = to, .incarnation = c->s->config.incarnation,
		.size = STATION_HELLO,
	};

	station_frame_encode(&f, buf);
	station_hello_encode(h, buf + STATION_HEADER);
}

/* The end that connects speaks first. 96 bytes into an empty socket: they go out, or the connection is of no use. */
static int link_hello(struct station_conn *c, struct ssi_err *e)
{
	struct station_peer *p = c->peer;
	struct station_hello h = { .window = c->s->config.window, .retain = c->s->config.retain };
	uint8_t buf[STATION_HEADER + STATION_HELLO];
	struct iovec iov = { buf, sizeof(buf) };
	ssize_t n;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->fresh && r >= 0)
		r = ssi_hash_random(&p->fresh, sizeof(p->fresh));
	h.fresh = p->fresh;
	h.session = p->session;
	h.known = p->highest;
	h.next = p->session ? atomic_load(&p->rx_serial) + 1 : 1;
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		return ssi_errno(e, r, "random number of a session");
	station_link_encode_hello(c, p->node, &h, buf);
	n = station_conn_writev(c, &iov, 1, false, e);
	if (n != sizeof(buf))
		return n < 0 && n != -EAGAIN ? (int)n : ssi_errf(e, -EIO, "no room for a HELLO");
	return 0;
}

/* The peer of an incoming connection that has said who it is. */
static int link_peer(struct station_conn *c, uint32_t node, struct station_peer **ret, struct ssi_err *e)
{
	struct ssi_ccm_station *s = c->s;
	struct station_peer *p = station_peer_find(s, node);
	bool any, known = false;
	int r;

	pthread_mutex_lock(&s->peers_lock);
	any = s->any;
	pthread_mutex_unlock(&s->peers_lock);
	if (p) {
		pthread_mutex_lock(&p->lock);
		known = p->known;
		pthread_mutex_unlock(&p->lock);
	}
	if (!known && (!any || node >= s->config.number))
		return ssi_errf(e, -ENOENT, "node %u is not known here", node);
	if (!known) {
		r = station_peer_add(s, node, &p);
		if (r < 0)
			return ssi_errno(e, r, "node %u", node);
		pthread_mutex_lock(&p->lock);
		p->known = p->listens = p->by_any = true;
		p->has_key = false;
		p->state = p->state == PEER_UP ? PEER_UP : PEER_NEW;
		pthread_mutex_unlock(&p->lock);
	}
	*ret = p;
	return 0;
}

static int link_greeted(struct station_conn *c, struct ssi_err *e)
{
	struct station_peer *p = c->peer;
	struct station_hello h;
	int r = station_hello_decode(c->small, &h, e);

	if (r < 0)
		return r;
	if (c->f.destination != c->s->config.number || (c->node != SSI_CCM_ANY_NODE && c->f.source != c->node) ||
	    (c->incarnation && c->f.incarnation != c->incarnation) || !c->f.incarnation)
		return ssi_errf(e, -EPROTO, "HELLO from node %u, incarnation %llu to node %u on a connection of node %u", c->f.source,
				(unsigned long long)c->f.incarnation, c->f.destination, c->node);
	c->node = c->f.source;
	if (!p)
		r = link_peer(c, c->node, &p, e);
	if (r < 0)
		return r;
	/* The session takes it; on failure it is a stranger's again. */
	c->n_header = 0;
	link_remove(c);
	if (c->outgoing)
		p->connecting = NULL;
	pthread_mutex_lock(&p->lock);
	r = station_session_attach(p, c, &h, c->f.incarnation, e);
	pthread_mutex_unlock(&p->lock);
	if (r < 0) {
		if (c->outgoing)
			p->connecting = c;
		TAILQ_INSERT_TAIL(&c->s->shaking, c, link);
		atomic_fetch_add(&c->s->n_shaking, 1);
		return r;
	}
	p->backoff = 0;
	p->connect_at = 0;
	p->linked_at = c->s->now;
	station_in_read(p, c);               /* TLS may hold what came behind the HELLO */
	return 0;
}

/* Exactly a HELLO is read, byte for byte: what follows is the session's. */
static int link_read(struct station_conn *c, struct ssi_err *e)
{
	for (;;) {
		bool head = c->n_header < STATION_HEADER;
		uint8_t *at = head ? c->header + c->n_header : c->small + c->got;
		ssize_t n = station_conn_read(c, at, head ? STATION_HEADER - c->n_header : STATION_HELLO - c->got, false, e);
		int r;

		if (n <= 0)
			return n ? (int)n : ssi_errf(e, -ECONNRESET, "the other end hung up");
		if (!head) {
			c->got += (uint32_t)n;
			if (c->got == STATION_HELLO)
				return link_greeted(c, e);
			continue;
		}
		c->n_header += (unsigned)n;
		if (c->n_header < STATION_HEADER)
			continue;
		r = station_frame_decode(c->header, &c->f, e);
		if (r < 0)
			return r;
		if (c->f.module || c->f.type != CONTROL_HELLO)
			return ssi_errf(e, -EPROTO, "no HELLO");
	}
}

static int link_key(uint32_t node, uint64_t incarnation, struct station_conn *c, uint8_t ret[SSI_CCM_STATION_KEY])
{
	struct ssi_ccm_station *s = c->s;
	struct station_peer *p = station_peer_find(s, node);
	bool known = false, found = false;

	if (p) {
		pthread_mutex_lock(&p->lock);
		known = p->known && !p->by_any;
		found = known && p->has_key;
		if (found)
			memcpy(ret, p->key, SSI_CCM_STATION_KEY);
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_lock(&s->peers_lock);
	if (!known && s->any && s->has_any_key) {
		memcpy(ret, s->any_key, SSI_CCM_STATION_KEY);
		found = true;
	}
	known = known || s->any;
	pthread_mutex_unlock(&s->peers_lock);
	if (found)
		return 0;
	return known && s->config.ops->key ? s->config.ops->key(node, incarnation, ret, s->config.userdata) : -ENOENT;
}

/* An identity is "node:NUMBER:INCARNATION". */
static int link_on_key(const struct ssi_identity *id, uint8_t ret[SSI_TLS_KEY], void *userdata)
{
	struct station_conn *c = userdata;
	uint64_t node;

	if (id->kind != SSI_IDENTITY_NODE || ssi_num_u64(id->who, 0, UINT32_MAX - 1, &node) < 0)
		return -EINVAL;
	c->node = (uint32_t)node;
	c->incarnation = id->incarnation;
	return link_key(c->node, c->incarnation, c, ret) < 0 ? -ENOENT : 0;
}

static int link_secure(struct station_conn *c, struct ssi_err *e)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = c->s->config.incarnation };
	uint8_t key[SSI_CCM_STATION_KEY];
	int r;

	if (!c->outgoing)
		return ssi_tls_server(c->fd, link_on_key, c, &c->tls, e);
	if (link_key(c->node, 0, c, key) < 0)
		return ssi_errf(e, -ENOKEY, "no key for node %u", c->node);
	snprintf(id.who, sizeof(id.who), "%u", c->s->config.number);
	r = ssi_tls_client(c->fd, &id, key, &c->tls, e);
	explicit_bzero(key, sizeof(key));
	return r;
}

/* A stranger gets no TLS session before its first record is here, and looks like one. */
static int link_shake(struct station_conn *c, struct ssi_err *e)
{
	int r = 0;

	if (!c->tls)
		r = ssi_tls_greet(c->fd, &c->low_water, e);
	if (!c->tls && r >= 0)
		r = link_secure(c, e);
	if (r < 0)
		return r;
	r = ssi_tls_handshake(c->tls, e);
	if (r == -EAGAIN)
		station_conn_watch(c, ssi_tls_wants_write(c->tls) ? EPOLLOUT : EPOLLIN);
	return r;
}

/* As far as it goes; -EAGAIN: more is to come. */
static int link_go(struct station_conn *c, struct ssi_err *e)
{
	int r = 0;

	if (c->state == LINK_CONNECTING) {
		r = ssi_sock_error(c->fd, c->addr, c->port, e);
		if (r >= 0 && !c->s->config.plain)
			r = link_secure(c, e);
		if (r < 0)
			return r;
		c->state = LINK_TLS;
	}
	if (c->state == LINK_TLS) {
		r = c->s->config.plain ? 0 : link_shake(c, e);
		if (r >= 0 && c->outgoing)
			r = link_hello(c, e);
		if (r < 0)
			return r;
		c->state = LINK_HELLO;
		station_conn_watch(c, EPOLLIN);
	}
	return link_read(c, e);
}

void station_link_event(struct station_conn *c, uint32_t events)
{
	struct ssi_err e = { 0 };
	int r = link_go(c, &e);

	if (r < 0 && r != -EAGAIN) {
		e.code = r;
		link_fail(c, &e);
	}
}

void station_link_accept(struct ssi_ccm_station *s)
{
	struct in_addr addr;

	for (int i = 0; i < LINK_ACCEPT_BURST; i++) {
		int fd = ssi_sock_accept(s->listener, &addr);
		struct station_conn *c;
		struct ssi_err e;

		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM)
			s->accept_at = s->now + LINK_PAUSE_MS;
		if (s->accept_at)
			epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
		if (fd < 0)
			return;
		c = station_conn_new(s, fd, addr, false);
		if (!c)
			continue;
		if (s->n_shaking >= STATION_HANDSHAKES_MAX) {
			ssi_errf(&e, -EMFILE, "%u connections before it wait to be let in", STATION_HANDSHAKES_MAX);
			link_fail(TAILQ_FIRST(&s->shaking), &e);
		}
		c->state = LINK_TLS;
		link_add(c, EPOLLIN);
	}
}

void station_link_connect(struct station_peer *p)
{
	struct ssi_err e;
	struct station_conn *c;
	struct in_addr addr;
	uint64_t progress;
	uint16_t port;
	bool wanted;
	int fd;

	pthread_mutex_lock(&p->lock);
	wanted = p->known && !p->listens && !p->conn && !p->connecting && !p->s->down;
	progress = p->out.acked + atomic_load(&p->rx_serial) + p->sessions;
	addr = p->addr;
	port = p->port;
	pthread_mutex_unlock(&p->lock);
	if (!wanted || p->s->now < p->connect_at)
		return;
	/* At once only after a connection that lasted, or brought something: an end that is refused for what it says shall not say it all the time. */
	if (!p->backoff && p->linked_at && progress == p->progress && p->s->now - p->linked_at < LINK_LASTED_MS) {
		link_backoff(p);
		return;
	}
	p->progress = progress;
	fd = ssi_sock_connect(addr, port, &e);
	c = fd < 0 ? NULL : station_conn_new(p->s, fd, addr, true);
	if (!c) {
		link_backoff(p);
		return;
	}
	c->peer = p;
	c->node = p->node;
	c->port = port;
	c->state = LINK_CONNECTING;
	p->connecting = c;
	link_add(c, EPOLLOUT);
}

void station_link_expire(struct ssi_ccm_station *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &s->tag_listener };
	struct station_conn *c;
	struct ssi_err e;

	if (s->accept_at && s->now >= s->accept_at) {
		s->accept_at = 0;
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &ev);
	}
	while ((c = TAILQ_FIRST(&s->shaking)) && s->now >= c->deadline) {
		ssi_errf(&e, -ETIMEDOUT, "%s timed out", c->state == LINK_CONNECTING ? "connect" : "handshake");
		link_fail(c, &e);
	}
}

void station_link_close_all(struct ssi_ccm_station *s)
{
	struct station_conn *c;

	while ((c = TAILQ_FIRST(&s->shaking))) {
		link_remove(c);
		station_conn_free(c);
	}
	while ((c = TAILQ_FIRST(&s->dead))) {
		TAILQ_REMOVE(&s->dead, c, link);
		station_conn_free(c);
	}
}
