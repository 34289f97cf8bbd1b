/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the loop of a station: an epoll set that a thread of its own waits for, or the program's event loop; both take the same turns. What other
 * threads want of it comes as work.
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

static _Thread_local const struct ssi_ccm_station *turning;    /* the station whose turn this thread takes */

bool station_in_loop(const struct ssi_ccm_station *s)
{
	return turning == s;
}

void station_wake(struct ssi_ccm_station *s)
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
		station_wake(s);
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
	station_tell_refusals(s);
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
		station_clock_hot(s);
	if (tick)                            /* after what has come was heard */
		station_clock_tick(s);
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
	station_wake(s);
	pthread_join(s->thread, NULL);
	s->threaded = false;
}
