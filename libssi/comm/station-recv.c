/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the two queues of the paper: the receive-wait queue (threads, on their stacks) and the receive-data queue (messages that nobody
 * awaits). Called by threads that receive, and by station-in.c. A thread that waits reads the socket itself if nobody else does. A
 * message is looked for by walking over those of its module: thousands that wait out of order are slow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

#define RECV_AHEAD 16384                 /* what is read beyond the message that is awaited */
#define RECV_SMALL 8192                  /* up to here a copy is cheaper than a read in three pieces */

static bool waiter_wants(const struct station_waiter *w, uint16_t module, uint64_t sequence)
{
	return w->module == module && (w->sequence == sequence || w->sequence == SSI_CCM_NOSEQ);
}

struct station_waiter *station_waiter_find(struct station_peer *p, const struct ssi_ccm_head *h, bool answer)
{
	struct station_waiter *w;

	TAILQ_FOREACH(w, &p->waiters, link)
		if (!w->claimed && w->answer == answer && waiter_wants(w, h->module, h->sequence))
			return w;
	return NULL;
}

void station_waiter_done(struct station_peer *p, struct station_waiter *w, ssize_t result)
{
	TAILQ_REMOVE(&p->waiters, w, link);
	w->result = result;
	w->done = true;
	w->claimed = NULL;
	if (w->sleeps)
		pthread_cond_signal(&w->cond);
}

/* The first kept message that w wants. */
static struct station_msg *recv_kept(struct station_peer *p, const struct station_waiter *w)
{
	struct station_lane *lane = station_lane_find(p, w->module);
	struct station_msg *m;

	if (!lane)
		return NULL;
	TAILQ_FOREACH(m, &lane->queue, link)
		if (waiter_wants(w, m->head.module, m->head.sequence))
			return m;
	return NULL;
}

/* What m holds, to a buffer that is large enough, and may be NULL for nothing. */
static ssize_t recv_copy(const struct station_msg *m, uint8_t *buf)
{
	if (m->head.size)
		memcpy(buf, m->body, m->head.size);
	return (ssize_t)m->head.size;
}

static void recv_take(struct station_peer *p, struct station_msg *m)
{
	TAILQ_REMOVE(&m->lane->queue, m, link);
	station_in_taken(p, m->lane, m->head.size);
}

void station_recv_put(struct station_peer *p, struct station_msg *m)
{
	struct station_waiter *w = station_waiter_find(p, &m->head, false);

	if (w && m->head.size <= w->n) {
		w->head = m->head;
		station_in_taken(p, m->lane, m->head.size);
		station_waiter_done(p, w, recv_copy(m, w->buf));
		free(m);
		return;
	}
	if (w) {
		w->head = m->head;
		station_waiter_done(p, w, -EMSGSIZE);
	}
	TAILQ_INSERT_TAIL(&m->lane->queue, m, link);
	if (p->s->config.ops->arrived) {
		const struct station_frame f = { .module = m->head.module, .type = m->head.type, .sequence = m->head.sequence };
		struct station_msg *told = station_msg_new(p, &f);

		if (!told)
			return;
		told->head.size = m->head.size;
		station_call_inbox_put(p, told);
	}
}

static void role_take(struct station_peer *p, struct station_conn *c)
{
	p->reader = true;
	p->lease_used = true;
	c->refs++;
	if (!p->leased) {
		station_watch(p);            /* what threads hear is asked for, and not by the clock */
		p->leased = true;
		station_conn_interest(p);
	}
}

/* Somebody who waits goes on reading. */
void station_role_pass(struct station_peer *p)
{
	struct station_waiter *w;

	if (!p->conn || p->reader)
		return;
	TAILQ_FOREACH(w, &p->waiters, link)
		if (w->sleeps) {
			pthread_cond_signal(&w->cond);
			return;
		}
}

/* Is something to be acknowledged before long? An end that lets that wait has the clock look after it. */
static bool recv_untold(struct station_peer *p)
{
	bool untold = atomic_load_explicit(&p->rx_serial, memory_order_relaxed) > atomic_load_explicit(&p->ack_told, memory_order_relaxed);

	if (!p->s->config.ack_ms || !untold)
		return untold;
	if (!p->unacked_at) {
		p->unacked_at = ssi_clock_mono_ms();
		station_tick_by(p->s, p->unacked_at, p->unacked_at + p->s->config.ack_ms);
	}
	return false;
}

void station_role_leave(struct station_peer *p, struct station_conn *c)
{
	p->reader = false;
	if (p->conn != c)
		station_in_reset(c);
	station_conn_unref(c);
	if (p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
	station_role_pass(p);
	if (!p->hot && (p->leased || recv_untold(p)))
		station_heat(p);
}

/* A thread that reads for others for long: the other end must hear of what has come, now or soon. */
static void recv_tell(struct station_peer *p)
{
	if (atomic_load_explicit(&p->due, memory_order_relaxed) & DUE_NOW)
		station_out_flush(p, p->out.head, false);
	if (!p->hot && recv_untold(p))
		station_heat(p);
}

/*
 * The header, the body straight into w's buffer (if it is w's, and of the size of the last one), and what follows: one system call. The lock
 * is held on return.
 */
static ssize_t recv_direct(struct station_peer *p, struct station_conn *c, struct station_waiter *w, bool wait, struct ssi_err *e)
{
	size_t ahead = c->guess < w->n ? c->guess : w->n, body, at = 0;
	uint8_t rest[RECV_AHEAD] __attribute__((aligned(64)));
	struct iovec iov[3] = { { c->header, STATION_HEADER }, { w->buf, ahead }, { rest, sizeof(rest) } };
	ssize_t n = station_conn_readv(c, iov, 3, wait, e);
	int r;

	pthread_mutex_lock(&p->lock);
	if (n <= 0)
		return n;
	c->n_header = n < STATION_HEADER ? (unsigned)n : STATION_HEADER;
	if (n < STATION_HEADER)
		return n;
	r = p->conn == c ? station_in_header(p, c, c->header, e) : -ECANCELED;
	if (r < 0)
		return r;
	body = (size_t)n - STATION_HEADER;
	if (c->waiter == w) {
		at = body < ahead ? body : ahead;
		at = at < c->f.size ? at : c->f.size;
		c->got = (uint32_t)at;
	}
	if (c->got == c->f.size) {
		r = station_in_whole(p, c, e);
		if (r < 0 || at == body)
			return r < 0 ? r : n;
	}
	pthread_mutex_unlock(&p->lock);
	if (body > at && at < ahead)
		r = station_in_feed(p, c, w->buf + at, (body < ahead ? body : ahead) - at, e);
	if (r >= 0 && body > ahead)
		r = station_in_feed(p, c, rest, body - ahead, e);
	pthread_mutex_lock(&p->lock);
	return r < 0 ? r : n;
}

/*
 * Small bodies: one piece, and a copy. The kernel takes one piece faster than three, by more than a copy of some KiB costs. The lock is held
 * on return.
 */
static ssize_t recv_small(struct station_peer *p, struct station_conn *c, struct station_waiter *w, bool wait, struct ssi_err *e)
{
	uint8_t buf[RECV_AHEAD] __attribute__((aligned(64)));
	ssize_t n = station_conn_some(c, buf, sizeof(buf), wait, e);
	size_t at = 0;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	if (n <= 0)
		return n;
	if (n >= STATION_HEADER && p->conn == c && station_frame_size(buf) <= (size_t)n - STATION_HEADER) {
		r = station_in_header(p, c, buf, e);
		if (r < 0)
			return r;
		if (c->to && c->f.size)
			memcpy(c->to, buf + STATION_HEADER, c->f.size);
		at = STATION_HEADER + c->f.size;
		r = station_in_whole(p, c, e);
	}
	if (r < 0 || at == (size_t)n)
		return r < 0 ? r : n;
	pthread_mutex_unlock(&p->lock);
	r = station_in_feed(p, c, buf + at, (size_t)n - at, e);
	pthread_mutex_lock(&p->lock);
	return r < 0 ? r : n;
}

/* One read by a thread that waits, with the role; the lock is held on return. */
static ssize_t recv_some(struct station_peer *p, struct station_conn *c, struct station_waiter *w, bool wait, struct ssi_err *e)
{
	uint8_t buf[RECV_AHEAD] __attribute__((aligned(64))), *to;
	ssize_t n;
	int r;

	if (!c->n_header && !c->tls)
		return c->guess <= RECV_SMALL ? recv_small(p, c, w, wait, e) : recv_direct(p, c, w, wait, e);
	to = station_in_fills(p, c);
	if (to)
		n = station_in_fill(p, c, to, wait, e);
	else {
		struct iovec iov = { buf, sizeof(buf) };

		n = station_conn_readv(c, &iov, 1, wait, e);
		r = n > 0 ? station_in_feed(p, c, buf, (size_t)n, e) : 0;
		n = r < 0 ? r : n;
	}
	pthread_mutex_lock(&p->lock);
	return n;
}

/* One try of the reader, no lock held; held on return. -EAGAIN: nothing came, look at the time. */
static ssize_t recv_try(struct station_peer *p, struct station_conn *c, struct station_waiter *w, uint64_t left, struct ssi_err *e)
{
	if (left >= STATION_SLICE_MS)
		return recv_some(p, c, w, true, e);
	if (left)
		station_conn_wait(c, (unsigned)left);
	return recv_some(p, c, w, false, e);
}

static uint64_t recv_left(uint64_t *deadline, unsigned timeout_ms)
{
	uint64_t now;

	if (timeout_ms == SSI_CCM_FOREVER)
		return STATION_SLICE_MS;
	now = ssi_clock_mono_ms();
	if (!*deadline)
		*deadline = now + timeout_ms;
	return *deadline > now ? *deadline - now : 0;
}

/* Read as the peer's reader until w has what it waits for, or the time is over, or the connection. The lock is held. */
static int recv_read(struct station_peer *p, struct station_waiter *w, unsigned timeout_ms, uint64_t *deadline)
{
	struct station_conn *c = p->conn;
	int r = 0;

	role_take(p, c);
	while (!w->done && p->conn == c && !p->s->down && !r) {
		uint64_t left = recv_left(deadline, timeout_ms);
		struct ssi_err e;
		ssize_t n;

		pthread_mutex_unlock(&p->lock);
		n = recv_try(p, c, w, left, &e);
		if (n > 0)
			atomic_store_explicit(&p->heard, true, memory_order_relaxed);
		if (n > 0 && !w->done)
			recv_tell(p);
		else if (n == 0)
			station_in_fail(p, c, -ECONNRESET, NULL);
		else if (n < 0 && n != -EAGAIN)
			station_in_fail(p, c, (int)n, &e);
		else if (n < 0 && (!left || (*deadline && ssi_clock_mono_ms() >= *deadline)))
			r = -ETIMEDOUT;
	}
	while (p->conn == c && station_conn_pending(c)) {    /* what TLS has in its hands, no one else would see */
		struct ssi_err e;
		ssize_t n;

		pthread_mutex_unlock(&p->lock);
		n = recv_some(p, c, w, false, &e);
		if (n == 0 || (n < 0 && n != -EAGAIN))
			station_in_fail(p, c, n ? (int)n : -ECONNRESET, n ? &e : NULL);
	}
	station_role_leave(p, c);
	return r;
}

static int recv_may(const struct station_peer *p)
{
	if (p->s->down)
		return -ESHUTDOWN;
	if (!p->known)
		return -ENOENT;
	return p->state == PEER_GONE ? -EHOSTDOWN : 0;
}

void station_waiter_leave(struct station_peer *p, struct station_waiter *w, ssize_t result)
{
	if (!w->done && w->claimed)          /* a part of it is in the buffer already, and another thread goes on */
		station_in_detach(p, w);
	if (!w->done)
		station_waiter_done(p, w, result);
}

ssize_t station_recv_wait(struct station_peer *p, struct station_waiter *w, unsigned timeout_ms)
{
	uint64_t deadline = 0;
	bool waited = false;
	int r = 0;

	while (!w->done && !(r = recv_may(p))) {
		waited = true;
		if (p->conn && !p->reader)
			r = recv_read(p, w, timeout_ms, &deadline);
		else {
			if (!deadline)
				deadline = station_deadline(timeout_ms);
			w->sleeps = true;
			r = station_cond_wait(&w->cond, &p->lock, deadline);
			w->sleeps = false;
		}
		if (r < 0)
			break;
	}
	station_waiter_leave(p, w, r == -ENOENT && waited ? -EHOSTDOWN : r);     /* parted with while it waited */
	station_role_pass(p);
	return w->result;
}

static void recv_leave(struct station_peer *p)
{
	if (atomic_load_explicit(&p->due, memory_order_relaxed) & DUE_NOW)
		station_out_flush(p, p->out.head, false);
	if (!--p->users && p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
	pthread_mutex_unlock(&p->lock);
}

ssize_t ssi_ccm_brecv(struct ssi_ccm_station *s, struct ssi_ccm_head *from, void *buf, size_t n, unsigned timeout_ms)
{
	struct station_waiter w = { .module = from->module, .sequence = from->sequence, .buf = buf, .n = n, .cond = PTHREAD_COND_INITIALIZER };
	struct station_peer *p = station_peer_find(s, from->node);
	struct station_msg *m;
	ssize_t r;

	if (!p)
		return -ENOENT;
	if (station_in_loop(s))
		return -EDEADLK;
	pthread_mutex_lock(&p->lock);
	p->users++;
	m = recv_kept(p, &w);
	if (m) {
		*from = m->head;
		r = m->head.size > n ? -EMSGSIZE : recv_copy(m, buf);
		if (r >= 0) {
			recv_take(p, m);
			free(m);
		}
	} else {
		TAILQ_INSERT_TAIL(&p->waiters, &w, link);
		r = station_recv_wait(p, &w, timeout_ms);
		if (r >= 0 || r == -EMSGSIZE)
			*from = w.head;
	}
	recv_leave(p);
	return r;
}

/* A thread that only ever looks, while the loop thinks that threads read: look into the socket too. The lock is held. */
static void recv_look(struct station_peer *p)
{
	struct station_conn *c = p->conn;
	uint8_t buf[RECV_AHEAD] __attribute__((aligned(64)));
	struct iovec iov = { buf, sizeof(buf) };
	struct ssi_err e;
	ssize_t n;
	int r;

	if (!c || p->reader || !p->leased)
		return;
	role_take(p, c);
	do {
		pthread_mutex_unlock(&p->lock);
		n = station_conn_readv(c, &iov, 1, false, &e);
		r = n > 0 ? station_in_feed(p, c, buf, (size_t)n, &e) : n == 0 ? -ECONNRESET : (int)n;
		pthread_mutex_lock(&p->lock);
	} while (r >= 0 && station_conn_pending(c));
	if (n > 0)
		atomic_store_explicit(&p->heard, true, memory_order_relaxed);
	if (r < 0 && r != -EAGAIN)
		station_in_fail(p, c, r, &e);
	station_role_leave(p, c);
}

int ssi_ccm_arecv(struct ssi_ccm_station *s, struct ssi_ccm_head *from, void **ret_body)
{
	const struct station_waiter w = { .module = from->module, .sequence = from->sequence };
	struct station_peer *p = station_peer_find(s, from->node);
	struct station_msg *m;
	int r = 0;

	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	p->users++;
	m = recv_kept(p, &w);
	if (!m && !station_in_loop(s)) {
		recv_look(p);
		m = recv_kept(p, &w);
	}
	if (m) {
		recv_take(p, m);
		*from = m->head;
		*ret_body = m->body;
	} else {
		r = recv_may(p);
		r = r < 0 ? r : -EAGAIN;
	}
	recv_leave(p);
	return r;
}

void ssi_ccm_body_free(void *body)
{
	if (body)
		free((uint8_t *)body - offsetof(struct station_msg, body));
}
