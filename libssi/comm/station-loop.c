/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the loop of a station: an epoll set that a thread of its own waits for, or the program's event loop; both take the same turns. Here
 * are the clocks: silence, signs of life, leases, acknowledgements that are due. What other threads want of it comes as work.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

#define LOOP_EVENTS 64
#define LOOP_TICK_MIN 5
#define LOOP_TICK_MAX 50
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

static void timer_set(int fd, unsigned ms, bool again)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	const struct itimerspec its = { .it_value = t, .it_interval = again ? t : (struct timespec){ 0 } };

	timerfd_settime(fd, 0, &its, NULL);
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
		timer_set(s->hot_timer, STATION_HOT_MS, false);
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

void station_refused(struct ssi_ccm_station *s, struct in_addr addr, uint32_t node, const struct ssi_err *why)
{
	bool wake = false;

	atomic_fetch_add(&s->refused, 1);
	if (!s->config.ops->refused)
		return;
	pthread_mutex_lock(&s->work_lock);
	if (s->n_refusals == sizeof(s->refusals) / sizeof(s->refusals[0]))
		s->refusals_told.left_out++;
	else {
		s->refusals[s->n_refusals++] = (struct station_refusal){ addr, node, *why };
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

static void peer_notes(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;

	pthread_mutex_lock(&s->work_lock);
	while (p->n_notes) {
		const uint64_t incarnation = p->notes[0].incarnation;
		const enum ssi_ccm_state state = p->notes[0].state;

		memmove(p->notes, p->notes + 1, --p->n_notes * sizeof(p->notes[0]));
		pthread_mutex_unlock(&s->work_lock);
		s->config.ops->state(p->node, incarnation, state, s->config.userdata);
		pthread_mutex_lock(&s->work_lock);
	}
	pthread_mutex_unlock(&s->work_lock);
}

/* Parted with: say so, forget, and begin anew if it is known again already. */
static void peer_parted(struct station_peer *p)
{
	station_link_abandon(p);
	pthread_mutex_lock(&p->lock);
	station_out_part(p);
	station_session_quiesce(p);
	if (p->session)
		station_note(p, SSI_CCM_GONE);
	station_session_end(p, -EHOSTDOWN);
	if (p->known)
		p->state = PEER_NEW;
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
	if (bits & WORK_NOTES)
		peer_notes(p);
	if (bits & WORK_INBOX)
		station_call_inbox(p);
	if (bits & WORK_PARTED)
		peer_parted(p);
	if (bits & WORK_GONE) {
		pthread_mutex_lock(&p->lock);
		if (p->doomed == p->session)
			station_session_gone(p);
		pthread_mutex_unlock(&p->lock);
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
		s->config.ops->refused(refusal.addr, refusal.node, &refusal.why, s->config.userdata);
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
	rx = atomic_load(&p->rx_serial);
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

/* Has something come that this station has not read yet? Who judges silence asks this first. */
static bool tick_unread(const struct station_peer *p)
{
	int n = 0;

	return p->conn && ioctl(p->conn->fd, FIONREAD, &n) == 0 && n > 0;
}

static void tick_peer(struct station_peer *p, uint64_t gap)
{
	struct ssi_ccm_station *s = p->s;
	uint64_t silent;
	bool connect;

	pthread_mutex_lock(&p->lock);
	p->last_heard = atomic_exchange(&p->heard, false) ? s->now : p->last_heard + gap;
	if (atomic_exchange(&p->said, false))
		p->last_said = s->now;
	silent = s->now - p->last_heard;
	if (p->state == PEER_UP && silent >= s->config.dead_ms && !tick_unread(p))
		station_session_gone(p);
	else if (p->conn && silent >= s->config.dead_ms / 2 && s->now - p->linked_at >= s->config.dead_ms / 2 && !tick_unread(p))
		station_session_broken(p, p->conn);      /* it may be the connection: a half-open one, a record that never ends */
	else if (p->conn && s->now - p->last_said >= s->config.heartbeat_ms) {
		p->last_said = s->now;
		atomic_fetch_or(&p->due, DUE_ALIVE);
		station_out_flush(p, p->out.head, false);
	}
	if (p->conn && station_conn_worn(p->conn))
		station_session_broken(p, p->conn);      /* new keys, by a new connection */
	if (s->now - p->last_said >= LOOP_IDLE_MS || !p->conn)
		station_out_shrink(p);
	station_call_expire(p, s->now);
	connect = p->known && !p->listens && !p->conn;
	pthread_mutex_unlock(&p->lock);
	if (connect)
		station_link_connect(p);
}

static void loop_tick(struct ssi_ccm_station *s)
{
	uint64_t gap = s->now - s->last_tick >= LOOP_GAP_MS ? s->now - s->last_tick : 0;
	unsigned n = atomic_load(&s->n_peers);

	s->last_tick = s->now;
	for (unsigned i = 0; i < n; i++) {
		struct station_peer *p;

		pthread_mutex_lock(&s->peers_lock);
		p = s->all[i];
		pthread_mutex_unlock(&s->peers_lock);
		tick_peer(p, gap);
	}
	station_link_expire(s);
	station_call_tick(s);
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
	for (int i = 0; i < n; i++)
		switch (*(enum station_tag *)ev[i].data.ptr) {
		case TAG_LISTENER:
			station_link_accept(s);
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
	loop_work(s);
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

static unsigned loop_tick_ms(const struct ssi_ccm_station_config *c)
{
	unsigned ms = c->heartbeat_ms / 4 < c->dead_ms / 16 ? c->heartbeat_ms / 4 : c->dead_ms / 16;

	return ms < LOOP_TICK_MIN ? LOOP_TICK_MIN : ms > LOOP_TICK_MAX ? LOOP_TICK_MAX : ms;
}

int station_loop_start(struct ssi_ccm_station *s, struct ssi_err *e)
{
	int r;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->hot_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->now = s->last_tick = ssi_clock_mono_ms();
	r = s->epoll < 0 ? -errno : loop_add(s, s->listener, &s->tag_listener, TAG_LISTENER);
	if (r >= 0)
		r = loop_add(s, s->wake, &s->tag_wake, TAG_WAKE);
	if (r >= 0)
		r = loop_add(s, s->tick, &s->tag_tick, TAG_TICK);
	if (r >= 0)
		r = loop_add(s, s->hot_timer, &s->tag_hot, TAG_HOT);
	if (r < 0)
		return ssi_errno(e, r, "the station's loop");
	timer_set(s->tick, loop_tick_ms(&s->config), true);
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
