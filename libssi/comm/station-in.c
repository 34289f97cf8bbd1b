/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what comes, from bytes to whole messages: every frame is checked before a byte of its body is kept, and a body goes to where it is
 * wanted. Called by whoever has the reader's role of a peer, without its lock: the loop, or a thread that receives.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/comm/station-internal.h"

#define IN_BURST 4                       /* chunks of one peer, before others are heard */
#define IN_FILL_MIN 4096u                /* so much of a body missing: it is read to its place, not through a chunk */

struct station_msg *station_msg_new(struct station_peer *p, const struct station_frame *f)
{
	struct station_msg *m = malloc(sizeof(*m) + f->size);

	if (!m)
		return NULL;
	*m = (struct station_msg){
		.head = { p->node, f->module, f->type, f->sequence, f->size, f->flags & STATION_WANTS_ANSWER }, .flags = f->flags, .peer = p,
		.lane = station_lane_find(p, f->module), .session = p->session,
	};
	return m;
}

void station_in_taken(struct station_peer *p, struct station_lane *lane, uint32_t size)
{
	uint64_t taken = atomic_fetch_add(&lane->taken, STATION_HEADER + size) + STATION_HEADER + size;
	uint32_t window = p->s->config.window, spare = window > lane->largest ? window - lane->largest : 0;

	uint64_t untold = taken - atomic_load_explicit(&lane->told, memory_order_relaxed);

	/*
	 * What goes back of this module says it for nothing; past half a window it is said anyhow, or earlier
	 * where what is left might not let the largest message through.
	 */
	if (untold >= (spare < window / 2 ? spare : window / 2))
		atomic_fetch_or(&p->due, DUE_CREDIT | DUE_NOW);
}

static int in_check_credit(struct station_peer *p, struct station_lane *lane, const struct station_frame *f, struct ssi_err *e)
{
	uint64_t received = atomic_load_explicit(&lane->received, memory_order_relaxed);
	uint64_t open = received - atomic_load_explicit(&lane->told, memory_order_relaxed);
	uint32_t cost = STATION_HEADER + f->size;

	if (open && open + cost > p->s->config.window)
		return ssi_errf(e, -EPROTO, "message of module %u beyond its credit", f->module);
	atomic_store_explicit(&lane->received, received + cost, memory_order_relaxed);
	return 0;
}

/* Does it take credit? Answers do not, they were asked for; nor do news. */
static bool in_counts(const struct station_frame *f)
{
	return station_frame_kind(f) < KIND_ANSWER;
}

/* What the table says of it. */
static int in_permit(struct station_peer *p, struct station_lane *lane, const struct station_frame *f, struct ssi_err *e)
{
	const struct ssi_ccm_permit *permit = lane ? lane->permit : NULL;

	if (!permit || lane->permit_type != f->type)
		permit = station_permit_find(p->s, p->remote, f->module, f->type);
	if (!permit)
		return ssi_errf(e, -EPERM, "message %u.%u is not node %u's to send", f->module, f->type, p->node);
	if (f->size > permit->max_size)
		return ssi_errf(e, -EMSGSIZE, "message %u.%u of %u bytes, at most %u may come", f->module, f->type, f->size, permit->max_size);
	if (lane) {
		lane->permit = permit;
		lane->permit_type = f->type;
	}
	return 0;
}

/* Who, what, how large; and which serial: 1 = a duplicate. */
static int in_check(struct station_peer *p, struct station_lane *lane, const struct station_frame *f, struct ssi_err *e)
{
	uint64_t have = atomic_load_explicit(&p->rx_serial, memory_order_relaxed);
	int r;

	/* The common case, all at once: like the one before it. */
	if (f->source == p->remote && f->destination == p->self->number && f->incarnation == p->incarnation && lane && lane->permit &&
	    lane->permit_type == f->type && f->size <= lane->permit->max_size && f->serial == have + 1 && station_frame_kind(f) < KIND_ANSWER)
		return 0;
	if (f->source != p->remote || f->destination != p->self->number)
		return ssi_errf(e, -EPROTO, "frame from node %u to node %u on a connection of %u and %u", f->source, f->destination, p->remote,
				p->self->number);
	if (f->incarnation != p->incarnation)
		return ssi_errf(e, -ESTALE, "frame of incarnation %llu on a connection of %llu", (unsigned long long)f->incarnation,
				(unsigned long long)p->incarnation);
	if (!f->module)
		return f->type == CONTROL_HELLO ? ssi_errf(e, -EPROTO, "a second HELLO") : 0;
	if (station_frame_kind(f) == KIND_NO_HANDLER && f->size)
		return ssi_errf(e, -EPROTO, "an answer that should be empty, of %u bytes", f->size);
	/* An answer was asked for by this node: a table of who may send what is of those who begin. */
	r = in_counts(f) || station_frame_kind(f) == KIND_NEWS ? in_permit(p, lane, f, e) : 0;
	if (r < 0 || station_frame_kind(f) == KIND_NEWS)
		return r;
	if (f->serial <= have)
		return 1;
	return f->serial == have + 1 ? 0 :
		ssi_errf(e, -EPROTO, "serial %llu after %llu", (unsigned long long)f->serial, (unsigned long long)have);
}

static int in_heap(struct station_peer *p, struct station_conn *c)
{
	c->msg = station_msg_new(p, &c->f);
	if (!c->msg)
		return -ENOMEM;
	c->to = c->msg->body;
	return 0;
}

/* Where does the body go? The lock is held. */
static int in_place(struct station_peer *p, struct station_conn *c)
{
	const struct ssi_ccm_head h = { p->node, c->f.module, c->f.type, c->f.sequence, c->f.size, false };
	enum station_kind kind = station_frame_kind(&c->f);
	struct station_waiter *w;

	if (kind == KIND_SHORT || kind == KIND_LONG || kind == KIND_NEWS)
		return in_heap(p, c);
	w = station_waiter_find(p, &h, kind >= KIND_ANSWER);
	if (w && h.size <= w->n && kind != KIND_NO_HANDLER) {
		w->claimed = c;
		w->head = h;
		c->waiter = w;
		c->to = w->buf;
		return 0;
	}
	if (kind == KIND_MESSAGE)            /* too long for who waits: it is told so once all of it is here, to be taken by ssi_ccm_arecv */
		return in_heap(p, c);
	if (w) {
		w->head = h;
		station_waiter_done(p, w, kind == KIND_NO_HANDLER ? -ENOSYS : -EMSGSIZE);
	}
	return !w && station_async_find(p, &h) ? in_heap(p, c) : 0;
}

/* A new message: it takes its credit and gets its place. The lock is held. */
static int in_message(struct station_peer *p, struct station_conn *c, struct ssi_err *e)
{
	bool counts = in_counts(&c->f);
	int r = 0;

	if (p->s->config.loop_only && counts && station_frame_kind(&c->f) != KIND_SHORT)
		return ssi_errf(e, -EPERM, "message %u.%u of node %u is no short call", c->f.module, c->f.type, p->node);
	if (!c->lane && counts)              /* for what no permit let in, an answer, there is a lane already: of its call */
		c->lane = station_lane_get(p, c->f.module);
	if (!c->lane && counts)
		return ssi_errf(e, -ENOMEM, "no memory for module %u", c->f.module);
	r = counts ? in_check_credit(p, c->lane, &c->f, e) : 0;
	if (r < 0)
		return r;
	r = in_place(p, c);
	if (r < 0 && counts)
		atomic_fetch_sub(&c->lane->received, STATION_HEADER + c->f.size);
	return r < 0 ? ssi_errf(e, r, "no memory for a message of %u bytes", c->f.size) : 0;
}

/* The peer has taken so much of what was sent it; the lock is held. */
static int in_granted(struct station_peer *p, struct station_lane *lane, uint64_t taken, struct ssi_err *e)
{
	if (!lane || taken > lane->sent)
		return ssi_errf(e, -EPROTO, "credit for what was not sent");
	if (taken <= atomic_load_explicit(&lane->granted, memory_order_relaxed))
		return 0;
	atomic_store_explicit(&lane->granted, taken, memory_order_relaxed);
	if (p->waiting_room)
		pthread_cond_broadcast(&p->room);
	if (lane->starved)
		station_work(p, WORK_DRAINED);
	return 0;
}

int station_in_header(struct station_peer *p, struct station_conn *c, const uint8_t *header, struct ssi_err *e)
{
	int r = station_frame_decode(header, &c->f, e), again;

	if (r < 0)
		return r;
	c->lane = station_lane_find(p, c->f.module);
	again = in_check(p, c->lane, &c->f, e);
	if (again < 0)
		return again;
	if (c->f.ack > p->rx_acked) {
		r = station_out_acked(p, c->f.ack, e);
		if (r < 0)
			return r;
		p->rx_acked = c->f.ack;
	}
	if (c->f.taken) {
		r = in_granted(p, c->lane, c->f.taken, e);
		if (r < 0)
			return r;
	}
	c->got = 0;
	c->to = c->f.module ? NULL : c->small;
	if (c->f.module)
		c->guess = c->f.size;
	if (again) {
		p->duplicates++;
		c->f.serial = 0;
	}
	r = c->f.module && !again ? in_message(p, c, e) : 0;
	c->in_body = r >= 0;
	return r;
}

static void in_count(struct station_peer *p, const struct station_frame *f)
{
	uint64_t bytes = atomic_load_explicit(&p->rx_bytes, memory_order_relaxed) + STATION_HEADER + f->size;
	uint64_t ring = atomic_load_explicit(&p->rx_ring, memory_order_relaxed) + STATION_HEADER + (f->size < STATION_KEEP_MIN ? f->size : 0);

	atomic_store_explicit(&p->rx_serial, f->serial, memory_order_relaxed);
	atomic_store_explicit(&p->rx_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&p->rx_ring, ring, memory_order_relaxed);
	if (bytes - atomic_load_explicit(&p->rx_bytes_told, memory_order_relaxed) >= p->retain / 2 ||
	    ring - atomic_load_explicit(&p->rx_ring_told, memory_order_relaxed) >= STATION_RING_ACK)
		atomic_fetch_or(&p->due, DUE_ACK | DUE_NOW);
}

static int in_control(struct station_peer *p, struct station_conn *c, struct ssi_err *e)
{
	uint16_t module;
	uint64_t taken;

	if (c->f.type == CONTROL_PART)
		return ssi_errf(e, -EHOSTDOWN, "the other end has ended the session");
	if (c->f.type != CONTROL_CREDIT)
		return 0;
	station_credit_decode(c->small, &module, &taken);
	return in_granted(p, station_lane_find(p, module), taken, e);
}

/* The body is whole; the lock is held. */
int station_in_whole(struct station_peer *p, struct station_conn *c, struct ssi_err *e)
{
	struct station_msg *m = TAKE_PTR(c->msg);
	struct station_waiter *w = TAKE_PTR(c->waiter);

	c->in_body = false;
	c->n_header = 0;
	if (!c->f.module)
		return in_control(p, c, e);
	if (!c->f.serial && station_frame_kind(&c->f) == KIND_NEWS && m)
		station_call_inbox_put(p, m);
	if (!c->f.serial)
		return 0;
	in_count(p, &c->f);
	p->received++;
	if (w) {
		if (!w->answer)
			station_in_taken(p, c->lane, c->f.size);
		station_waiter_done(p, w, (ssize_t)c->f.size);
	} else if (m && station_frame_kind(&c->f) == KIND_MESSAGE)
		station_recv_put(p, m);
	else if (m && station_frame_kind(&c->f) == KIND_LONG)
		station_call_job(m);
	else if (m && station_frame_kind(&c->f) == KIND_SHORT)
		station_call_inbox_put(p, m);
	else if (m)
		station_call_answered(p, m);
	return 0;
}

/* Some bytes of a body; the lock is held, so that a waiter cannot leave meanwhile. */
static int in_body(struct station_peer *p, struct station_conn *c, const uint8_t **b, size_t *n, struct ssi_err *e)
{
	size_t take = c->f.size - c->got;

	take = *n < take ? *n : take;
	if (c->to)
		memmove(c->to + c->got, *b, take);    /* what was read ahead may lie behind, in the same buffer */
	c->got += (uint32_t)take;
	*b += take;
	*n -= take;
	return c->got == c->f.size ? station_in_whole(p, c, e) : 0;
}

/* News that are whole in the chunk. */
static int in_news(struct station_peer *p, struct station_lane *lane, const struct station_frame *f, const uint8_t **b, size_t *n, struct ssi_err *e)
{
	const struct ssi_ccm_head head = { p->node, f->module, f->type, f->sequence, f->size, false };
	int r = in_check(p, lane, f, e);

	if (r < 0)
		return r;
	station_call_run(p->s, &head, *b + STATION_HEADER);
	*b += STATION_HEADER + f->size;
	*n -= STATION_HEADER + f->size;
	return 1;
}

/*
 * The common case of one-way calls, by the loop: a short call that is whole in the chunk, with nothing before it in the inbox, runs where it
 * lies and takes no lock. 1: done.
 */
static int in_call(struct station_peer *p, struct station_conn *c, const uint8_t **b, size_t *n, struct ssi_err *e)
{
	struct station_frame f;
	struct station_lane *lane;
	struct ssi_ccm_head head;
	struct station_msg *m;
	bool told;
	int r;

	if (*n < STATION_HEADER || station_frame_size(*b) > *n - STATION_HEADER || atomic_load_explicit(&p->n_inbox, memory_order_relaxed) ||
	    station_frame_decode(*b, &f, NULL) < 0 || !f.module || f.ack > p->rx_acked)
		return 0;
	lane = station_lane_find(p, f.module);
	if (station_frame_kind(&f) == KIND_NEWS && !f.taken)
		return in_news(p, lane, &f, b, n, e);
	if (station_frame_kind(&f) != KIND_SHORT)
		return 0;
	if (!lane || f.taken > atomic_load_explicit(&lane->granted, memory_order_relaxed))
		return 0;
	r = in_check(p, lane, &f, e);
	if (r)
		return r < 0 ? r : 0;
	r = in_check_credit(p, lane, &f, e);
	if (r < 0)
		return r;
	head = (struct ssi_ccm_head){ p->node, f.module, f.type, f.sequence, f.size, f.flags & STATION_WANTS_ANSWER };
	in_count(p, &f);
	atomic_fetch_add_explicit(&p->calls, 1, memory_order_relaxed);
	p->more = *n > STATION_HEADER + f.size;
	told = station_call_run(p->s, &head, *b + STATION_HEADER);
	p->more = false;
	m = told ? NULL : station_msg_new(p, &f);
	if (m)
		station_call_refuse(m);
	else
		station_in_taken(p, lane, f.size);
	*b += STATION_HEADER + f.size;
	*n -= STATION_HEADER + f.size;
	return 1;
}

int station_in_feed(struct station_peer *p, struct station_conn *c, const uint8_t *b, size_t n, struct ssi_err *e)
{
	bool loop = station_in_loop(p->s);

	while (n) {
		size_t take = STATION_HEADER - c->n_header;
		int r = 0;

		if (loop && p->deaf && p->deaf == p->session)
			return -EAGAIN;
		if (loop && !c->n_header) {
			r = in_call(p, c, &b, &n, e);
			if (r < 0)
				return r;
			if (r)
				continue;
		}
		take = n < take ? n : take;
		memcpy(c->header + c->n_header, b, take);
		c->n_header += (unsigned)take;
		b += take;
		n -= take;
		if (c->n_header < STATION_HEADER)
			return 0;
		pthread_mutex_lock(&p->lock);
		if (p->conn != c)
			r = ssi_errf(e, -ECANCELED, "closed");
		if (!r && !c->in_body)
			r = station_in_header(p, c, c->header, e);
		if (!r)
			r = in_body(p, c, &b, &n, e);
		pthread_mutex_unlock(&p->lock);
		if (r < 0)
			return r;
	}
	return 0;
}

uint8_t *station_in_fills(struct station_peer *p, struct station_conn *c)
{
	uint8_t *to = NULL;

	pthread_mutex_lock(&p->lock);
	if (c->in_body && c->to && c->f.size - c->got >= IN_FILL_MIN) {
		to = c->to + c->got;
		c->touching = c->waiter != NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return to;
}

ssize_t station_in_fill(struct station_peer *p, struct station_conn *c, uint8_t *to, bool wait, struct ssi_err *e)
{
	static const uint8_t nothing;
	const uint8_t *b = &nothing;
	size_t none = 0;
	ssize_t n = station_conn_read(c, to, c->f.size - c->got, wait, e);

	pthread_mutex_lock(&p->lock);
	c->touching = false;
	if (p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
	if (n > 0 && p->conn == c) {
		int r;

		c->got += (uint32_t)n;
		r = c->got == c->f.size ? in_body(p, c, &b, &none, e) : 0;
		n = r < 0 ? r : n;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

void station_in_detach(struct station_peer *p, struct station_waiter *w)
{
	struct station_conn *c;

	while ((c = w->claimed) && c->touching) {
		p->waiting_idle++;
		station_cond_wait(&p->idle, &p->lock, UINT64_MAX);
		p->waiting_idle--;
	}
	if (!c)
		return;
	if (!w->answer)
		c->msg = station_msg_new(p, &c->f);
	if (c->msg)
		memcpy(c->msg->body, c->to, c->got);
	c->to = c->msg ? c->msg->body : NULL;
	c->waiter = NULL;
	w->claimed = NULL;
	if (!c->msg && !w->answer)
		station_session_broken(p, c);    /* no memory: it comes again */
}

void station_in_reset(struct station_conn *c)
{
	struct station_lane *lane = c->in_body && c->f.module && c->f.serial ? c->lane : NULL;

	/* It comes again, and is counted then. */
	if (lane && station_frame_kind(&c->f) < KIND_ANSWER)
		atomic_fetch_sub(&lane->received, STATION_HEADER + c->f.size);
	if (c->waiter)
		c->waiter->claimed = NULL;
	c->waiter = NULL;
	free(c->msg);
	c->msg = NULL;
	c->to = NULL;
	c->in_body = false;
	c->n_header = 0;
}

void station_in_fail(struct station_peer *p, struct station_conn *c, int r, const struct ssi_err *e)
{
	bool rule = r == -EBADMSG || r == -EPROTO || r == -EPERM || r == -EMSGSIZE || r == -ESTALE;

	if (p->conn != c)
		return;
	if (rule)
		station_refused(p->s, c->addr, p->node, p->id, e);
	if (e)
		station_because(p, e);
	/* What may not be said would be said again for ever: that ends the session, not only the connection. */
	if (r == -EPERM || r == -EMSGSIZE)
		station_out_part(p);
	station_session_broken(p, c);
	if (r == -EHOSTDOWN || r == -EPERM || r == -EMSGSIZE)
		station_session_doom(p);
}

/* One read by the loop. Bytes, or what ended it. */
static ssize_t in_some(struct station_peer *p, struct station_conn *c, struct ssi_err *e)
{
	uint8_t *to = station_in_fills(p, c);
	ssize_t n;
	int r;

	if (to)
		n = station_in_fill(p, c, to, false, e);
	else {
		if (!p->s->chunk)
			p->s->chunk = malloc(STATION_CHUNK);
		if (!p->s->chunk)
			return ssi_errf(e, -ENOMEM, "no memory to read");
		n = station_conn_read(c, p->s->chunk, STATION_CHUNK, false, e);
		r = n > 0 ? station_in_feed(p, c, p->s->chunk, (size_t)n, e) : 0;
		n = r < 0 ? r : n;
	}
	if (n > 0)
		p->last_heard = p->s->now;
	return n ? n : ssi_errf(e, -ECONNRESET, "the other end hung up");
}

void station_in_read(struct station_peer *p, struct station_conn *c)
{
	struct ssi_err e;
	ssize_t n = 1;

	pthread_mutex_lock(&p->lock);
	if (p->conn != c || p->reader || p->leased) {
		pthread_mutex_unlock(&p->lock);
		return;
	}
	p->reader = true;
	c->refs++;
	pthread_mutex_unlock(&p->lock);
	/* Of TLS one call of the kernel takes all there is, in records; what is left is announced again. */
	for (int i = 0; n > 0 && (c->tls ? !i || station_conn_pending(c) : i < IN_BURST); i++)
		n = in_some(p, c, &e);
	pthread_mutex_lock(&p->lock);
	if (n < 0 && n != -EAGAIN)
		station_in_fail(p, c, (int)n, &e);
	station_role_leave(p, c);
	station_out_flush(p, p->out.head, false);
	pthread_mutex_unlock(&p->lock);
}
