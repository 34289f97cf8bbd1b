/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the loop of a station: an epoll set that a thread of its own waits for, or the program's event loop; both take the same turns. Here
 * are the clocks: silence, signs of life, leases, acknowledgements that are due. What other threads want of it comes as work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

#define LOOP_EVENTS 64
#define LOOP_TICK_MIN 5
#define LOOP_TICK_MAX 50
#define LOOP_MANY 64                     /* with more peers than these, deadlines wait for each other */
#define LOOP_MANY_MS 200
#define LOOP_GAP_MS 1000                 /* so late a tick: this process did not run, and silence is nobody's fault */
#define LOOP_IDLE_MS 2000                /* after this a ring is given back */
#define REFUSED_WINDOW_MS 10000
#define REFUSED_TOLD 10

static _Thread_local const struct ssi_ccm_station *turning;    /* the station whose turn this thread takes */

bool station_in_loop(const struct ssi_ccm_station *s)
{
	return turning == s;
}

static void loop_wake(struct ssi_ccm_station *s)
{
	static const uint64_t one = 1;

	if (write(s->wake, &one, sizeof(one)) < 0)
		return;                          /* full: it is awake */
}

void station_work(struct station_peer *p, unsigned bits)
{
	struct ssi_ccm_station *s = p->s;
	bool wake;

	pthread_mutex_lock(&s->work_lock);
	if (!p->work)
		TAILQ_INSERT_TAIL(&s->work, p, work_link);
	p->work |= bits;
	wake = !s->woken && turning != s;
	s->woken = s->woken || wake;
	pthread_mutex_unlock(&s->work_lock);
	if (wake)
		loop_wake(s);
}

static void timer_set(int fd, uint64_t ms)
{
	const struct itimerspec its = { .it_value = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 } };

	timerfd_settime(fd, 0, &its, NULL);
}

static unsigned loop_tick_ms(const struct ssi_ccm_station_config *c)
{
	unsigned ms = c->heartbeat_ms / 4 < c->dead_ms / 16 ? c->heartbeat_ms / 4 : c->dead_ms / 16;

	return ms < LOOP_TICK_MIN ? LOOP_TICK_MIN : ms > LOOP_TICK_MAX ? LOOP_TICK_MAX : ms;
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
	uint64_t now = turning == s ? s->now : ssi_clock_mono_ms();

	station_tick_by(s, now, now + loop_tick_ms(&s->config));
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
		atomic_store_explicit(&p->last_said, turning == s ? s->now : ssi_clock_mono_ms(), memory_order_relaxed);
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

void station_because(struct station_peer *p, const struct ssi_err *why)
{
	if (!p->why)
		p->why = malloc(sizeof(*p->why));
	if (p->why)
		*p->why = *why;
}

void station_note(struct station_peer *p, enum ssi_ccm_state state)
{
	struct ssi_ccm_station *s = p->s;

	if (!s->config.ops->state)
		return;
	pthread_mutex_lock(&s->work_lock);
	if (p->n_notes == STATION_NOTES) {       /* a loop that is not run: what is oldest is least true */
		memmove(p->notes, p->notes + 1, sizeof(p->notes) - sizeof(p->notes[0]));
		p->n_notes--;
	}
	p->notes[p->n_notes].incarnation = p->incarnation;
	p->notes[p->n_notes++].state = state;
	pthread_mutex_unlock(&s->work_lock);
	station_work(p, WORK_NOTES);
}

void station_refused(struct ssi_ccm_station *s, struct in_addr addr, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why)
{
	bool wake = false;

	atomic_fetch_add(&s->refused, 1);
	if (!s->config.ops->refused)
		return;
	pthread_mutex_lock(&s->work_lock);
	if (s->n_refusals == sizeof(s->refusals) / sizeof(s->refusals[0]))
		s->refusals_told.left_out++;
	else {
		s->refusals[s->n_refusals++] = (struct station_refusal){ addr, node, id ? *id : (struct ssi_identity){ 0 }, *why };
		wake = !s->woken && turning != s;
		s->woken = s->woken || wake;
	}
	pthread_mutex_unlock(&s->work_lock);
	if (wake)
		loop_wake(s);
}

/* One refusal out of the queue, within the limit. */
static bool loop_refusal(struct ssi_ccm_station *s, struct station_refusal *ret)
{
	bool tell = false;
	unsigned before = 0;

	pthread_mutex_lock(&s->work_lock);
	while (s->n_refusals && !tell) {
		*ret = s->refusals[0];
		memmove(s->refusals, s->refusals + 1, --s->n_refusals * sizeof(s->refusals[0]));
		tell = ssi_limit_pass(&s->refusals_told, s->now, REFUSED_WINDOW_MS, REFUSED_TOLD, false, &before);
	}
	if (before) {
		struct ssi_err e = ret->why;

		ssi_errf(&ret->why, e.code, "%s (%u more were refused before)", e.text, before);
	}
	pthread_mutex_unlock(&s->work_lock);
	return tell;
}

/* Why a session ended was told: of many that ended long ago it is not kept. */
static void notes_forget(struct station_peer *p)
{
	pthread_mutex_lock(&p->lock);
	free(p->why);
	p->why = NULL;
	pthread_mutex_unlock(&p->lock);
}

void station_notes(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;

	pthread_mutex_lock(&s->work_lock);
	while (p->n_notes) {
		const uint64_t incarnation = p->notes[0].incarnation;
		const enum ssi_ccm_state state = p->notes[0].state;

		memmove(p->notes, p->notes + 1, --p->n_notes * sizeof(p->notes[0]));
		pthread_mutex_unlock(&s->work_lock);
		s->config.ops->state(p->node, incarnation, state, s->config.userdata);
		if (state == SSI_CCM_GONE)
			notes_forget(p);
		pthread_mutex_lock(&s->work_lock);
	}
	pthread_mutex_unlock(&s->work_lock);
}

/* Parted with: say so, forget, and begin anew if it is known again already. */
static void peer_parted(struct station_peer *p)
{
	if (p->s->held && (p->owing & OWING_WORDS)) {        /* after what was said in this turn */
		station_owe(p, OWING_PARTED);
		return;
	}
	station_link_abandon(p);
	pthread_mutex_lock(&p->lock);
	p->parting = false;
	if (p->session != p->parted && p->session) {         /* that one is over already, and the node is let in again */
		pthread_mutex_unlock(&p->lock);
		return;
	}
	station_out_part(p);
	station_session_quiesce(p);
	if (p->session)
		station_note(p, SSI_CCM_GONE);
	station_session_end(p, -EHOSTDOWN);
	if (p->known)
		p->state = PEER_NEW;
	station_peer_adopt(p);
	pthread_mutex_unlock(&p->lock);
	p->connect_at = p->linked_at = 0;
	p->backoff = 0;
	station_link_connect(p);
}

/* Tell those that there is room again who were told that there is none. */
static void peer_drained(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;
	bool left = false;

	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next) {
		bool tell;

		pthread_mutex_lock(&p->lock);
		tell = l->starved && p->state == PEER_UP && l->sent - l->granted <= p->window / 2 && p->out.retained <= s->config.retain / 2;
		left = left || (l->starved && !tell);
		l->starved = l->starved && !tell;
		pthread_mutex_unlock(&p->lock);
		if (tell && s->config.ops->drained)
			s->config.ops->drained(p->node, l->module, s->config.userdata);
	}
	pthread_mutex_lock(&p->lock);
	p->starved = left;
	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next)
		p->starved = p->starved || l->starved;
	pthread_mutex_unlock(&p->lock);
}

static void peer_work(struct station_peer *p, unsigned bits)
{
	/* What was said before a connection broke is heard before that is told. That one is there is told when it comes. */
	if (bits & WORK_INBOX)
		station_call_inbox(p);
	if (bits & WORK_NOTES)
		station_notes(p);
	if (bits & WORK_PARTED)
		peer_parted(p);
	if (bits & WORK_GONE) {
		pthread_mutex_lock(&p->lock);
		if (p->doomed == p->session)
			station_session_gone(p);
		pthread_mutex_unlock(&p->lock);
		station_notes(p);            /* who hears that it is over may part: then nothing is connected to */
	}
	if (bits & WORK_CONNECT)
		station_link_connect(p);
	if (bits & WORK_FLUSH) {
		pthread_mutex_lock(&p->lock);
		p->work_flush = false;
		station_out_flush(p, p->out.head, false);
		pthread_mutex_unlock(&p->lock);
	}
	if (bits & WORK_DRAINED)
		peer_drained(p);
}

static void loop_work(struct ssi_ccm_station *s)
{
	struct station_refusal refusal;

	pthread_mutex_lock(&s->work_lock);
	for (struct station_peer *p; (p = TAILQ_FIRST(&s->work));) {
		unsigned bits = p->work;

		p->work = 0;
		TAILQ_REMOVE(&s->work, p, work_link);
		pthread_mutex_unlock(&s->work_lock);
		peer_work(p, bits);
		pthread_mutex_lock(&s->work_lock);
	}
	pthread_mutex_unlock(&s->work_lock);
	while (s->config.ops->refused && loop_refusal(s, &refusal))
		s->config.ops->refused(refusal.addr, refusal.node, refusal.id.kind ? &refusal.id : NULL, &refusal.why, s->config.userdata);
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

static void loop_hot(struct ssi_ccm_station *s)
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
		return half ? due : s->now + loop_tick_ms(&s->config);
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
		due = s->now + loop_tick_ms(&s->config);
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
		due = tick_earlier(due, s->now + loop_tick_ms(&s->config));
	connect = p->known && !p->listens && !p->conn;
	pthread_mutex_unlock(&p->lock);
	if (connect)
		station_link_connect(p);
	if (connect && !p->connecting)
		due = tick_earlier(due, p->connect_at > s->now ? p->connect_at : s->now + loop_tick_ms(&s->config));
	if (due != UINT64_MAX || !s->config.event)
		atomic_store(&p->watched, true);
	return due;
}

static void loop_tick(struct ssi_ccm_station *s)
{
	unsigned n = atomic_load(&s->n_peers), ms = loop_tick_ms(&s->config);
	uint64_t gap, due = UINT64_MAX, soon;

	pthread_mutex_lock(&s->work_lock);
	gap = s->tick_at && s->now >= s->tick_at + LOOP_GAP_MS ? s->now - s->tick_at : 0;
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
	soon = s->now + (n > LOOP_MANY ? LOOP_MANY_MS : LOOP_TICK_MIN);
	if (due != UINT64_MAX)
		station_tick_by(s, s->now, due > soon ? due : soon);
}

static void loop_conn(struct station_conn *c, uint32_t events)
{
	if (c->state == LINK_DEAD)           /* by an event before this one, of the same turn */
		return;
	if (c->state != LINK_OPEN) {
		station_link_event(c, events);
		return;
	}
	if (events & EPOLLOUT) {
		struct station_peer *p = c->peer;

		pthread_mutex_lock(&p->lock);
		if (p->conn == c) {
			p->out.stalled = false;
			station_out_flush(p, p->out.head, false);
			station_conn_interest(p);
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		station_in_read(c->peer, c);
}

static void loop_reap(struct ssi_ccm_station *s)
{
	struct station_conn *c;

	pthread_mutex_lock(&s->work_lock);
	while ((c = TAILQ_FIRST(&s->dead))) {
		TAILQ_REMOVE(&s->dead, c, link);
		pthread_mutex_unlock(&s->work_lock);
		station_conn_free(c);
		pthread_mutex_lock(&s->work_lock);
	}
	pthread_mutex_unlock(&s->work_lock);
}

void station_owe(struct station_peer *p, unsigned what)
{
	if (!p->owing)
		TAILQ_INSERT_TAIL(&p->s->owing, p, owing_link);
	p->owing |= OWING | what;
}

/* The end of a turn: what was said in it is true now, and leaves; or it is not, and those who would hear it must begin anew. */
static void loop_settle(struct ssi_ccm_station *s)
{
	struct station_peer *p;
	struct ssi_err e;
	int r = s->config.ops->settle(&e, s->config.userdata);

	s->held = false;
	while ((p = TAILQ_FIRST(&s->owing))) {
		unsigned owing = p->owing;

		TAILQ_REMOVE(&s->owing, p, owing_link);
		p->owing = 0;
		pthread_mutex_lock(&p->lock);
		if (r < 0 && (owing & OWING_WORDS)) {
			station_because(p, &e);
			station_out_part(p);
			station_session_gone(p);
		}
		station_out_flush(p, p->out.head, false);
		pthread_mutex_unlock(&p->lock);
		if (owing & OWING_PARTED)
			station_work(p, WORK_PARTED);
	}
	loop_work(s);
}

static void loop_drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
}

/* Wait (ms; -1 without a bound) for what comes, and deal with it. */
static void loop_turn(struct ssi_ccm_station *s, int wait)
{
	struct epoll_event ev[LOOP_EVENTS];
	bool tick = false, hot = false;
	int n;

	loop_reap(s);
	n = epoll_wait(s->epoll, ev, LOOP_EVENTS, wait);
	turning = s;
	s->now = ssi_clock_mono_ms();
	s->held = s->config.ops->settle;
	if (s->held && s->config.ops->hold)
		s->config.ops->hold(s->config.userdata);
	loop_work(s);                        /* asked for before this turn: who was parted with is not heard any more, nor what became of its connection */
	for (int i = 0; i < n; i++)
		switch (*(enum station_tag *)ev[i].data.ptr) {
		case TAG_LISTENER:
			station_door_accept(s);
			break;
		case TAG_WAKE:
			loop_drain(s->wake);
			pthread_mutex_lock(&s->work_lock);
			s->woken = false;
			pthread_mutex_unlock(&s->work_lock);
			break;
		case TAG_TICK:
			loop_drain(s->tick);
			tick = true;
			break;
		case TAG_HOT:
			loop_drain(s->hot_timer);
			hot = true;
			break;
		case TAG_CONN:
			loop_conn(ev[i].data.ptr, ev[i].events);
			break;
		}
	if (hot)
		loop_hot(s);
	if (tick)                            /* after what has come was heard */
		loop_tick(s);
	station_door_next(s);                /* after the tick, which makes room: no other turn may come for that */
	loop_work(s);
	if (s->held)
		loop_settle(s);
	turning = NULL;
}

static void *loop_thread(void *userdata)
{
	struct ssi_ccm_station *s = userdata;

	while (!atomic_load(&s->down))
		loop_turn(s, -1);
	return NULL;
}

static int loop_on_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	loop_turn(userdata, 0);
	return 0;
}

static int loop_add(struct ssi_ccm_station *s, int fd, enum station_tag *tag, enum station_tag value)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = tag };

	*tag = value;
	return fd < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int station_loop_start(struct ssi_ccm_station *s, struct ssi_err *e)
{
	int r;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->hot_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->now = ssi_clock_mono_ms();
	r = s->epoll < 0 ? -errno : s->config.connects_only ? 0 : loop_add(s, s->listener, &s->tag_listener, TAG_LISTENER);
	if (r >= 0)
		r = loop_add(s, s->wake, &s->tag_wake, TAG_WAKE);
	if (r >= 0)
		r = loop_add(s, s->tick, &s->tag_tick, TAG_TICK);
	if (r >= 0)
		r = loop_add(s, s->hot_timer, &s->tag_hot, TAG_HOT);
	if (r < 0)
		return ssi_errno(e, r, "the station's loop");
	if (!s->config.event)
		station_tick_soon(s);
	if (s->config.event)
		r = sd_event_add_io(s->config.event, &s->source, s->epoll, EPOLLIN, loop_on_event, s);
	else {
		r = -pthread_create(&s->thread, NULL, loop_thread, s);
		s->threaded = r == 0;
	}
	return r < 0 ? ssi_errno(e, r, "the station's loop") : 0;
}

void station_loop_stop(struct ssi_ccm_station *s)
{
	s->source = sd_event_source_disable_unref(s->source);
	if (!s->threaded)
		return;
	loop_wake(s);
	pthread_join(s->thread, NULL);
	s->threaded = false;
}
