/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a peer is sent, from the moment it was taken over until it was acknowledged: headers and small bodies in a ring, large
 * bodies beside it. Called with the peer's lock held; the writer gives it up while it is in the kernel, and others append meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

static void out_put(struct station_out *o, const void *p, size_t n)
{
	station_ring_put(&o->ring, o->head, p, n);
	o->head += n;
}

/* Room for n more bytes in the ring: 1; 0 when they must wait. */
static int out_reserve(struct station_out *o, size_t n)
{
	/* Empty: from its beginning again, in memory that caches know, and without a break. */
	if (o->head == o->tail && !o->writing && o->ring.cap)
		o->tail = o->written = o->batch_end = o->head = station_ring_begin(&o->ring, o->head);
	return station_ring_reserve(&o->ring, o->tail, o->head, n);
}

/* What is larger than all the room there may be has it when it is alone. */
int station_out_room(struct station_peer *p, struct station_lane *lane, uint32_t ring_bytes, uint32_t cost)
{
	struct station_out *o = &p->out;

	if (lane && lane->sent != lane->granted && lane->sent - lane->granted + cost > p->window)
		return 0;
	if (o->retained && o->retained + cost > p->s->config.retain)
		return 0;
	return out_reserve(o, ring_bytes);
}

/* A header with this ack is on its way. */
static void out_told(struct station_peer *p, uint64_t ack)
{
	atomic_store_explicit(&p->ack_told, ack, memory_order_relaxed);
	atomic_store_explicit(&p->rx_bytes_told, atomic_load_explicit(&p->rx_bytes, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&p->rx_ring_told, atomic_load_explicit(&p->rx_ring, memory_order_relaxed), memory_order_relaxed);
}

void station_out_append(struct station_peer *p, struct station_lane *lane, struct station_frame *f, const struct iovec *iov, int n,
			struct station_ext *ext)
{
	struct station_lane *taken_of = lane ? lane : station_lane_find(p, f->module);
	struct station_out *o = &p->out;
	uint8_t header[STATION_HEADER], *at;
	size_t straight;

	if (station_frame_kind(f) == KIND_NEWS)
		o->news++;
	else
		f->serial = o->next++;
	f->ack = atomic_load_explicit(&p->rx_serial, memory_order_relaxed);
	f->source = p->self->number;
	f->destination = p->remote;
	f->incarnation = p->self->incarnation;
	f->taken = 0;
	if (taken_of) {
		f->taken = atomic_load_explicit(&taken_of->taken, memory_order_relaxed);
		atomic_store_explicit(&taken_of->told, f->taken, memory_order_relaxed);
	}
	out_told(p, f->ack);
	at = station_ring_at(&o->ring, o->head, &straight);
	if (straight >= STATION_HEADER) {
		station_frame_encode(f, at);
		o->head += STATION_HEADER;
	} else {
		station_frame_encode(f, header);
		out_put(o, header, sizeof(header));
	}
	if (ext) {
		ext->at = o->head;
		STAILQ_INSERT_TAIL(&o->exts, ext, link);
		if (!o->at)
			o->at = ext;
	} else
		for (int i = 0; i < n; i++)
			out_put(o, iov[i].iov_base, iov[i].iov_len);
	o->retained += STATION_HEADER + f->size;
	if (lane)
		lane->sent += STATION_HEADER + f->size;
	p->sent++;
}

void station_ext_free(struct station_ext *x)
{
	if (x->what == EXT_OWNED)
		free(x->iov[0].iov_base);
	if (x->what == EXT_FILE && x->fd >= 0)
		close(x->fd);
	ssi_ccm_body_unref(x->shared);
	free(x);
}

/* The common case: nothing is under way. */
static void out_release_all(struct station_out *o)
{
	struct station_ext *x;

	while ((x = STAILQ_FIRST(&o->exts))) {
		STAILQ_REMOVE_HEAD(&o->exts, link);
		station_ext_free(x);
	}
	o->tail = o->head;
	o->retained = 0;
	o->news = 0;
	o->released = o->acked;
}

/* Give back what was acknowledged and has gone out whole. */
static void out_release(struct station_peer *p)
{
	struct station_out *o = &p->out;
	uint64_t tail = o->tail;

	if (o->released == o->acked && !o->news)
		return;
	if (o->acked + 1 == o->next && o->written == o->head && !o->at)
		out_release_all(o);
	while (o->tail < o->written) {
		uint8_t header[STATION_HEADER];
		struct station_ext *x = STAILQ_FIRST(&o->exts);
		uint64_t end = o->tail + STATION_HEADER;
		uint32_t size;

		station_ring_get(&o->ring, o->tail, header, sizeof(header));
		size = station_frame_size(header);
		if (x && x->at != end)
			x = NULL;
		if (!x)
			end += size;
		if (station_frame_serial(header) > o->acked) {
			o->released = o->acked;
			break;
		}
		if (end > o->written || (x && x == o->at))
			break;
		if (x) {
			STAILQ_REMOVE_HEAD(&o->exts, link);
			station_ext_free(x);
		}
		o->news -= !station_frame_serial(header);
		o->tail = end;
		o->retained -= STATION_HEADER + size;
	}
	if (o->tail != tail && p->waiting_room)
		pthread_cond_broadcast(&p->room);
	if (o->tail != tail && p->starved)
		station_work(p, WORK_DRAINED);
}

int station_out_acked(struct station_peer *p, uint64_t ack, struct ssi_err *e)
{
	struct station_out *o = &p->out;

	if (ack >= o->next)
		return ssi_errf(e, -EPROTO, "acknowledges %llu, of %llu that were sent", (unsigned long long)ack, (unsigned long long)o->next - 1);
	if (ack <= o->acked)
		return 0;
	o->acked = ack;
	if (!o->writing)
		out_release(p);
	return 0;
}

/* A control frame of this station's own, after what is already in the connection's buffer. */
static void out_control(struct station_peer *p, struct station_conn *c, uint16_t type, const void *body, uint32_t size)
{
	const struct station_frame f = {
		.type = type, .source = p->self->number, .destination = p->remote, .incarnation = p->self->incarnation,
		.ack = atomic_load_explicit(&p->rx_serial, memory_order_relaxed), .size = size,
	};

	if (c->control_len + STATION_HEADER + size > sizeof(c->control))
		return;
	station_frame_encode(&f, c->control + c->control_len);
	if (size)
		memcpy(c->control + c->control_len + STATION_HEADER, body, size);
	c->control_len += STATION_HEADER + size;
	out_told(p, f.ack);
}

static void out_credits(struct station_peer *p, struct station_conn *c)
{
	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next) {
		uint64_t taken = atomic_load(&l->taken);
		uint8_t body[STATION_CREDIT];

		if (taken == atomic_load(&l->told) && !l->retell)
			continue;
		if (c->control_len + STATION_HEADER + STATION_CREDIT > sizeof(c->control)) {
			atomic_fetch_or(&p->due, DUE_CREDIT);
			return;
		}
		station_credit_encode(l->module, taken, body);
		out_control(p, c, CONTROL_CREDIT, body, sizeof(body));
		atomic_store(&l->told, taken);
		l->retell = false;
	}
}

static bool out_between(const struct station_out *o)
{
	return o->written == o->batch_end && !(o->at && o->at->at == o->written);
}

/* Between two messages: what this station has to say of itself. */
static void out_own(struct station_peer *p, struct station_conn *c)
{
	struct station_out *o = &p->out;
	unsigned due;

	if (!out_between(o) || c->control_at != c->control_len)
		return;
	c->control_at = c->control_len = 0;
	if (!atomic_load_explicit(&p->due, memory_order_relaxed))
		return;
	due = atomic_exchange(&p->due, 0);
	if (due & DUE_CREDIT)
		out_credits(p, c);
	/* A message that goes out now says the rest. */
	if (c->control_len || p->out.written < p->out.head)
		return;
	if (due & DUE_ACK)
		out_control(p, c, CONTROL_ACK, NULL, 0);
	else if (due & DUE_ALIVE)
		out_control(p, c, CONTROL_ALIVE, NULL, 0);
}

static int out_ring_pieces(const struct station_out *o, uint64_t from, uint64_t to, struct iovec *iov)
{
	size_t straight;
	uint8_t *at;

	if (from == to)
		return 0;
	at = station_ring_at(&o->ring, from, &straight);
	if (straight >= to - from) {
		iov[0] = (struct iovec){ at, to - from };
		return 1;
	}
	iov[0] = (struct iovec){ at, straight };
	iov[1] = (struct iovec){ o->ring.bytes, to - from - straight };
	return 2;
}

static int out_ext_pieces(const struct station_ext *x, size_t done, struct iovec *iov)
{
	int n = 0;

	for (int i = 0; i < x->n; i++) {
		if (done >= x->iov[i].iov_len) {
			done -= x->iov[i].iov_len;
			continue;
		}
		iov[n++] = (struct iovec){ (uint8_t *)x->iov[i].iov_base + done, x->iov[i].iov_len - done };
		done = 0;
	}
	return n;
}

/* What is to go out next, as pieces; a file stands alone (then 0 pieces, and *ret_file). */
static int out_pieces(struct station_peer *p, struct station_conn *c, struct iovec *iov, struct station_ext **ret_file)
{
	struct station_out *o = &p->out;
	struct station_ext *x = o->at;
	uint64_t at = o->written;
	size_t done = o->at_done;
	int n = 0;

	*ret_file = NULL;
	out_own(p, c);
	if (c->control_at < c->control_len)
		iov[n++] = (struct iovec){ c->control + c->control_at, c->control_len - c->control_at };
	/* What was begun is ended first, so that between two messages there is a place for this station's own frames. */
	if (out_between(o))
		o->batch_end = o->head;
	for (;;) {
		uint64_t limit = x && x->at < o->batch_end ? x->at : o->batch_end;

		n += out_ring_pieces(o, at, limit, iov + n);
		at = limit;
		if (!x || x->at != at)
			break;
		if (x->what == EXT_FILE) {
			*ret_file = n ? NULL : x;
			break;
		}
		n += out_ext_pieces(x, done, iov + n);
		done = 0;
		x = STAILQ_NEXT(x, link);
		if (n > STATION_IOV - 2)
			break;
	}
	return n;
}

/* n bytes of it have gone out. */
static void out_account(struct station_peer *p, struct station_conn *c, size_t n)
{
	struct station_out *o = &p->out;
	size_t take = c->control_len - c->control_at;

	take = n < take ? n : take;
	c->control_at += (unsigned)take;
	n -= take;
	while (n) {
		struct station_ext *x = o->at;

		if (x && x->at == o->written) {
			take = n < x->size - o->at_done ? n : x->size - o->at_done;
			o->at_done += (uint32_t)take;
			if (o->at_done == x->size) {
				o->at = STAILQ_NEXT(x, link);
				o->at_done = 0;
			}
		} else {
			take = (x ? x->at : o->head) - o->written;
			take = n < take ? n : take;
			o->written += take;
		}
		n -= take;
	}
}

static bool out_pending(struct station_peer *p, const struct station_conn *c)
{
	return p->out.written < p->out.head || p->out.at || c->control_at < c->control_len || atomic_load_explicit(&p->due, memory_order_relaxed);
}

/* One system call of the writer. 1: go on; 0: the socket is full, or the connection is no longer the peer's. */
static int out_write(struct station_peer *p, struct station_conn *c, bool wait)
{
	struct iovec iov[2 * STATION_IOV + 2];
	struct station_ext *file;
	struct ssi_err e;
	int n = out_pieces(p, c, iov, &file);
	uint32_t done = p->out.at_done;
	ssize_t r;

	if (!n && !file)
		return 0;
	station_ring_lend(&p->out.ring);
	pthread_mutex_unlock(&p->lock);
	r = file ? station_conn_sendfile(c, file->fd, file->offset + done, file->size - done, wait, &e) : station_conn_writev(c, iov, n, wait, &e);
	pthread_mutex_lock(&p->lock);
	station_ring_give_back(&p->out.ring);
	if (p->conn != c)
		return 0;
	if (r >= 0) {
		station_said(p);
		out_account(p, c, (size_t)r);
		return 1;
	}
	if (r == -EAGAIN) {
		p->out.stalled = true;
		station_conn_interest(p);
	} else {
		station_session_broken(p, c);
		if (r == -ENODATA)           /* a file that is not what it was: this message can never be delivered */
			station_session_doom(p);
	}
	return 0;
}

void station_out_flush(struct station_peer *p, uint64_t until, bool wait)
{
	struct station_out *o = &p->out;
	struct station_conn *c = p->conn;
	uint64_t patience = 0;

	if (!c || o->writing || o->stalled || !out_pending(p, c))
		return;
	if (station_in_loop(p->s) && p->s->held) {
		station_owe(p, OWING);
		return;
	}
	o->writing = true;
	c->refs++;
	while (out_write(p, c, wait) && out_pending(p, c)) {
		if (o->written >= until && !(o->at && o->at->at <= until)) {
			station_work(p, WORK_FLUSH);     /* others have appended: theirs is the loop's to write */
			break;
		}
		/* To one who takes little at a time the loop writes the rest. */
		if (wait && !patience)
			patience = ssi_clock_mono_ms() + STATION_SLICE_MS;
		else if (wait)
			wait = ssi_clock_mono_ms() < patience;
	}
	o->writing = false;
	station_conn_unref(c);
	out_release(p);
	if (p->waiting_room)
		pthread_cond_broadcast(&p->room);
	if (p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
}

/* How many of the retained messages begin before offset `to`. */
static uint64_t out_count(const struct station_out *o, uint64_t to)
{
	const struct station_ext *x = STAILQ_FIRST(&o->exts);
	uint64_t n = 0;

	for (uint64_t at = o->tail; at < to;) {
		uint8_t header[STATION_HEADER];

		station_ring_get(&o->ring, at, header, sizeof(header));
		at += STATION_HEADER;
		n += station_frame_serial(header) != 0;
		if (x && x->at == at)
			x = STAILQ_NEXT(x, link);
		else
			at += station_frame_size(header);
	}
	return n;
}

/* n bytes of the ring from `from` to `to`, which is before it. */
static void out_move(struct station_out *o, uint64_t to, uint64_t from, size_t n)
{
	uint8_t some[1024];

	for (size_t k; n; n -= k, from += k, to += k) {
		k = n < sizeof(some) ? n : sizeof(some);
		station_ring_get(&o->ring, from, some, k);
		station_ring_put(&o->ring, to, some, k);
	}
}

/* News that wait behind a message are lost with their connection: what is said again on the next one is said without them. */
static void out_drop_news(struct station_out *o)
{
	struct station_ext *x = STAILQ_FIRST(&o->exts);
	uint64_t to = o->tail, next;

	for (uint64_t at = o->tail; o->news && at < o->head; at = next) {
		uint8_t header[STATION_HEADER];
		uint32_t size;

		station_ring_get(&o->ring, at, header, sizeof(header));
		size = station_frame_size(header);
		next = at + STATION_HEADER + (x && x->at == at + STATION_HEADER ? 0 : size);
		if (!station_frame_serial(header)) {
			o->retained -= STATION_HEADER + size;
			continue;
		}
		out_move(o, to, at, next - at);
		to += next - at;
		if (x && x->at == at + STATION_HEADER) {
			x->at = to;
			x = STAILQ_NEXT(x, link);
		}
	}
	if (o->news)
		o->head = to;
	o->news = 0;
}

bool station_out_now(struct station_peer *p)
{
	struct station_out *o = &p->out;
	struct station_conn *c = p->conn;
	size_t n = o->head - o->written, straight;
	const uint8_t *at;
	ssize_t r;

	if (!c || c->tls || o->at || o->stalled || o->written != o->batch_end || c->control_at != c->control_len ||
	    atomic_load_explicit(&p->due, memory_order_relaxed))
		return false;
	at = station_ring_at(&o->ring, o->written, &straight);
	if (straight < n)
		return false;
	r = station_conn_send(c, at, n);
	o->batch_end = o->head;
	if (r > 0)
		o->written += (size_t)r;
	if (o->news)                         /* no acknowledgement will come that would do it */
		out_release(p);
	station_said(p);
	return r == (ssize_t)n;
}

void station_out_rewind(struct station_peer *p)
{
	struct station_out *o = &p->out;
	uint64_t written = o->written;

	/* What the other end says it has, it has, though this end may not know that it was written. */
	o->written = o->head;
	o->at = NULL;
	out_release(p);
	p->again += out_count(o, written);
	out_drop_news(o);
	o->written = o->batch_end = o->tail;
	o->at = STAILQ_FIRST(&o->exts);
	o->at_done = 0;
	o->stalled = false;
}

void station_out_clear(struct station_peer *p)
{
	struct station_out *o = &p->out;
	struct station_ext *x;

	while ((x = STAILQ_FIRST(&o->exts))) {
		STAILQ_REMOVE_HEAD(&o->exts, link);
		station_ext_free(x);
	}
	station_ring_free(&o->ring);
	*o = (struct station_out){ .next = 1 };
	STAILQ_INIT(&o->exts);
	if (p->waiting_room)
		pthread_cond_broadcast(&p->room);
}

void station_out_part(struct station_peer *p)
{
	struct station_conn *c = p->conn;
	struct iovec iov;

	if (!c || p->out.writing || p->out.stalled || !out_between(&p->out) || c->control_at != c->control_len)
		return;
	c->control_at = c->control_len = 0;
	out_control(p, c, CONTROL_PART, NULL, 0);
	/* Alone, and in the middle of a turn too: what waits in the ring is not to be heard any more. */
	iov = (struct iovec){ c->control, c->control_len };
	station_conn_writev(c, &iov, 1, false, NULL);
	c->control_at = c->control_len;
}

void station_out_shrink(struct station_peer *p)
{
	struct station_out *o = &p->out;

	if (!o->writing && o->head == o->tail)
		station_ring_free(&o->ring);
}
