/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a connection of ccm's loop face from its socket to its closed(). Called by ccm.c and from the loop. Whatever goes wrong, in any
 * state, ends in conn_fail; closed() and the end of the memory come from the loop alone, so a handler may close what it is called on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/sock.h"

static void conn_unlink(struct ssi_ccm_conn *c)
{
	TAILQ_REMOVE(&c->m->in[c->where], c, link);
	c->m->n_in[c->where]--;
}

static void conn_link(struct ssi_ccm_conn *c, enum conn_place where)
{
	c->where = where;
	TAILQ_INSERT_TAIL(&c->m->in[where], c, link);
	c->m->n_in[where]++;
}

void conn_move(struct ssi_ccm_conn *c, enum conn_place where)
{
	conn_unlink(c);
	conn_link(c, where);
}

/* Few connections have a reason to end at a time: it is not kept in all of them. */
void conn_because(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	if (!c->why)
		c->why = malloc(sizeof(*c->why));
	if (c->why)
		*c->why = *why;
}

void conn_bury(struct ssi_ccm *m)
{
	static const struct ssi_err nothing = { .code = -ENOMEM, .text = "no memory to say why" };
	struct ssi_ccm_conn *c;

	/* Not all: a user who connects anew at once, in vain, must not keep us here. */
	for (unsigned n = 0; n < CCM_BATCH && (c = TAILQ_FIRST(&m->in[CONN_IN_DEAD])); n++) {
		const struct ssi_err *why = c->why ? c->why : &nothing;

		if (c->opened || c->outgoing)
			m->ops->closed(c, why, m->userdata);
		else
			ccm_refused(m, c->peer, c->tls ? ssi_tls_identity(c->tls) : NULL, why, why->code == -EKEYREVOKED && !c->old_news);
		conn_free(c);
	}
	if (!TAILQ_EMPTY(&m->in[CONN_IN_DEAD]))
		sd_event_source_set_enabled(m->end, SD_EVENT_ONESHOT);
}

void conn_fail(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	if (c->state == CONN_DEAD)
		return;
	if (c->state < CONN_FLUSHING)     /* else the reason to close it was given before */
		conn_because(c, why);
	c->state = CONN_DEAD;
	conn_move(c, CONN_IN_DEAD);
	if (c->interest)
		epoll_ctl(c->m->poll, EPOLL_CTL_DEL, c->fd, NULL);
	c->interest = 0;
	identity_leave(c);
	c->timer = sd_event_source_disable_unref(c->timer);
	sd_event_source_set_enabled(c->m->end, SD_EVENT_ONESHOT);
}

void conn_free(struct ssi_ccm_conn *c)
{
	conn_unlink(c);
	c->m->n_conns--;
	if (c->talking)
		TAILQ_REMOVE(&c->m->talking, c, talk);
	identity_leave(c);
	sd_event_source_disable_unref(c->timer);
	ssi_tls_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	ssi_stream_free(&c->in);
	ssi_buf_free(&c->out);
	ssi_ccm_body_unref(c->shared);
	free(c->why);
	free(c);
}

int conn_wait(struct ssi_ccm_conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->interest == events)
		return 0;
	if (epoll_ctl(c->m->poll, c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) < 0)
		return -errno;
	c->interest = events;
	return 0;
}

/* Wait for what TLS or the queue needs. */
void conn_interest(struct ssi_ccm_conn *c)
{
	uint32_t want = EPOLLIN;

	if (c->fd < 0 || c->state == CONN_DEAD)
		return;
	if (c->state == CONN_CONNECTING)
		want = EPOLLOUT;
	else if (c->state == CONN_HANDSHAKE)
		want = (c->tls && ssi_tls_wants_write(c->tls) ? EPOLLOUT : EPOLLIN) | EPOLLRDHUP;
	else if (c->state == CONN_FLUSHING)
		want = EPOLLOUT;
	else if (c->state == CONN_OPEN && (c->out.len > c->out_at || c->shared))
		want = EPOLLIN | EPOLLOUT;
	conn_wait(c, want);
}

static int conn_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct ssi_ccm_conn *c = userdata;
	struct ssi_err e;

	if (door_patience(c))
		return 0;
	ssi_errf(&e, -ETIMEDOUT, "%s", c->state == CONN_CONNECTING ? "connect timed out" : "handshake timed out");
	conn_fail(c, &e);
	return 0;
}

int conn_arm(struct ssi_ccm_conn *c, unsigned ms)
{
	c->timer = sd_event_source_disable_unref(c->timer);
	return sd_event_add_time_relative(c->m->event, &c->timer, CLOCK_MONOTONIC, (uint64_t)ms * 1000, 50000, conn_on_timer, c);
}

static int conn_check(const struct ssi_frame *f, void *userdata, struct ssi_err *e)
{
	const struct ssi_ccm_rule *rule;

	return ccm_check(userdata, f, &rule, e);
}

static int conn_frame(const struct ssi_frame *f, const uint8_t *body, void *userdata, struct ssi_err *e)
{
	struct ssi_ccm_conn *c = userdata;
	const struct ssi_ccm_rule *rule;
	int r;

	r = ccm_check(c, f, &rule, e);
	if (r < 0)
		return r;
	r = rule->handle(c, f, body, rule->userdata);
	if (r < 0)
		return ssi_errno(e, r, "message %u.%u", f->module, f->type);
	return c->state == CONN_OPEN ? 0 : ssi_errf(e, -ECANCELED, "closed");
}

int conn_input(struct ssi_ccm_conn *c, const uint8_t *p, size_t n, struct ssi_err *e)
{
	static const struct ssi_stream_ops ops = { .check = conn_check, .frame = conn_frame };

	return ssi_stream_feed(&c->in, p, n, &ops, c, e);
}

/* Frames from what was taken from the socket. */
static void conn_digest(struct ssi_ccm_conn *c)
{
	uint8_t buf[CCM_READ];
	struct ssi_err e;

	while (c->state == CONN_OPEN) {
		ssize_t n = ssi_tls_read(c->tls, buf, sizeof(buf), &e);

		if (n == -EAGAIN)
			return;
		if (n == 0)
			n = ssi_errf(&e, -ECONNRESET, "the other end hung up");
		else if (n > 0)
			n = conn_input(c, buf, (size_t)n, &e);
		if (n >= 0 || c->state != CONN_OPEN)
			continue;
		if (!c->outgoing && n != -ECONNRESET)
			ccm_refused(c->m, c->peer, &c->id, &e, false);
		conn_fail(c, &e);
	}
}

/* One call of the kernel for all that waits in the socket; what does not fit is announced again. */
void conn_read(struct ssi_ccm_conn *c)
{
	ssize_t n;

	if (!c->m->ahead)
		c->m->ahead = malloc(CCM_AHEAD);
	if (!c->m->ahead)
		return;
	n = recv(c->fd, c->m->ahead, CCM_AHEAD, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		ssi_tls_feed(c->tls, c->m->ahead, (size_t)n);
	conn_digest(c);                  /* nothing or an error: TLS meets it itself and says what it means */
	ssi_tls_feed(c->tls, NULL, 0);
}

/* Our last words are said: shut our end, and wait for theirs. */
void conn_shut(struct ssi_ccm_conn *c)
{
	ssi_tls_bye(c->tls);
	shutdown(c->fd, SHUT_WR);
	c->state = CONN_DRAINING;
}

void conn_flush(struct ssi_ccm_conn *c)
{
	const uint8_t *p;
	struct ssi_err e;

	while (queue_waiting(c)) {
		size_t len = queue_piece(c, &p);
		ssize_t n = ssi_tls_write(c->tls, p, len, &e);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			conn_fail(c, &e);
			return;
		}
		queue_sent(c, (size_t)n);
	}
	if (!queue_waiting(c)) {
		ssi_buf_free(&c->out);
		c->out_at = 0;
		if (c->state == CONN_FLUSHING)
			conn_shut(c);
	}
	conn_interest(c);
}

/* There is room again: say so once to whom was told that there is none. */
static void conn_drained(struct ssi_ccm_conn *c)
{
	if (!c->starved || c->state != CONN_OPEN || queue_waiting(c) > CCM_QUEUE_MAX / 2)
		return;
	c->starved = false;
	if (c->m->ops->drained)
		c->m->ops->drained(c, c->m->userdata);
}

void conn_speak(struct ssi_ccm_conn *c)
{
	TAILQ_REMOVE(&c->m->talking, c, talk);
	c->talking = false;
	if (c->state != CONN_OPEN && c->state != CONN_FLUSHING)
		return;
	conn_flush(c);
	conn_drained(c);
}

/* Throw away what still comes, until the other end has shut its end too. */
static void conn_drain(struct ssi_ccm_conn *c)
{
	uint8_t waste[4096];
	ssize_t n;

	do
		n = recv(c->fd, waste, sizeof(waste), 0);
	while (n > 0);
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_fail(c, NULL);      /* why was said when it began to end */
}

void conn_ready(struct ssi_ccm_conn *c, uint32_t revents)
{
	switch (c->state) {
	case CONN_CONNECTING:
		door_connected(c);
		break;
	case CONN_HANDSHAKE:
		c->hung_up = revents & EPOLLRDHUP;
		door_handshake(c);
		break;
	case CONN_OPEN:
		if (revents & ~(uint32_t)EPOLLOUT)
			conn_read(c);
		if (c->state == CONN_OPEN && queue_waiting(c) && !c->talking)
			conn_flush(c);
		conn_drained(c);
		break;
	case CONN_FLUSHING:
		if (!c->talking)
			conn_flush(c);
		break;
	case CONN_DRAINING:
		conn_drain(c);
		break;
	case CONN_DEAD:
		break;
	}
}

int conn_new(struct ssi_ccm *m, int fd, bool outgoing, struct in_addr peer, struct ssi_ccm_conn **ret)
{
	struct ssi_ccm_conn *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	c->m = m;
	c->fd = fd;
	c->peer = peer;
	c->outgoing = outgoing;
	c->opened = fd < 0;
	c->state = fd < 0 ? CONN_OPEN : outgoing ? CONN_CONNECTING : CONN_HANDSHAKE;
	conn_link(c, !outgoing && fd >= 0 ? CONN_SILENT : CONN_IN_CONNS);
	m->n_conns++;
	if (fd >= 0)
		r = conn_wait(c, outgoing ? EPOLLOUT : EPOLLIN | EPOLLRDHUP);
	if (r < 0) {
		conn_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void ssi_ccm_close(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	static const struct ssi_err plain = { .code = -ECANCELED, .text = "closed by this end" };

	if (c->state >= CONN_FLUSHING)
		return;
	if (c->state < CONN_OPEN || c->fd < 0) {
		conn_fail(c, why ? why : &plain);
		return;
	}
	conn_because(c, why ? why : &plain);
	c->state = CONN_FLUSHING;
	conn_arm(c, CCM_CLOSE_MS);
	conn_interest(c);
}

void ssi_ccm_abort(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	conn_fail(c, why);
}

const struct ssi_identity *ssi_ccm_identity(const struct ssi_ccm_conn *c)
{
	return &c->id;
}

struct in_addr ssi_ccm_address(const struct ssi_ccm_conn *c)
{
	return c->peer;
}

bool ssi_ccm_waiting(const struct ssi_ccm_conn *c)
{
	uint8_t byte;

	return c->state == CONN_OPEN && c->fd >= 0 && (ssi_tls_pending(c->tls) || recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
}

void ssi_ccm_set_nodes(struct ssi_ccm_conn *c, uint32_t self, uint32_t peer)
{
	c->self_node = self;
	c->peer_node = peer;
}

void ssi_ccm_set_userdata(struct ssi_ccm_conn *c, void *p)
{
	c->userdata = p;
}

void *ssi_ccm_get_userdata(const struct ssi_ccm_conn *c)
{
	return c->userdata;
}
