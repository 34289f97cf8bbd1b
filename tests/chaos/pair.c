/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns one connection through the proxy, and does to it what proxy.h says. Called by proxy.c's thread alone. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/comm/sock.h"
#include "tests/chaos/gauge.h"
#include "tests/chaos/pair.h"

#define PAIR_SEGMENT 16384
#define PAIR_HELD_MAX (256u << 10)   /* bytes under way in a direction; then its source waits */
#define PAIR_SPARE (1 << 20)         /* bytes that its ends have to notice that a stream was made wrong */
#define PAIR_FIRST 2048              /* bytes of a connection's start that are kept for a replay */
#define PAIR_REORDER_US 20000        /* a segment waits so long for the one that is to overtake it */
#define PAIR_RESET_US 10000          /* what is under way has so long to arrive, at most, before a reset throws it away */
#define PAIR_REPLAY_US 500000        /* a replayed connection is listened to so long */

struct segment {
	STAILQ_ENTRY(segment) link;
	uint64_t due;                        /* microseconds */
	size_t at, n;
	uint8_t data[];
};

/* One direction: from fd[i] of the pair to the other. */
struct flow {
	STAILQ_HEAD(, segment) segments;
	size_t held;                         /* bytes in them */
	uint64_t due;                        /* of the last: the order stays */
	struct segment *overtaken;           /* waits for the next one */
	bool ended, shut;                    /* the source has shut its end; the other has been told */
};

struct pair {
	int fd[2];                           /* who connected, whom we connected to */
	struct flow flow[2];
	enum chaos_fault fate;
	int64_t left;                        /* bytes until then */
	bool doomed;                         /* what is held is passed on, nothing more is read, then both ends are closed */
	uint64_t over;                       /* until then it is silent, then it ends; 0: it lives */
	uint8_t first[PAIR_FIRST];
	size_t n_first;
};

static uint64_t below(struct chaos *c, uint64_t n)
{
	return n ? chaos_random(&c->random) % n : 0;
}

static enum chaos_fault draw_fault(struct chaos *c)
{
	uint64_t sum = 0, at;

	for (int i = 0; i < CHAOS_FAULTS; i++)
		sum += c->plan.weights[i];
	if (!sum)
		return (enum chaos_fault)below(c, CHAOS_FAULTS);
	at = below(c, sum);
	for (int i = 0; i < CHAOS_FAULTS; i++) {
		if (at < c->plan.weights[i])
			return (enum chaos_fault)i;
		at -= c->plan.weights[i];
	}
	return CHAOS_RESET;
}

static void pair_draw(struct pair *p, struct chaos *c)
{
	double u = ((double)below(c, 1u << 30) + 1) / (1u << 30);

	p->fate = draw_fault(c);
	p->left = c->plan.every ? (int64_t)(-log(u) * c->plan.every) : INT64_MAX;
}

/* Its stream was made wrong: its ends will notice, and end it. If not (a bit that TLS ignores), its time comes later. */
static void pair_spare(struct pair *p, struct chaos *c)
{
	pair_draw(p, c);
	if (p->left < INT64_MAX)
		p->left += PAIR_SPARE;
}

static struct pair *pair_make(int a, int b)
{
	struct pair *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->fd[0] = a;
	p->fd[1] = b;
	p->left = INT64_MAX;
	STAILQ_INIT(&p->flow[0].segments);
	STAILQ_INIT(&p->flow[1].segments);
	return p;
}

static void fd_reset(int *fd)
{
	if (*fd < 0)
		return;
	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
	close(*fd);
	*fd = -1;
}

struct pair *pair_new(struct chaos *c, int fd)
{
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK) };
	int to = ssi_sock_connect(loopback, c->plan.to, NULL);
	struct pair *p = to < 0 ? NULL : pair_make(fd, to);

	if (!p) {
		fd_reset(&fd);
		fd_reset(&to);
		return NULL;
	}
	pair_draw(p, c);
	return p;
}

static void flow_free(struct flow *f)
{
	struct segment *s;

	while ((s = STAILQ_FIRST(&f->segments))) {
		STAILQ_REMOVE_HEAD(&f->segments, link);
		free(s);
	}
	free(f->overtaken);
	f->overtaken = NULL;
	f->held = 0;
}

void pair_free(struct pair *p)
{
	if (!p)
		return;
	for (int i = 0; i < 2; i++) {
		flow_free(&p->flow[i]);
		fd_reset(&p->fd[i]);
	}
	free(p);
}

/* --- one direction --- */

static struct segment *segment_new(const uint8_t *p, size_t n)
{
	struct segment *s = malloc(sizeof(*s) + n);

	if (!s)
		abort();
	*s = (struct segment){ .n = n };
	memcpy(s->data, p, n);
	return s;
}

static void flow_put(struct flow *f, struct segment *s, uint64_t due)
{
	f->due = due > f->due ? due : f->due;
	s->due = f->due;
	f->held += s->n;
	STAILQ_INSERT_TAIL(&f->segments, s, link);
}

/* The one that was overtaken goes now. */
static void flow_release(struct flow *f, uint64_t now)
{
	if (f->overtaken)
		flow_put(f, TAKE_PTR(f->overtaken), now);
}

static void flow_add(struct flow *f, struct chaos *c, const uint8_t *p, size_t n, uint64_t now)
{
	uint64_t due = now;

	if (!n)
		return;
	if (below(c, 100) < c->plan.delay_percent) {
		due += below(c, c->plan.delay_us);
		c->stats.delays++;
	}
	flow_put(f, segment_new(p, n), due);
	flow_release(f, due);
}

/* Pass on what is due; false when the other end is gone. */
static bool flow_write(struct flow *f, int to, uint64_t now)
{
	struct segment *s;

	while ((s = STAILQ_FIRST(&f->segments)) && s->due <= now) {
		ssize_t n = send(to, s->data + s->at, s->n - s->at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
		s->at += (size_t)n;
		if (s->at < s->n)
			return true;
		f->held -= s->n;
		STAILQ_REMOVE_HEAD(&f->segments, link);
		free(s);
	}
	if (!s && f->ended && !f->overtaken && !f->shut) {
		shutdown(to, SHUT_WR);
		f->shut = true;
	}
	return true;
}

/* --- faults --- */

/* The other side hears once more what it heard first. */
static struct pair *pair_replay(const struct pair *p, struct chaos *c, uint64_t now)
{
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK) };
	int to = ssi_sock_connect(loopback, c->plan.to, NULL);
	struct pair *again = to < 0 ? NULL : pair_make(-1, to);

	if (!again) {
		fd_reset(&to);
		return NULL;
	}
	again->over = now + PAIR_REPLAY_US;
	flow_put(&again->flow[0], segment_new(p->first, p->n_first), now);
	return again;
}

/* These bytes of direction i are struck. False: the connection is over. */
static bool pair_strike(struct pair *p, struct chaos *c, int i, uint8_t *bytes, size_t n, uint64_t now, struct pair **ret_again)
{
	struct flow *f = &p->flow[i];

	c->stats.faults[p->fate]++;
	if (p->fate != CHAOS_STALL)
		c->stats.cuts++;
	switch (p->fate) {
	case CHAOS_RESET:
		flow_add(f, c, bytes, below(c, n), now);
		p->over = now + below(c, PAIR_RESET_US);
		return true;
	case CHAOS_TRUNCATE:
		flow_add(f, c, bytes, below(c, n), now);
		p->doomed = true;
		return true;
	case CHAOS_HALF:
		flow_add(f, c, bytes, below(c, n), now);
		fd_reset(&p->fd[below(c, 2)]);
		p->over = now + below(c, c->plan.hold_ms * 1000ull) + 1;
		return true;
	case CHAOS_STALL:
		p->flow[0].due = p->flow[1].due = now + below(c, c->plan.stall_ms * 1000ull);
		break;
	case CHAOS_DUPLICATE:
		flow_add(f, c, bytes, n, now);
		break;
	case CHAOS_REORDER:
		flow_release(f, now);
		f->overtaken = segment_new(bytes, n);
		f->overtaken->due = now + PAIR_REORDER_US;
		pair_spare(p, c);
		return true;
	case CHAOS_FLIP:
		bytes[below(c, n)] ^= (uint8_t)(1u << below(c, 8));
		break;
	case CHAOS_REPLAY:
		*ret_again = pair_replay(p, c, now);
		p->over = now + below(c, PAIR_RESET_US);
		return true;
	case CHAOS_FAULTS:
		break;
	}
	flow_add(f, c, bytes, n, now);
	if (p->fate == CHAOS_STALL)
		pair_draw(p, c);
	else
		pair_spare(p, c);
	return true;
}

static bool pair_take(struct pair *p, struct chaos *c, int i, uint8_t *bytes, size_t n, uint64_t now, struct pair **ret_again)
{
	c->stats.segments++;
	c->stats.bytes += n;
	if (i == 0 && p->n_first < PAIR_FIRST) {
		size_t k = n < PAIR_FIRST - p->n_first ? n : PAIR_FIRST - p->n_first;

		memcpy(p->first + p->n_first, bytes, k);
		p->n_first += k;
	}
	p->left -= (int64_t)n;
	if (p->left <= 0 && (!c->plan.most || c->stats.cuts < c->plan.most))
		return pair_strike(p, c, i, bytes, n, now, ret_again);
	flow_add(&p->flow[i], c, bytes, n, now);
	return true;
}

static bool pair_read(struct pair *p, struct chaos *c, int i, uint64_t now, struct pair **ret_again)
{
	uint8_t bytes[PAIR_SEGMENT];
	ssize_t n = recv(p->fd[i], bytes, 1 + below(c, PAIR_SEGMENT), MSG_DONTWAIT);

	if (n > 0)
		return pair_take(p, c, i, bytes, (size_t)n, now, ret_again);
	if (n == 0)
		p->flow[i].ended = true;
	return n == 0 || errno == EAGAIN || errno == EINTR;
}

/* --- its turn --- */

static bool pair_reads(const struct pair *p, int i)
{
	return p->fd[i] >= 0 && !p->doomed && !p->over && !p->flow[i].ended && p->flow[i].held < PAIR_HELD_MAX;
}

int pair_interest(struct pair *p, struct pollfd fds[2], int wait_ms)
{
	uint64_t now = gauge_now_us();

	if (p->over && (wait_ms < 0 || p->over < now + (uint64_t)wait_ms * 1000))
		wait_ms = p->over < now ? 0 : (int)((p->over - now + 999) / 1000);
	for (int i = 0; i < 2; i++) {
		const struct segment *s = STAILQ_FIRST(&p->flow[1 - i].segments);

		fds[i] = (struct pollfd){ .fd = p->fd[i], .events = pair_reads(p, i) ? POLLIN : 0 };
		if (!fds[i].events && !s)
			fds[i].fd = -1;      /* else its hang-up would wake us for ever */
		if (s && s->due <= now)
			fds[i].events |= POLLOUT;
		else if (s && (wait_ms < 0 || s->due - now < (uint64_t)wait_ms * 1000))
			wait_ms = (int)((s->due - now + 999) / 1000);
	}
	return wait_ms;
}

bool pair_turn(struct pair *p, struct chaos *c, const struct pollfd fds[2], struct pair **ret_again)
{
	uint64_t now = gauge_now_us();
	bool alive = true;

	for (int i = 0; i < 2 && alive; i++)
		if (pair_reads(p, i) && fds[i].revents)
			alive = pair_read(p, c, i, now, ret_again);
	for (int i = 0; i < 2 && alive; i++)
		if (p->flow[i].overtaken && p->flow[i].overtaken->due <= now) {
			flow_release(&p->flow[i], now);      /* nothing overtook it: no harm was done */
			pair_draw(p, c);
		}
	for (int i = 0; i < 2 && alive; i++)
		if (p->fd[1 - i] >= 0)
			alive = flow_write(&p->flow[i], p->fd[1 - i], now);
	if (!alive || (p->over && p->over <= now) || (p->flow[0].shut && p->flow[1].shut))
		return false;
	if (p->doomed && !p->flow[0].held && !p->flow[1].held) {
		for (int i = 0; i < 2; i++) {
			close(p->fd[i]);
			p->fd[i] = -1;
		}
		return false;
	}
	return true;
}
