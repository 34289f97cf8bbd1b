/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns connections from their first packet until a session has taken them over: connecting, TLS, HELLO; those that come are station-door.c's until
 * they have proved who they are. Called by the loop alone.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "libssi/base/hash.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/station-internal.h"

#define LINK_BACKOFF_MIN 50
#define LINK_BACKOFF_MAX 2000
#define LINK_LASTED_MS 1000
#define LINK_IN_LINE_TIMES 3             /* times connect_ms that who connects waits for its handshake: others may be before it */

/* When to try again: a moment that doubles, and differs from node to node. */
static void link_backoff(struct station_peer *p)
{
	uint16_t jitter = 0;

	p->backoff = p->backoff ? p->backoff * 2 : LINK_BACKOFF_MIN;
	if (p->backoff > LINK_BACKOFF_MAX)
		p->backoff = LINK_BACKOFF_MAX;
	ssi_hash_random(&jitter, sizeof(jitter));
	p->connect_at = p->s->now + p->backoff / 2 + p->backoff * (uint64_t)jitter / UINT16_MAX;
	station_watch(p);
}

static unsigned *link_count(struct ssi_ccm_station *s, const struct station_conns *list)
{
	return list == &s->hellos ? &s->n_hellos : &s->n_door[list - s->door];
}

static void link_leave(struct station_conn *c)
{
	if (!c->list)
		return;
	TAILQ_REMOVE(c->list, c, link);
	--*link_count(c->s, c->list);
	atomic_fetch_sub(&c->s->n_shaking, 1);
	c->list = NULL;
}

void station_link_move(struct station_conn *c, struct station_conns *to, unsigned ms)
{
	struct ssi_ccm_station *s = c->s;

	link_leave(c);
	c->list = to;
	c->since = s->now;
	c->deadline = s->now + ms;
	TAILQ_INSERT_TAIL(to, c, link);
	++*link_count(s, to);
	atomic_fetch_add(&s->n_shaking, 1);
	station_tick_soon(s);
}

/* It came to nothing. A connection to this node is told of; one of ours is tried again. */
void station_link_fail(struct station_conn *c, const struct ssi_err *why)
{
	const struct ssi_ccm_station_ops *ops = c->s->config.ops;
	struct ssi_ccm_station *s = c->s;
	struct station_peer *p = c->peer;

	link_leave(c);
	c->state = LINK_DEAD;
	station_conn_watch(c, 0);
	if (c->expired == 1 && why->code == -EKEYREVOKED && ops->refused)
		ops->refused(c->addr, c->node, &c->id, why, s->config.userdata);       /* an alarm: not within a limit */
	else if (!c->outgoing || why->code == -EKEYREJECTED || why->code == -EPROTO || why->code == -EBADMSG || why->code == -ESTALE)
		station_refused(s, c->addr, c->node, c->id.kind ? &c->id : NULL, why);
	if (p) {
		p->connecting = NULL;
		link_backoff(p);
		if (ops->failed)
			ops->failed(p->node, why, s->config.userdata);
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
	link_leave(c);
	c->state = LINK_DEAD;
	station_conn_watch(c, 0);
	station_conn_unref(c);
}

void station_link_encode_hello(const struct station_peer *p, const struct station_hello *h, uint8_t *buf)
{
	const struct station_frame f = {
		.type = CONTROL_HELLO, .source = p->self->number, .destination = p->remote, .incarnation = p->self->incarnation,
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
	station_link_encode_hello(p, &h, buf);
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
		station_peer_turn_to(p, &s->self, node);
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
	struct station_conns *list;
	struct station_hello h;
	uint32_t self, source;
	int r = station_hello_decode(c->small, &h, e);

	if (r < 0)
		return r;
	self = p ? p->self->number : c->s->self.number;
	source = p ? p->remote : c->node;
	if (c->f.destination != self || (source != SSI_CCM_ANY_NODE && c->f.source != source) ||
	    (c->incarnation && c->f.incarnation != c->incarnation) || !c->f.incarnation)
		return ssi_errf(e, -EPROTO, "HELLO from node %u, incarnation %llu to node %u on a connection of node %u", c->f.source,
				(unsigned long long)c->f.incarnation, c->f.destination, source);
	if (!p) {
		c->node = c->f.source;
		r = link_peer(c, c->node, &p, e);
	}
	if (r < 0)
		return r;
	station_call_inbox(p);               /* what the session before it said is heard before its end is told */
	/* The session takes it; on failure it is a stranger's again. */
	c->n_header = 0;
	list = c->list;
	link_leave(c);
	if (c->outgoing)
		p->connecting = NULL;
	pthread_mutex_lock(&p->lock);
	r = station_session_attach(p, c, &h, c->f.incarnation, e);
	pthread_mutex_unlock(&p->lock);
	if (r < 0) {
		if (c->outgoing)
			p->connecting = c;
		station_link_move(c, list, c->s->config.connect_ms);
		return r;
	}
	p->backoff = 0;
	p->connect_at = 0;
	p->linked_at = c->s->now;
	station_notes(p);                    /* that it is up is told before what it says */
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

int station_link_key(struct ssi_ccm_station *s, uint32_t node, uint64_t incarnation, uint8_t ret[SSI_CCM_STATION_KEY])
{
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

/* The end that connects: its handshake, after which it speaks first. */
static int link_shake(struct station_conn *c, struct ssi_err *e)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = c->peer->self->incarnation };
	uint8_t key[SSI_CCM_STATION_KEY];
	int r = 0;

	if (!c->tls && station_link_key(c->s, c->node, 0, key) < 0)
		return ssi_errf(e, -ENOKEY, "no key for node %u", c->node);
	if (!c->tls) {
		memcpy(id.who, c->peer->self->who, sizeof(id.who));
		r = ssi_tls_client(c->fd, &id, key, &c->tls, e);
		explicit_bzero(key, sizeof(key));
	}
	if (r >= 0)
		r = ssi_tls_handshake(c->tls, e);
	if (r == -EAGAIN)
		station_conn_watch(c, ssi_tls_wants_write(c->tls) ? EPOLLOUT : EPOLLIN);
	return r;
}

/* Who opens many connections, and says HELLO on none of them, has one; and of all there are only so many. */
void station_link_make_room(struct station_conn *c)
{
	struct ssi_ccm_station *s = c->s;
	struct station_conn *other, *oldest = NULL;
	unsigned n = 0;
	struct ssi_err e;

	TAILQ_FOREACH_REVERSE(other, &s->hellos, station_conns, link)
		if (!other->outgoing && other != c) {
			n++;
			oldest = other;
			if (c->id.kind && other->node == c->node)
				break;
		}
	if (other)
		ssi_errf(&e, -EUSERS, "a newer connection of the same node");
	else if (n >= STATION_HELLOS_MAX)
		ssi_errf(&e, -EMFILE, "%u connections before it wait to be let in", STATION_HELLOS_MAX);
	else
		return;
	station_link_fail(oldest, &e);
}

/* As far as it goes; -EAGAIN: more is to come. */
static int link_go(struct station_conn *c, uint32_t events, struct ssi_err *e)
{
	bool plain = c->s->config.plain;
	int r = 0;

	if (c->state == LINK_CONNECTING) {
		r = ssi_sock_error(c->fd, c->addr, c->port, e);
		if (r < 0)
			return r;
		c->state = LINK_TLS;
		c->deadline = c->s->now + LINK_IN_LINE_TIMES * (uint64_t)c->s->config.connect_ms;
	}
	if (c->state < LINK_HELLO && c->outgoing) {
		r = plain ? 0 : link_shake(c, e);
		if (r >= 0)
			r = link_hello(c, e);
		if (r < 0)
			return r;
		c->state = LINK_HELLO;
		station_conn_watch(c, EPOLLIN);
	} else if (c->state != LINK_HELLO) {
		r = station_door_event(c, events, e);
		if (r <= 0)
			return r;
		c->state = LINK_HELLO;
		station_link_move(c, &c->s->hellos, c->s->config.connect_ms);
		station_link_make_room(c);
		station_conn_watch(c, EPOLLIN);
	}
	return link_read(c, e);
}

/* A connection of ours that nobody wants any more: it is closed soon, and its failure is not the next one's. */
static bool link_is_over(const struct station_conn *c)
{
	struct station_peer *p = c->peer;
	bool over;

	if (!p)
		return false;
	pthread_mutex_lock(&p->lock);
	over = p->parting;
	pthread_mutex_unlock(&p->lock);
	return over;
}

void station_link_event(struct station_conn *c, uint32_t events)
{
	struct ssi_err e = { 0 };
	int r = link_is_over(c) ? -EAGAIN : link_go(c, events, &e);

	if (r < 0 && r != -EAGAIN) {
		e.code = r;
		station_link_fail(c, &e);
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
	/* Parted with, and known again as another: that end comes first, and then this is called again. */
	wanted = wanted && !p->parting && station_peer_adopt(p);
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
		if (fd >= 0)
			ssi_errf(&e, -ENOMEM, "no memory for a connection");
		link_backoff(p);
		if (p->s->config.ops->failed)
			p->s->config.ops->failed(p->node, &e, p->s->config.userdata);
		return;
	}
	c->peer = p;
	c->node = p->node;
	c->port = port;
	c->state = LINK_CONNECTING;
	p->connecting = c;
	station_link_move(c, &p->s->hellos, p->s->config.connect_ms);
	station_conn_watch(c, EPOLLOUT);
}

uint64_t station_link_expire(struct ssi_ccm_station *s)
{
	struct station_conn *c, *next;
	uint64_t first = UINT64_MAX;
	struct ssi_err e;

	for (c = TAILQ_FIRST(&s->hellos); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (s->now >= c->deadline && !link_is_over(c)) {
			ssi_errf(&e, -ETIMEDOUT, "%s timed out", c->state == LINK_CONNECTING ? "connect" : "handshake");
			station_link_fail(c, &e);
		} else if (c->deadline < first)
			first = c->deadline;
	}
	return first;
}

void station_link_close_all(struct ssi_ccm_station *s)
{
	struct station_conns *lists[] = { &s->door[0], &s->door[1], &s->door[2], &s->hellos };
	struct station_conn *c;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		while ((c = TAILQ_FIRST(lists[i]))) {
			link_leave(c);
			station_conn_free(c);
		}
	while ((c = TAILQ_FIRST(&s->dead))) {
		TAILQ_REMOVE(&s->dead, c, link);
		station_conn_free(c);
	}
}
