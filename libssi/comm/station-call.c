/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the handlers of asynchronous calls, the workers that run the long ones, and the calls whose answer goes to a callback. Called by
 * the loop, by workers (threads of its own, started when a job waits and none is idle) and by programs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/comm/station-internal.h"

static _Thread_local struct station_handler *running;    /* the handler that this thread is in */

static struct station_handler *handler_slot(struct ssi_ccm_station *s, uint16_t module, uint16_t function)
{
	unsigned key = (unsigned)module << 16 | function, n = sizeof(s->handlers) / sizeof(s->handlers[0]), i = key * 2654435761u;

	for (;; i++) {
		unsigned k = atomic_load_explicit(&s->handlers[i % n].key, memory_order_acquire);

		if (!k || k == key)
			return &s->handlers[i % n];
	}
}

int ssi_ccm_regist(struct ssi_ccm_station *s, uint16_t module, uint16_t function, ssi_ccm_handler handler, void *userdata)
{
	struct station_handler *h;
	int r = 0;

	if (!module || !handler)
		return -EINVAL;
	pthread_mutex_lock(&s->calls_lock);
	h = handler_slot(s, module, function);
	if (atomic_load(&h->fn))
		r = -EEXIST;
	else if (!atomic_load(&h->key) && s->n_handlers == STATION_HANDLERS_MAX)
		r = -E2BIG;
	if (!r) {
		s->n_handlers += !atomic_load(&h->key);
		h->userdata = userdata;
		atomic_store(&h->fn, handler);
		atomic_store_explicit(&h->key, (unsigned)module << 16 | function, memory_order_release);
	}
	pthread_mutex_unlock(&s->calls_lock);
	return r;
}

int ssi_ccm_unregist(struct ssi_ccm_station *s, uint16_t module, uint16_t function)
{
	struct station_handler *h;

	if (!module)
		return -EINVAL;
	pthread_mutex_lock(&s->calls_lock);
	h = handler_slot(s, module, function);
	if (!atomic_load(&h->fn)) {
		pthread_mutex_unlock(&s->calls_lock);
		return -ENOENT;
	}
	atomic_store(&h->fn, NULL);
	while (running != h && atomic_load(&h->running))
		station_cond_wait(&s->calls_cond, &s->calls_lock, UINT64_MAX);
	pthread_mutex_unlock(&s->calls_lock);
	return 0;
}

/* Run (module, function)'s handler if there is one. */
static bool call_try(struct ssi_ccm_station *s, uint16_t function, const struct ssi_ccm_head *head, const void *body)
{
	struct station_handler *h = handler_slot(s, head->module, function), *before = running;
	ssi_ccm_handler fn;

	if (!atomic_load_explicit(&h->key, memory_order_acquire))
		return false;
	atomic_fetch_add(&h->running, 1);
	fn = atomic_load(&h->fn);
	if (fn) {
		running = h;
		fn(s, head, body, h->userdata);
		running = before;
	}
	if (atomic_fetch_sub(&h->running, 1) == 1 && !atomic_load(&h->fn)) {
		pthread_mutex_lock(&s->calls_lock);
		pthread_cond_broadcast(&s->calls_cond);
		pthread_mutex_unlock(&s->calls_lock);
	}
	return fn != NULL;
}

/* Who asks and does not listen would keep a worker, of which others have need too. */
static void call_give_up(struct station_peer *p, uint64_t session)
{
	struct ssi_err e;

	ssi_errf(&e, -ETIMEDOUT, "it asked, and had no room for the answer in %u ms", p->s->config.answer_ms);
	pthread_mutex_lock(&p->lock);
	if (p->session == session) {
		station_because(p, &e);
		station_session_doom(p);
	}
	pthread_mutex_unlock(&p->lock);
}

static uint64_t call_session(struct station_peer *p)
{
	uint64_t session;

	pthread_mutex_lock(&p->lock);
	session = p->session;
	pthread_mutex_unlock(&p->lock);
	return session;
}

static int call_reply(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, enum station_kind kind, const void *body, size_t len)
{
	const struct iovec iov = { (void *)body, len };
	struct station_peer *p = station_in_loop(s) ? NULL : station_peer_find(s, call->node);
	uint64_t session = p ? call_session(p) : 0;
	int r = station_send_any(s, call, (uint8_t)kind, &iov, 1, station_in_loop(s) ? SSI_CCM_NOWAIT : 0, s->config.answer_ms, false);

	if (r == -ETIMEDOUT && p)
		call_give_up(p, session);
	return r;
}

int ssi_ccm_answer(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, size_t len)
{
	return call->asks ? call_reply(s, call, KIND_ANSWER, body, len) : 0;
}

bool station_call_run(struct ssi_ccm_station *s, const struct ssi_ccm_head *head, const void *body)
{
	if (call_try(s, head->type, head, body) || call_try(s, SSI_CCM_DEFAULT, head, body) || !head->asks)
		return true;
	return call_reply(s, head, KIND_NO_HANDLER, NULL, 0) != -EAGAIN;
}

void station_call_refuse(struct station_msg *m)
{
	m->flags = KIND_NO_HANDLER;
	station_call_job(m);
}

void station_call_inbox_put(struct station_peer *p, struct station_msg *m)
{
	const bool news = (m->flags & STATION_KIND) == KIND_NEWS;

	if (news && p->n_news >= STATION_NEWS_MAX && !station_in_loop(p->s)) {
		free(m);                         /* a thread reads faster than the loop hears */
		return;
	}
	p->n_news += news;
	TAILQ_INSERT_TAIL(&p->inbox, m, link);
	atomic_fetch_add_explicit(&p->n_inbox, 1, memory_order_relaxed);
	station_work(p, WORK_INBOX);
}

static void call_done(struct station_msg *m)
{
	struct station_async *a = m->async;

	a->done(m->result, m->body, a->userdata);
	if (a->msg != m)
		free(a->msg);
	free(a);
}

void station_call_inbox(struct station_peer *p)
{
	struct station_msg *m;

	pthread_mutex_lock(&p->lock);
	while ((m = TAILQ_FIRST(&p->inbox))) {
		const uint64_t session = p->session;
		bool told = true;

		TAILQ_REMOVE(&p->inbox, m, link);
		p->n_news -= (m->flags & STATION_KIND) == KIND_NEWS;
		atomic_fetch_sub_explicit(&p->n_inbox, 1, memory_order_relaxed);
		pthread_mutex_unlock(&p->lock);
		if (m->async)
			call_done(m);
		else if (p->s->down || m->session != session || m->session == p->deaf)
			;                        /* too late for it */
		else if ((m->flags & STATION_KIND) == KIND_SHORT || (m->flags & STATION_KIND) == KIND_NEWS)
			told = station_call_run(p->s, &m->head, m->body);
		else
			p->s->config.ops->arrived(&m->head, p->s->config.userdata);
		pthread_mutex_lock(&p->lock);
		if (!told) {
			station_call_refuse(m);
			continue;
		}
		if ((m->flags & STATION_KIND) == KIND_SHORT && !m->async && m->session == p->session)
			station_in_taken(p, m->lane, m->head.size);
		free(m);
	}
	station_out_flush(p, p->out.head, false);
	pthread_mutex_unlock(&p->lock);
}

/* A worker has dealt with m. */
static void job_end(struct station_msg *m)
{
	struct station_peer *p = m->peer;

	pthread_mutex_lock(&p->lock);
	if (m->session == p->session) {
		station_in_taken(p, m->lane, m->head.size);
		if (atomic_load(&p->due) & DUE_NOW)
			station_out_flush(p, p->out.head, false);
	}
	pthread_mutex_unlock(&p->lock);
	free(m);
}

static void *worker(void *userdata)
{
	struct ssi_ccm_station *s = userdata;
	struct station_msg *m;

	pthread_mutex_lock(&s->jobs_lock);
	for (;;) {
		while (!(m = TAILQ_FIRST(&s->jobs)) && !s->jobs_end) {
			s->idle_workers++;
			station_cond_wait(&s->jobs_cond, &s->jobs_lock, UINT64_MAX);
			s->idle_workers--;
		}
		if (s->jobs_end)
			break;
		TAILQ_REMOVE(&s->jobs, m, link);
		s->n_jobs--;
		pthread_mutex_unlock(&s->jobs_lock);
		if ((m->flags & STATION_KIND) == KIND_NO_HANDLER)
			call_reply(s, &m->head, KIND_NO_HANDLER, NULL, 0);
		else
			station_call_run(s, &m->head, m->body);
		job_end(m);
		pthread_mutex_lock(&s->jobs_lock);
	}
	pthread_mutex_unlock(&s->jobs_lock);
	return NULL;
}

/* One worker more, if a job waits and none is idle. Where there is no thread to be had now, the loop tries again. jobs_lock is held. */
static void jobs_staff(struct ssi_ccm_station *s)
{
	if (s->n_jobs > s->idle_workers && s->n_workers < s->config.workers && !s->jobs_end &&
	    !pthread_create(&s->workers[s->n_workers], NULL, worker, s))
		s->n_workers++;
}

bool station_call_tick(struct ssi_ccm_station *s)
{
	bool left;

	pthread_mutex_lock(&s->jobs_lock);
	jobs_staff(s);
	left = s->n_jobs > s->idle_workers && s->n_workers < s->config.workers;
	pthread_mutex_unlock(&s->jobs_lock);
	return left;
}

/* The peer's credit, which comes back when it is done, bounds how many there are: of one session, so those of an older one go. */
void station_call_job(struct station_msg *m)
{
	struct ssi_ccm_station *s = m->peer->s;
	bool left;

	pthread_mutex_lock(&s->jobs_lock);
	TAILQ_INSERT_TAIL(&s->jobs, m, link);
	s->n_jobs++;
	jobs_staff(s);
	left = s->n_jobs > s->idle_workers && s->n_workers < s->config.workers;
	pthread_cond_signal(&s->jobs_cond);
	pthread_mutex_unlock(&s->jobs_lock);
	if (left)
		station_tick_soon(s);
}

void station_call_forget(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;
	struct station_msg *m, *next;

	pthread_mutex_lock(&s->jobs_lock);
	for (m = TAILQ_FIRST(&s->jobs); m; m = next) {
		next = TAILQ_NEXT(m, link);
		if (m->peer != p)
			continue;
		TAILQ_REMOVE(&s->jobs, m, link);
		s->n_jobs--;
		free(m);
	}
	pthread_mutex_unlock(&s->jobs_lock);
}

void station_call_end(struct ssi_ccm_station *s)
{
	struct station_msg *m;

	pthread_mutex_lock(&s->jobs_lock);
	s->jobs_end = true;
	pthread_cond_broadcast(&s->jobs_cond);
	pthread_mutex_unlock(&s->jobs_lock);
	for (unsigned i = 0; i < s->n_workers; i++)
		pthread_join(s->workers[i], NULL);
	while ((m = TAILQ_FIRST(&s->jobs))) {
		TAILQ_REMOVE(&s->jobs, m, link);
		free(m);
	}
}

static uint64_t call_sequence(struct ssi_ccm_station *s)
{
	return atomic_fetch_add(&s->next_call, 1) & INT64_MAX;    /* never SSI_CCM_NOSEQ */
}

static uint8_t call_kind(enum ssi_ccm_how how)
{
	return (how == SSI_CCM_LONG ? KIND_LONG : KIND_SHORT) | STATION_WANTS_ANSWER;
}

ssize_t ssi_ccm_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, enum ssi_ccm_how how, const void *body, size_t len,
		     void *buf, size_t n, unsigned timeout_ms)
{
	struct ssi_ccm_head head = *to;
	struct station_waiter w = { .module = to->module, .answer = true, .buf = buf, .n = n, .cond = PTHREAD_COND_INITIALIZER };
	struct station_peer *p = station_peer_find(s, to->node);
	uint64_t deadline = timeout_ms == SSI_CCM_FOREVER ? 0 : station_deadline(timeout_ms), now;
	const struct iovec iov = { (void *)body, len };
	int r;

	if (!p)
		return -ENOENT;
	if (station_in_loop(s))
		return -EDEADLK;
	head.sequence = w.sequence = call_sequence(s);
	pthread_mutex_lock(&p->lock);
	p->users++;
	TAILQ_INSERT_TAIL(&p->waiters, &w, link);
	pthread_mutex_unlock(&p->lock);
	r = station_send_any(s, &head, call_kind(how), &iov, 1, 0, timeout_ms, false);
	now = deadline ? ssi_clock_mono_ms() : 0;
	pthread_mutex_lock(&p->lock);
	if (r < 0)                           /* a peer that knows what is next may have begun to answer what it was not asked yet */
		station_waiter_leave(p, &w, r);
	else
		r = (int)station_recv_wait(p, &w, !deadline ? timeout_ms : deadline > now ? (unsigned)(deadline - now) : 0);
	if (!--p->users && p->waiting_idle)
		pthread_cond_broadcast(&p->idle);
	pthread_mutex_unlock(&p->lock);
	return w.result;
}

struct station_async *station_async_find(struct station_peer *p, const struct ssi_ccm_head *h)
{
	struct station_async *a;

	TAILQ_FOREACH(a, &p->asyncs, link)
		if (a->sequence == h->sequence && a->module == h->module)
			return a;
	return NULL;
}

static void async_end(struct station_peer *p, struct station_async *a, struct station_msg *m, ssize_t result)
{
	TAILQ_REMOVE(&p->asyncs, a, link);
	m->async = a;
	m->result = result;
	station_call_inbox_put(p, m);
}

void station_call_answered(struct station_peer *p, struct station_msg *m)
{
	struct station_async *a = station_async_find(p, &m->head);

	if (a)
		async_end(p, a, m, (m->flags & STATION_KIND) == KIND_NO_HANDLER ? -ENOSYS : (ssize_t)m->head.size);
	else
		free(m);                         /* its time was over meanwhile */
}

uint64_t station_call_expire(struct station_peer *p, uint64_t now)
{
	struct station_async *a, *next;
	uint64_t first = UINT64_MAX;

	for (a = TAILQ_FIRST(&p->asyncs); a; a = next) {
		next = TAILQ_NEXT(a, link);
		if (now >= a->deadline)
			async_end(p, a, a->msg, -ETIMEDOUT);
		else if (a->deadline < first)
			first = a->deadline;
	}
	return first;
}

void station_call_fail(struct station_peer *p, int code)
{
	struct station_async *a;

	while ((a = TAILQ_FIRST(&p->asyncs)))
		async_end(p, a, a->msg, code);
}

int ssi_ccm_call_async(struct ssi_ccm_station *s, const struct ssi_ccm_head *to, enum ssi_ccm_how how, const void *body, size_t len,
		       ssi_ccm_done done, void *userdata, unsigned timeout_ms)
{
	struct station_peer *p = station_peer_find(s, to->node);
	const struct station_frame none = { .module = to->module };
	const struct iovec iov = { (void *)body, len };
	struct ssi_ccm_head head = *to;
	_cleanup_free_ struct station_async *a = calloc(1, sizeof(*a));
	_cleanup_free_ struct station_msg *m = NULL;
	int r;

	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&p->lock);
	m = a ? station_msg_new(p, &none) : NULL;
	if (!m) {
		pthread_mutex_unlock(&p->lock);
		return -ENOMEM;
	}
	head.sequence = call_sequence(s);
	*a = (struct station_async){ .msg = m, .module = to->module, .sequence = head.sequence, .done = done, .userdata = userdata,
				     .deadline = station_deadline(timeout_ms) };
	TAILQ_INSERT_TAIL(&p->asyncs, a, link);
	pthread_mutex_unlock(&p->lock);
	r = station_send_any(s, &head, call_kind(how), &iov, 1, SSI_CCM_NOWAIT, 0, false);
	station_watch(p);
	if (r >= 0) {
		TAKE_PTR(a);
		TAKE_PTR(m);
		return 0;
	}
	/* Not sent: nobody else can have ended it but the end of the session, which then tells the callback. */
	pthread_mutex_lock(&p->lock);
	if (station_async_find(p, &head))
		TAILQ_REMOVE(&p->asyncs, a, link);
	else {
		TAKE_PTR(a);
		TAKE_PTR(m);
		r = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}
