/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns who knocks at a station, until it has proved who it is: the first record, whose turn it is when there is a crowd, the key, the handshake.
 * Of a crowd only DOOR_GREETED_MAX are worked on at a time, the others stand in line: all at once would take so long that all give up. Called by
 * the loop alone.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "libssi/base/num.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/station-internal.h"

#define DOOR_ACCEPT_BURST 64         /* connections taken at a time, before others are heard */
#define DOOR_CONNS_MAX 16384         /* connections without a session, over all */
#define DOOR_SILENT_MAX 4096         /* of them that have not said a word; the oldest makes room for the newest, */
#define DOOR_SILENT_MS 500           /* once it had this time; until then the newest waits */
#define DOOR_GREETED_MAX 256         /* handshakes that are worked on at a time; who has spoken and is not among them stands in line */
#define DOOR_STALL_MS 1000           /* nothing comes of a handshake for so long, and others stand in line: it makes room */
#define DOOR_END_MS 1000             /* for who was told that its key's time is over */
#define DOOR_PAUSE_MS 500            /* without descriptors: how long until the next try */
#define DOOR_FULL_MS 50              /* and without room */

enum { DOOR_SILENT, DOOR_LINE, DOOR_GREETED };

int station_door_listen(struct ssi_ccm_station *s, struct ssi_err *e)
{
	int fd = s->config.connects_only ? -1 : ssi_sock_listen(s->config.address, s->config.port, e);

	if (fd < 0 && !s->config.connects_only)
		return fd;
	s->listener = fd;
	return 0;
}

/* The listener rests: without descriptors, or room, it would be ready for ever. */
static void door_pause(struct ssi_ccm_station *s, unsigned ms)
{
	s->accept_at = s->now + ms;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
	station_tick_soon(s);
}

/* As many as may say nothing are here, and the oldest of them has not had its time. */
static bool door_is_full(const struct ssi_ccm_station *s)
{
	return s->n_door[DOOR_SILENT] >= DOOR_SILENT_MAX && s->now - TAILQ_FIRST(&s->door[DOOR_SILENT])->since < DOOR_SILENT_MS;
}

/* One more connection: within the limits, or at the cost of the oldest that has not said who it is. */
static void door_admit(struct ssi_ccm_station *s, struct station_conn *c)
{
	struct ssi_err e;

	if (s->n_shaking >= DOOR_CONNS_MAX) {
		ssi_errf(&e, -EMFILE, "%u connections are as many as may stand at the door", s->n_shaking);
		station_refused(s, c->addr, c->node, NULL, &e);
		station_conn_free(c);
		return;
	}
	if (s->n_door[DOOR_SILENT] >= DOOR_SILENT_MAX) {
		ssi_errf(&e, -EMFILE, "%u connections that say nothing are as many as are let wait", s->n_door[DOOR_SILENT]);
		station_link_fail(TAILQ_FIRST(&s->door[DOOR_SILENT]), &e);
	}
	c->state = s->config.plain ? LINK_HELLO : LINK_SILENT;
	station_link_move(c, s->config.plain ? &s->hellos : &s->door[DOOR_SILENT], s->config.connect_ms);
	if (s->config.plain)
		station_link_make_room(c);
	station_conn_watch(c, EPOLLIN | EPOLLRDHUP);
}

void station_door_accept(struct ssi_ccm_station *s)
{
	struct in_addr addr;

	for (int i = 0; i < DOOR_ACCEPT_BURST; i++) {
		int fd = door_is_full(s) ? -ENOBUFS : ssi_sock_accept(s->listener, &addr);
		struct station_conn *c;

		if (fd == -ENOBUFS)
			door_pause(s, DOOR_FULL_MS);
		else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
			door_pause(s, DOOR_PAUSE_MS);
		if (fd < 0)
			return;
		c = station_conn_new(s, fd, addr, false);
		if (c)
			door_admit(s, c);
	}
}

/* By the tables of listen_to and key(): an identity is "node:NUMBER:INCARNATION". */
static int door_key(struct ssi_ccm_station *s, const struct ssi_identity *id, uint32_t *ret_node, uint8_t ret[SSI_TLS_KEY])
{
	uint64_t node;

	if (id->kind != SSI_IDENTITY_NODE || ssi_num_u64(id->who, 0, UINT32_MAX - 1, &node) < 0)
		return -EINVAL;
	*ret_node = (uint32_t)node;
	return station_link_key(s, *ret_node, id->incarnation, ret) < 0 ? -ENOENT : 0;
}

static int door_on_key(const struct ssi_identity *id, uint8_t ret[SSI_TLS_KEY], void *userdata)
{
	struct station_conn *c = userdata;
	struct ssi_ccm_station *s = c->s;
	int r;

	if (s->config.ops->identify)
		r = s->config.ops->identify(id, c->addr, &c->node, ret, s->config.userdata);
	else
		r = door_key(s, id, &c->node, ret);
	c->id = *id;
	c->incarnation = id->incarnation;
	c->expired = r > 0 ? r : 0;
	return r;
}

/*
 * The first record: until all of it is here a stranger costs nothing. Who has spoken stands in line, at no more cost, and
 * without a limit but its own patience; -EAGAIN until it is its turn.
 */
static int door_greet(struct station_conn *c, uint32_t events, struct ssi_err *e)
{
	int r = ssi_tls_greet(c->fd, &c->low_water, e);

	if (r < 0)
		return r;
	if (events & EPOLLRDHUP)
		return ssi_errf(e, -ECONNRESET, "hung up before the handshake");
	c->state = LINK_IN_LINE;
	station_link_move(c, &c->s->door[DOOR_LINE], 0);
	station_conn_watch(c, EPOLLRDHUP);
	return -EAGAIN;
}

static int door_revoked(const struct station_conn *c, struct ssi_err *e)
{
	return ssi_errf(e, -EKEYREVOKED, "the key of %s was used after its time", c->id.who);
}

/* Throw away what still comes, until the other end has shut its end too: so that what it was told is not lost to a reset. */
static int door_drain(struct station_conn *c, struct ssi_err *e)
{
	uint8_t waste[4096];
	ssize_t n;

	do
		n = recv(c->fd, waste, sizeof(waste), MSG_DONTWAIT);
	while (n > 0);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : door_revoked(c, e);
}

static int door_shake(struct station_conn *c, struct ssi_err *e)
{
	int r = ssi_tls_handshake(c->tls, e);

	if (r == -EAGAIN)
		station_conn_watch(c, (ssi_tls_wants_write(c->tls) ? EPOLLOUT : EPOLLIN) | EPOLLRDHUP);
	if (r < 0)
		return r;
	if (!c->expired)
		return 1;
	ssi_tls_say_expired(c->tls);
	ssi_tls_bye(c->tls);
	shutdown(c->fd, SHUT_WR);
	c->state = LINK_ENDING;
	c->deadline = c->s->now + DOOR_END_MS;
	station_conn_watch(c, EPOLLIN);
	return door_drain(c, e);
}

int station_door_event(struct station_conn *c, uint32_t events, struct ssi_err *e)
{
	switch (c->state) {
	case LINK_SILENT:
		return door_greet(c, events, e);
	case LINK_IN_LINE:                   /* it waited for longer than it wanted: no work for nobody */
		return ssi_errf(e, -ECONNRESET, "hung up before the handshake");
	case LINK_ENDING:
		return door_drain(c, e);
	default:
		return door_shake(c, e);
	}
}

void station_door_next(struct ssi_ccm_station *s)
{
	struct station_conn *c;
	struct ssi_err e;

	while (s->n_door[DOOR_GREETED] < DOOR_GREETED_MAX && (c = TAILQ_FIRST(&s->door[DOOR_LINE]))) {
		c->state = LINK_TLS;
		station_link_move(c, &s->door[DOOR_GREETED], DOOR_STALL_MS);
		if (ssi_tls_server(c->fd, door_on_key, c, &c->tls, &e) < 0)
			station_link_fail(c, &e);
		else
			station_link_event(c, EPOLLIN);
	}
}

/* Its time is over: is it given more? crowd: somebody waits for its place. */
static bool door_patience(struct station_conn *c, bool crowd)
{
	struct ssi_ccm_station *s = c->s;
	bool slow = !crowd && s->now - c->since < s->config.connect_ms;
	int there = 0;

	if (c->state != LINK_TLS)
		return false;
	/* What it has to say next may lie there unread: then it is we who are slow. */
	if (!slow && (ioctl(c->fd, FIONREAD, &there) < 0 || there <= 0))
		return false;
	c->deadline = s->now + DOOR_STALL_MS;
	return true;
}

static uint64_t door_expire_greeted(struct ssi_ccm_station *s)
{
	bool crowd = s->n_door[DOOR_LINE] > DOOR_GREETED_MAX - s->n_door[DOOR_GREETED];   /* who has just come stands in line a moment, room or not */
	struct station_conn *c, *next;
	uint64_t first = UINT64_MAX;
	struct ssi_err e;

	for (c = TAILQ_FIRST(&s->door[DOOR_GREETED]); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (s->now >= c->deadline && !door_patience(c, crowd)) {
			if (c->state == LINK_ENDING)
				door_revoked(c, &e);
			else
				ssi_errf(&e, -ETIMEDOUT, "handshake timed out");
			station_link_fail(c, &e);
		} else if (c->deadline < first)
			first = c->deadline;
	}
	return first;
}

uint64_t station_door_expire(struct ssi_ccm_station *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &s->tag_listener };
	uint64_t first = door_expire_greeted(s);
	struct station_conn *c;
	struct ssi_err e;

	if (s->accept_at && s->now >= s->accept_at) {
		s->accept_at = 0;
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &ev);
	} else if (s->accept_at && s->accept_at < first)
		first = s->accept_at;
	while ((c = TAILQ_FIRST(&s->door[DOOR_SILENT])) && s->now >= c->deadline) {
		ssi_errf(&e, -ETIMEDOUT, "handshake timed out");
		station_link_fail(c, &e);
	}
	return c && c->deadline < first ? c->deadline : first;
}
