/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns nothing: the calls that send, from their arguments until station-out.c has taken the message over. Called by threads and by callbacks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

#define SEND_PATIENT_MS 1000             /* who has so long may sleep in the kernel until the socket has room */

static int send_sum(const struct iovec *iov, int n, size_t *ret)
{
	size_t sum = 0;

	if (n < 0 || n > STATION_IOV)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > SSI_CCM_BODY_MAX)
			return -EMSGSIZE;
		sum += iov[i].iov_len;
	}
	*ret = sum;
	return sum > SSI_CCM_BODY_MAX ? -EMSGSIZE : 0;
}

/* A large body as a thing beside the ring: by reference, or as a copy. */
static int send_ext(const struct iovec *iov, int n, size_t len, bool keep, struct station_ext **ret)
{
	struct station_ext *x = malloc(sizeof(*x) + (size_t)(keep ? n : 1) * sizeof(x->iov[0]));
	uint8_t *copy = NULL;

	if (x && !keep)
		copy = malloc(len);
	if (!x || (!keep && !copy)) {
		free(x);
		return -ENOMEM;
	}
	*x = (struct station_ext){ .size = (uint32_t)len, .what = keep ? EXT_KEPT : EXT_OWNED, .fd = -1, .n = keep ? n : 1 };
	if (keep)
		memcpy(x->iov, iov, (size_t)n * sizeof(*iov));
	else {
		x->iov[0] = (struct iovec){ copy, len };
		for (int i = 0; i < n; i++) {
			memcpy(copy, iov[i].iov_base, iov[i].iov_len);
			copy += iov[i].iov_len;
		}
	}
	*ret = x;
	return 0;
}

/* A body that ends in what many messages share. */
static int send_shared(const void *head, size_t n, struct ssi_ccm_body *b, struct station_ext **ret)
{
	struct station_ext *x = malloc(sizeof(*x) + 2 * sizeof(x->iov[0]) + n);
	uint8_t *copy = x ? (uint8_t *)(x->iov + 2) : NULL;

	if (!x)
		return -ENOMEM;
	if (n)
		memcpy(copy, head, n);
	*x = (struct station_ext){ .size = (uint32_t)(n + b->len), .what = EXT_SHARED, .fd = -1, .n = 2, .shared = b };
	x->iov[0] = (struct iovec){ copy, n };
	x->iov[1] = (struct iovec){ b->data, b->len };
	b->refs++;
	*ret = x;
	return 0;
}

static int send_may(const struct station_peer *p)
{
	if (p->s->down)
		return -ESHUTDOWN;
	if (!p->known)
		return -ENOENT;
	return p->state == PEER_GONE ? -EHOSTDOWN : 0;
}

/* While it waits nobody should have to wait for this thread: what may free room is written, and the loop may read. */
static void send_help(struct station_peer *p, bool patient)
{
	station_out_flush(p, p->out.head, patient);
	if (p->leased && !p->reader) {
		p->leased = false;
		station_conn_interest(p);
	}
}

/* Until there is a session, credit and room; the lock is held. */
static int send_wait(struct station_peer *p, struct station_lane *lane, uint32_t ring, uint32_t cost, unsigned flags, unsigned timeout_ms)
{
	uint64_t deadline = 0, session = 0;
	int r;

	for (;;) {
		r = send_may(p);
		if (r < 0)
			return r == -ENOENT && deadline ? -EHOSTDOWN : r;    /* parted with while it waited */
		if (session && session != p->session)
			return -EHOSTDOWN;           /* it came back as another while this waited */
		session = p->session;
		r = p->state == PEER_UP ? station_out_room(p, lane, ring, cost) : 0;
		if (r)
			return r < 0 ? r : 0;
		if (flags & SSI_CCM_NOWAIT) {
			if (lane)
				p->starved = lane->starved = true;
			return -EAGAIN;
		}
		if (!deadline)
			deadline = station_deadline(timeout_ms);
		p->users++;
		p->waiting_room++;
		send_help(p, timeout_ms >= SEND_PATIENT_MS);
		r = p->state == PEER_UP && !send_may(p) && station_out_room(p, lane, ring, cost) > 0 ? 0 : station_cond_wait(&p->room, &p->lock, deadline);
		p->waiting_room--;
		if (!--p->users && p->waiting_idle)
			pthread_cond_broadcast(&p->idle);
		if (r < 0)
			return r;
	}
}

static void send_leave(struct station_peer *p)
{
	if (!--p->users && p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
	pthread_mutex_unlock(&p->lock);
}

/* Nobody writes: this thread does, or, what may wait, the loop. */
static void send_out(struct station_peer *p, bool lazy, bool patient)
{
	size_t n = p->out.head - p->out.written;

	if (station_in_loop(p->s) && p->s->held) {   /* also without a connection: a later one must not bring what could not be settled */
		station_owe(p, OWING_WORDS);
		return;
	}
	if (p->out.writing)
		return;
	if (lazy && n < STATION_LAZY) {
		if (!p->work_flush)
			station_work(p, WORK_FLUSH);
		p->work_flush = true;
		return;
	}
	if (n >= STATION_KEEP_MIN || !station_out_now(p)) {
		p->users++;
		station_out_flush(p, p->out.head, patient);
		p->users--;
		if (!p->users && p->waiting_idle)
			pthread_cond_broadcast(&p->idle);
	}
}

static int send_frame(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, uint8_t kind, const struct iovec *iov, int n,
		      struct station_ext *ext, unsigned flags, unsigned timeout_ms, bool lazy)
{
	struct station_frame f = { .flags = kind, .module = to->module, .type = to->type, .sequence = to->sequence, .size = to->size };
	uint32_t cost = STATION_HEADER + f.size, ring = ext ? STATION_HEADER : cost;
	struct station_peer *p = station_peer_find(s, to->node);
	bool answer = (kind & STATION_KIND) >= KIND_ANSWER;
	struct station_lane *lane = NULL;
	int r = 0;

	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	if (!answer) {                       /* who asked for an answer takes it: that needs no credit */
		lane = station_lane_find(p, f.module);
		if (!lane)
			lane = station_lane_get(p, f.module);
		r = lane ? 0 : -ENOMEM;
	}
	if (!r && (p->state != PEER_UP || send_may(p) < 0 || station_out_room(p, lane, ring, cost) <= 0))
		r = send_wait(p, lane, ring, cost, flags, timeout_ms);
	if (!r) {
		station_out_append(p, lane, &f, iov, n, ext);
		lazy = lazy || (station_in_loop(s) && p->more);
		send_out(p, lazy, !(flags & SSI_CCM_NOWAIT) && timeout_ms >= SEND_PATIENT_MS);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

int station_send_any(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, uint8_t kind, const struct iovec *iov, int n, unsigned flags,
		     unsigned timeout_ms, bool lazy)
{
	struct ssi_ccm_head head = *to;
	struct station_ext *ext = NULL;
	size_t len;
	int r = send_sum(iov, n, &len);

	if (r < 0)
		return r;
	if (!to->module || to->sequence == SSI_CCM_NOSEQ)
		return -EINVAL;
	if (!(flags & SSI_CCM_NOWAIT) && station_in_loop(s))
		return -EDEADLK;
	head.size = (uint32_t)len;
	if (len && (len >= STATION_KEEP_MIN || (flags & SSI_CCM_KEEP)))
		r = send_ext(iov, n, len, flags & SSI_CCM_KEEP, &ext);
	if (r < 0)
		return r;
	r = send_frame(s, &head, kind, iov, n, ext, flags, timeout_ms, lazy);
	if (r < 0 && ext)
		station_ext_free(ext);
	return r;
}

int ssi_ccm_bsendv(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const struct iovec *iov, int n, unsigned flags, unsigned timeout_ms)
{
	return station_send_any(s, to, KIND_MESSAGE, iov, n, flags, timeout_ms, false);
}

int ssi_ccm_bsend(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len, unsigned flags, unsigned timeout_ms)
{
	const struct iovec iov = { (void *)body, len };

	return station_send_any(s, to, KIND_MESSAGE, &iov, 1, flags, timeout_ms, false);
}

int ssi_ccm_rcall_short(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len, unsigned flags, unsigned timeout_ms)
{
	const struct iovec iov = { (void *)body, len };

	return station_send_any(s, to, KIND_SHORT, &iov, 1, flags, timeout_ms, true);
}

int ssi_ccm_rcall_long(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len, unsigned flags, unsigned timeout_ms)
{
	const struct iovec iov = { (void *)body, len };

	return station_send_any(s, to, KIND_LONG, &iov, 1, flags, timeout_ms, true);
}

int ssi_ccm_send_file(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, int fd, off_t offset, size_t len, unsigned flags, unsigned timeout_ms)
{
	struct ssi_ccm_head head = *to;
	struct station_ext *x;
	int r;

	if (len > SSI_CCM_BODY_MAX)
		return -EMSGSIZE;
	if (!to->module || to->sequence == SSI_CCM_NOSEQ)
		return -EINVAL;
	if (!(flags & SSI_CCM_NOWAIT) && station_in_loop(s))
		return -EDEADLK;
	if (!len)
		return ssi_ccm_bsend(s, to, NULL, 0, flags, timeout_ms);
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	*x = (struct station_ext){ .size = (uint32_t)len, .what = EXT_FILE, .offset = offset, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3) };
	head.size = (uint32_t)len;
	r = x->fd < 0 ? -errno : send_frame(s, &head, KIND_MESSAGE, NULL, 0, x, flags, timeout_ms, false);
	if (r < 0)
		station_ext_free(x);
	return r;
}

struct ssi_ccm_body *ssi_ccm_body_new(size_t len)
{
	struct ssi_ccm_body *b = malloc(sizeof(*b) + len);

	if (b) {
		b->refs = 1;
		b->len = len;
	}
	return b;
}

void ssi_ccm_body_unref(struct ssi_ccm_body *b)
{
	if (b && --b->refs == 0)
		free(b);
}

int ssi_ccm_rcall_shared(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *head, size_t n, struct ssi_ccm_body *b, unsigned flags,
			 unsigned timeout_ms)
{
	struct ssi_ccm_head whole = *to;
	struct station_ext *x;
	int r;

	if (n > SSI_CCM_BODY_MAX || n + b->len > SSI_CCM_BODY_MAX)
		return -EMSGSIZE;
	if (!to->module || to->sequence == SSI_CCM_NOSEQ)
		return -EINVAL;
	if (!(flags & SSI_CCM_NOWAIT) && station_in_loop(s))
		return -EDEADLK;
	if (!(n + b->len))
		return ssi_ccm_rcall_short(s, to, NULL, 0, flags, timeout_ms);
	r = send_shared(head, n, b, &x);
	if (r < 0)
		return r;
	whole.size = x->size;
	r = send_frame(s, &whole, KIND_SHORT, NULL, 0, x, flags, timeout_ms, true);
	if (r < 0)
		station_ext_free(x);
	return r;
}

int ssi_ccm_news(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, const void *body, size_t len)
{
	struct station_frame f = { .flags = KIND_NEWS, .module = to->module, .type = to->type, .sequence = to->sequence, .size = (uint32_t)len };
	struct station_peer *p = station_peer_find(s, to->node);
	const struct iovec iov = { (void *)body, len };
	int r;

	if (!to->module || to->sequence == SSI_CCM_NOSEQ || len >= STATION_KEEP_MIN)
		return -EINVAL;
	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	r = send_may(p);
	if (!r && !p->conn)
		r = -ENOTCONN;
	if (!r && p->out.stalled)
		r = -EAGAIN;
	if (!r)
		r = station_out_room(p, NULL, STATION_HEADER + f.size, STATION_HEADER + f.size) > 0 ? 0 : -EAGAIN;
	if (!r) {
		station_out_append(p, NULL, &f, &iov, 1, NULL);
		send_out(p, false, false);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

int ssi_ccm_settle(struct ssi_ccm_station *s, uint32_t node, unsigned timeout_ms)
{
	struct station_peer *p = station_peer_find(s, node);
	uint64_t until, session, deadline = 0;
	int r;

	if (!p)
		return -ENOENT;
	if (station_in_loop(s))
		return -EDEADLK;
	pthread_mutex_lock(&p->lock);
	p->users++;
	until = p->out.next - 1;
	session = p->session;
	/* Released, not only acknowledged: the writer may still hold what it wrote. */
	while (!(r = p->session == session ? send_may(p) : -EHOSTDOWN) && p->state == PEER_UP && (p->out.acked < until || p->out.writing)) {
		if (!deadline)
			deadline = station_deadline(timeout_ms);
		p->waiting_room++;
		send_help(p, false);
		if (p->out.acked < until || p->out.writing)
			r = station_cond_wait(&p->room, &p->lock, deadline);
		p->waiting_room--;
		if (r < 0)
			break;
	}
	send_leave(p);
	return r == -ENOENT && deadline ? -EHOSTDOWN : r;    /* parted with while it waited */
}
