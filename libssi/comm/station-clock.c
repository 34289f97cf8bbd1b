/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a station's clock: silence, signs of life, leases, acknowledgements that are due, and when to look again. In a program's event loop it goes off when
 * something is due and not else; where threads receive it ticks, for they do not look at the time. Called by the loop; by others to set it.
 */
#include <errno.h>
#include <sys/timerfd.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

#define CLOCK_TICK_MIN 5
#define CLOCK_TICK_MAX 50
#define CLOCK_MANY 64                    /* with more peers than these, deadlines wait for each other */
#define CLOCK_MANY_MS 200
#define CLOCK_GAP_MS 1000                /* so late a tick: this process did not run, and silence is nobody's fault */

static void timer_set(int fd, uint64_t ms)
{
	const struct itimerspec its = { .it_value = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 } };

	timerfd_settime(fd, 0, &its, NULL);
}

static unsigned clock_tick_ms(const struct ssi_ccm_station_config *c)
{
	unsigned ms = c->heartbeat_ms / 4 < c->dead_ms / 16 ? c->heartbeat_ms / 4 : c->dead_ms / 16;

	return ms < CLOCK_TICK_MIN ? CLOCK_TICK_MIN : ms > CLOCK_TICK_MAX ? CLOCK_TICK_MAX : ms;
}

/* The clock goes off at `at` (ms), if it would not earlier. */
void station_tick_by(struct ssi_ccm_station *s, uint64_t now, uint64_t at)
{
	pthread_mutex_lock(&s->work_lock);
	if (!s->tick_at || at < s->tick_at) {
		s->tick_at = at;
		timer_set(s->tick, at > now ? at - now : 1);
	}
	pthread_mutex_unlock(&s->work_lock);
}

void station_tick_soon(struct ssi_ccm_station *s)
{
	uint64_t now = station_in_loop(s) ? s->now : ssi_clock_mono_ms();

	station_tick_by(s, now, now + clock_tick_ms(&s->config));
}

void station_watch(struct station_peer *p)
{
	atomic_store(&p->watched, true);
	station_tick_soon(p->s);
}

/* Where threads send, the clock asks now and then whether they have: looking at it for each message is too dear for them. */
void station_said(struct station_peer *p)
{
	const struct ssi_ccm_station *s = p->s;

	if (s->config.event)
		atomic_store_explicit(&p->last_said, station_in_loop(s) ? s->now : ssi_clock_mono_ms(), memory_order_relaxed);
	else
		atomic_store_explicit(&p->said, true, memory_order_relaxed);
}

void station_heat(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;
	bool arm;

	p->hot = true;
	pthread_mutex_lock(&s->work_lock);
	TAILQ_INSERT_TAIL(&s->hot, p, hot_link);
	arm = !s->hot_armed;
	s->hot_armed = true;
	pthread_mutex_unlock(&s->work_lock);
	if (arm)
		timer_set(s->hot_timer, STATION_HOT_MS);
}

/* A lease that nobody renewed ends; what was received and not acknowledged for a whole round is. */
static void hot_peer(struct station_peer *p)
{
	uint64_t rx, told;
	bool again = false;

	p->hot = false;
	if (p->leased && !p->reader) {
		again = p->lease_used;
		p->leased = p->lease_used;
		p->lease_used = false;
		if (!p->leased)
			station_conn_interest(p);
	}
	rx = p->s->config.ack_ms ? 0 : atomic_load(&p->rx_serial);     /* such an end has another clock for that */
	told = atomic_load(&p->ack_told);
	if (told < rx && p->ack_mark > told) {
		atomic_fetch_or(&p->due, DUE_ACK);
		station_out_flush(p, p->out.head, false);
	}
	p->ack_mark = rx;
	if (told < rx && !p->hot)
		again = true;
	if (again && !p->hot)
		station_heat(p);
}

void station_clock_hot(struct ssi_ccm_station *s)
{
	struct station_peers hot = TAILQ_HEAD_INITIALIZER(hot);
	struct station_peer *p;

	pthread_mutex_lock(&s->work_lock);
	TAILQ_CONCAT(&hot, &s->hot, hot_link);
	s->hot_armed = false;
	pthread_mutex_unlock(&s->work_lock);
	while ((p = TAILQ_FIRST(&hot))) {
		TAILQ_REMOVE(&hot, p, hot_link);
		pthread_mutex_lock(&p->lock);
		hot_peer(p);
		pthread_mutex_unlock(&p->lock);
	}
}

static uint64_t tick_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What is due with a peer whose session is up: its end, its connection's, a sign of life. When to look again. */
static uint64_t tick_up(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;
	uint64_t silent = s->now - p->last_heard, half = s->config.dead_ms / 2, due;

	if (silent >= s->config.dead_ms && (p->conn && station_conn_unread(p->conn)))
		silent = half = 0;           /* we have not listened yet */
	if (silent >= s->config.dead_ms) {
		station_because(p, &(struct ssi_err){ .code = -EHOSTDOWN, .text = "nothing was heard for too long" });
		station_session_gone(p);
		return UINT64_MAX;
	}
	due = p->last_heard + s->config.dead_ms;
	if (!p->conn || !half)
		return half ? due : s->now + clock_tick_ms(&s->config);
	/* It may be the connection: a half-open one, a record that never ends. */
	if (silent >= half && s->now - p->linked_at >= half && !(p->conn && station_conn_unread(p->conn))) {
		station_session_broken(p, p->conn);
		return due;
	}
	due = tick_earlier(due, (p->last_heard > p->linked_at ? p->last_heard : p->linked_at) + half);
	if (s->now - p->last_said >= s->config.heartbeat_ms) {
		p->last_said = s->now;
		atomic_fetch_or(&p->due, DUE_ALIVE);
		station_out_flush(p, p->out.head, false);
	}
	return tick_earlier(due, p->last_said + s->config.heartbeat_ms);
}

/* What was received and not acknowledged, by an end that lets that wait for something to go with. */
static uint64_t tick_ack(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;

	if (!s->config.ack_ms || atomic_load(&p->ack_told) >= atomic_load(&p->rx_serial)) {
		p->unacked_at = 0;
		return UINT64_MAX;
	}
	if (!p->unacked_at)
		p->unacked_at = s->now;
	if (s->now - p->unacked_at < s->config.ack_ms)
		return p->unacked_at + s->config.ack_ms;
	p->unacked_at = 0;
	atomic_fetch_or(&p->due, DUE_ACK);
	station_out_flush(p, p->out.head, false);
	return UINT64_MAX;
}

static uint64_t tick_peer(struct station_peer *p, uint64_t gap)
{
	struct ssi_ccm_station *s = p->s;
	uint64_t due = UINT64_MAX;
	bool connect;

	if (!atomic_exchange(&p->watched, false))
		return UINT64_MAX;
	pthread_mutex_lock(&p->lock);
	if (atomic_exchange(&p->heard, false)) {
		p->last_heard = s->now;
		due = s->now + clock_tick_ms(&s->config);
	} else
		p->last_heard = tick_earlier(p->last_heard + gap, s->now);     /* it may have been heard in this very turn */
	if (atomic_exchange(&p->said, false))
		p->last_said = s->now;
	if (p->state == PEER_UP)
		due = tick_earlier(due, tick_up(p));
	if (p->conn && station_conn_worn(p->conn))
		station_session_broken(p, p->conn);      /* new keys, by a new connection */
	if (p->conn)
		due = tick_earlier(due, tick_ack(p));
	if (p->out.tick_head == p->out.head || !p->conn)
		station_out_shrink(p);
	p->out.tick_head = p->out.head;
	due = tick_earlier(due, station_call_expire(p, s->now));
	if (p->part_at && (s->now >= p->part_at || p->state != PEER_UP || p->out.acked + 1 == p->out.next)) {
		station_peer_forget(p);
		station_work(p, WORK_PARTED);
	} else if (p->part_at)
		due = tick_earlier(due, s->now + clock_tick_ms(&s->config));
	connect = p->known && !p->listens && !p->conn;
	pthread_mutex_unlock(&p->lock);
	if (connect)
		station_link_connect(p);
	if (connect && !p->connecting)
		due = tick_earlier(due, p->connect_at > s->now ? p->connect_at : s->now + clock_tick_ms(&s->config));
	if (due != UINT64_MAX || !s->config.event)
		atomic_store(&p->watched, true);
	return due;
}

void station_clock_tick(struct ssi_ccm_station *s)
{
	unsigned n = atomic_load(&s->n_peers), ms = clock_tick_ms(&s->config);
	uint64_t gap, due = UINT64_MAX, soon;

	pthread_mutex_lock(&s->work_lock);
	gap = s->tick_at && s->now >= s->tick_at + CLOCK_GAP_MS ? s->now - s->tick_at : 0;
	s->tick_at = 0;
	pthread_mutex_unlock(&s->work_lock);
	for (unsigned i = 0; i < n; i++) {
		struct station_peer *p;

		pthread_mutex_lock(&s->peers_lock);
		p = s->all[i];
		pthread_mutex_unlock(&s->peers_lock);
		due = tick_earlier(due, tick_peer(p, gap));
	}
	due = tick_earlier(due, station_door_expire(s));
	due = tick_earlier(due, station_link_expire(s));
	if (station_call_tick(s) || !s->config.event)
		due = tick_earlier(due, s->now + ms);
	soon = s->now + (n > CLOCK_MANY ? CLOCK_MANY_MS : CLOCK_TICK_MIN);
	if (due != UINT64_MAX)
		station_tick_by(s, s->now, due > soon ? due : soon);
}
