/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the begin, the interruption and the end of a session: what of a peer's state belongs to its connection and what outlives it. Called by
 * whoever notices, with the peer's lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/comm/station-internal.h"

static void session_drop_kept(struct station_peer *p)
{
	struct station_msg *m;

	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next)
		while ((m = TAILQ_FIRST(&l->queue))) {
			TAILQ_REMOVE(&l->queue, m, link);
			free(m);
		}
}

void station_session_broken(struct station_peer *p, struct station_conn *c)
{
	if (p->conn != c)
		return;
	p->conn = NULL;
	p->leased = p->out.stalled = false;
	station_conn_watch(c, 0);
	shutdown(c->fd, SHUT_RDWR);          /* who sleeps in it wakes */
	if (!p->reader)
		station_in_reset(c);
	station_conn_unref(c);
	if (p->state == PEER_UP)
		station_note(p, SSI_CCM_LINK_DOWN);
	if (p->known && !p->listens)
		station_work(p, WORK_CONNECT);
	station_watch(p);
}

void station_session_quiesce(struct station_peer *p)
{
	if (p->conn)
		station_session_broken(p, p->conn);
	p->waiting_idle++;
	while (p->reader || p->out.writing)
		station_cond_wait(&p->idle, &p->lock, UINT64_MAX);
	p->waiting_idle--;
}

void station_session_fail_waiters(struct station_peer *p, int code)
{
	struct station_waiter *w, *next;

	for (w = TAILQ_FIRST(&p->waiters); w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (!w->claimed)
			station_waiter_done(p, w, code);
	}
	station_call_fail(p, code);
	if (p->waiting_room)
		pthread_cond_broadcast(&p->room);
}

void station_session_end(struct station_peer *p, int code)
{
	p->state = PEER_GONE;
	p->session = 0;
	station_out_clear(p);
	station_session_fail_waiters(p, code);
}

void station_session_gone(struct station_peer *p)
{
	if (p->state != PEER_UP)
		return;
	station_session_quiesce(p);
	if (p->state != PEER_UP)
		return;
	station_note(p, SSI_CCM_GONE);
	station_session_end(p, -EHOSTDOWN);
}

void station_session_doom(struct station_peer *p)
{
	p->doomed = p->session;
	station_work(p, WORK_GONE);
}

static void session_begin(struct station_peer *p, uint64_t session, uint64_t incarnation)
{
	if (p->state == PEER_UP) {
		station_because(p, &(struct ssi_err){ .code = -ECONNRESET, .text = "the other end began a new session" });
		station_note(p, SSI_CCM_GONE);
		station_session_end(p, -EHOSTDOWN);
	}
	station_out_clear(p);
	session_drop_kept(p);
	station_call_forget(p);
	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next) {
		l->sent = 0;
		atomic_store(&l->granted, 0);
		atomic_store(&l->received, 0);
		atomic_store(&l->taken, 0);
		atomic_store(&l->told, 0);
		l->retell = false;
	}
	p->state = PEER_UP;
	p->session = session;
	p->incarnation = p->highest = incarnation;
	atomic_store(&p->rx_serial, 0);
	atomic_store(&p->ack_told, 0);
	atomic_store(&p->rx_bytes, 0);
	atomic_store(&p->rx_bytes_told, 0);
	atomic_store(&p->rx_ring, 0);
	atomic_store(&p->rx_ring_told, 0);
	atomic_store(&p->due, 0);
	p->rx_acked = p->ack_mark = 0;
	p->fresh = 0;
	p->part_at = p->unacked_at = 0;
	p->sessions++;
	station_note(p, SSI_CCM_UP);
}

/* Say again what may have been lost with the old connection. */
static void session_resume(struct station_peer *p, uint64_t next)
{
	station_out_acked(p, next - 1, NULL);
	p->rx_acked = p->out.acked;
	for (struct station_lane *l = atomic_load(&p->lanes); l; l = l->next)
		l->retell = atomic_load(&l->taken) > 0;
	atomic_fetch_or(&p->due, DUE_CREDIT);
	station_note(p, SSI_CCM_LINK_UP);
}

static int session_check(const struct station_peer *p, const struct station_conn *c, uint64_t incarnation, struct ssi_err *e)
{
	if (p->s->down || !p->known)
		return ssi_errf(e, -ENOENT, "node %u is not known (any more)", p->node);
	if (p->listens == c->outgoing)
		return ssi_errf(e, -EPROTO, "node %u is not to connect", p->node);
	if (incarnation < p->highest)
		return ssi_errf(e, -ESTALE, "incarnation %llu of node %u, which was %llu before", (unsigned long long)incarnation, p->node,
				(unsigned long long)p->highest);
	return 0;
}

/* Is it the session that this end has? */
static bool session_held(const struct station_peer *p, const struct station_conn *c, const struct station_hello *h, uint64_t incarnation)
{
	if (p->state != PEER_UP || incarnation != p->incarnation)
		return false;
	/* Or this end began it, and the connection was cut before the other one knew. */
	return (h->session && h->session == p->session) || (!c->outgoing && h->fresh == p->session);
}

/* The end that accepts says which session it is: the one that both hold, or the fresh one. */
static int session_choose(struct station_peer *p, struct station_conn *c, const struct station_hello *h, uint64_t incarnation, struct ssi_err *e)
{
	uint64_t fresh = c->outgoing ? p->fresh : h->fresh;
	bool held = session_held(p, c, h, incarnation);
	uint64_t next = held && h->session == p->session ? h->next : 1;

	if (held && (next <= p->out.acked || next > p->out.next))
		return ssi_errf(e, -EPROTO, "HELLO expects serial %llu, of %llu to %llu", (unsigned long long)next,
				(unsigned long long)p->out.acked + 1, (unsigned long long)p->out.next);
	if (!held && p->part_at && !p->by_any)   /* it was to go, and not to come back */
		return ssi_errf(e, -ENOENT, "node %u is parted with", p->node);
	if (c->outgoing && !held && h->session != fresh)
		return ssi_errf(e, -EPROTO, "HELLO of a session that was not offered");
	if (!fresh || (!held && h->next != 1 && c->outgoing))
		return ssi_errf(e, -EPROTO, "HELLO without a fresh session");
	if (held)
		session_resume(p, next);
	else
		session_begin(p, fresh, incarnation);
	return 0;
}

int station_session_attach(struct station_peer *p, struct station_conn *c, const struct station_hello *h, uint64_t incarnation, struct ssi_err *e)
{
	struct station_hello reply;
	int r = session_check(p, c, incarnation, e);

	if (r < 0)
		return r;
	if (p->conn && h->fresh && !session_held(p, c, h, incarnation))
		station_out_part(p);         /* who is there is not to come back with what is over */
	station_session_quiesce(p);
	r = session_check(p, c, incarnation, e);
	if (r >= 0 && !station_peer_adopt(p))
		r = ssi_errf(e, -EBUSY, "node %u is parted with, which is not done yet", p->node);
	if (r >= 0)
		r = session_choose(p, c, h, incarnation, e);
	if (r < 0)
		return r;
	p->window = h->window;
	p->retain = h->retain;
	station_out_rewind(p);
	if (!c->outgoing) {
		reply = (struct station_hello){ p->session, 0, incarnation, atomic_load(&p->rx_serial) + 1, p->s->config.window, p->s->config.retain };
		station_link_encode_hello(p, &reply, c->control);
		c->control_len = STATION_HEADER + STATION_HELLO;
	}
	fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK);
	if (c->id.kind && !p->id)
		p->id = malloc(sizeof(*p->id));
	if (c->id.kind && p->id)
		*p->id = c->id;
	p->from = c->addr;
	c->state = LINK_OPEN;
	c->peer = p;
	p->conn = c;
	p->leased = false;
	p->links++;
	p->last_heard = p->s->now;
	station_said(p);
	station_watch(p);
	station_conn_interest(p);
	station_out_flush(p, p->out.head, false);
	if (p->waiting_room)
		pthread_cond_broadcast(&p->room);
	if (p->starved)
		station_work(p, WORK_DRAINED);
	station_role_pass(p);
	return 0;
}

void station_session_free(struct station_peer *p)
{
	struct station_msg *m;

	session_drop_kept(p);
	while ((m = TAILQ_FIRST(&p->inbox))) {
		TAILQ_REMOVE(&p->inbox, m, link);
		free(m);
	}
	station_out_clear(p);
}
