/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns connections until they are let in: the first record, the key, the handshake, and whose turn it is when there is a crowd. Called by
 * ccm-conn.c, which has them afterwards, and ccm.c. Of a crowd only CCM_GREETED_MAX are worked on at a time, the others stand in line: all at once
 * would take so long that all give up.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include "libssi/base/clock.h"
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/sock.h"

static int door_key(const struct ssi_identity *id, uint8_t ret[SSI_TLS_KEY], void *userdata)
{
	struct ssi_ccm_conn *c = userdata;

	return c->m->ops->key(id, c->peer, ret, c->m->userdata);
}

/*
 * The first record at the door: until all of it is here a stranger costs nothing. Who has spoken stands in line, at no more cost, and
 * without a limit but its own patience; -EAGAIN until it is its turn.
 */
static int door_greet(struct ssi_ccm_conn *c, struct ssi_err *e)
{
	int r = c->where == CONN_SILENT ? ssi_tls_greet(c->fd, &c->low_water, e) : 0;

	if (r < 0)
		return r;
	if (c->hung_up)                  /* it waited for longer than it wanted: no work for nobody */
		return ssi_errf(e, -ECONNRESET, "hung up before the handshake");
	if (c->where == CONN_SILENT) {
		conn_move(c, CONN_IN_LINE);
		c->timer = sd_event_source_disable_unref(c->timer);
	}
	return -EAGAIN;
}

void door_next(struct ssi_ccm *m)
{
	struct ssi_ccm_conn *c;
	struct ssi_err e;

	while (m->n_in[CONN_GREETED] < CCM_GREETED_MAX && (c = TAILQ_FIRST(&m->in[CONN_IN_LINE]))) {
		conn_move(c, CONN_GREETED);
		c->since = ssi_clock_mono_ms();
		if (conn_arm(c, CCM_STALL_MS) < 0)
			conn_fail(c, &(struct ssi_err){ .code = -ENOMEM, .text = "no memory for a timer" });
		else if (ssi_tls_server(c->fd, door_key, c, &c->tls, &e) < 0)
			conn_fail(c, &e);
		else
			door_handshake(c);
	}
}

bool door_patience(struct ssi_ccm_conn *c)
{
	bool slow = TAILQ_EMPTY(&c->m->in[CONN_IN_LINE]) && ssi_clock_mono_ms() - c->since < CCM_HANDSHAKE_MS;
	int there = 0;

	/* What it has to say next may lie there unread: then it is we who are slow. */
	return c->where == CONN_GREETED && c->state == CONN_HANDSHAKE && (slow || (ioctl(c->fd, FIONREAD, &there) == 0 && there > 0)) &&
	       conn_arm(c, CCM_STALL_MS) >= 0;
}

void door_handshake(struct ssi_ccm_conn *c)
{
	struct ssi_err e;
	int r = c->tls ? 0 : door_greet(c, &e);

	if (r >= 0)
		r = ssi_tls_handshake(c->tls, &e);
	if (r == -EAGAIN) {
		if (c->where == CONN_IN_LINE)
			conn_wait(c, EPOLLRDHUP);
		else
			conn_interest(c);
		return;
	}
	if (r < 0) {
		conn_fail(c, &e);
		return;
	}
	if (!c->outgoing && ssi_tls_expired(c->tls)) {
		c->old_news = ssi_tls_expired(c->tls) > 1;
		ssi_errf(&e, -EKEYREVOKED, "the key of %s was used after its time", ssi_tls_identity(c->tls)->who);
		conn_because(c, &e);
		ssi_tls_say_expired(c->tls);
		conn_shut(c);
		conn_arm(c, CCM_CLOSE_MS);
		conn_interest(c);
		return;
	}
	if (!c->outgoing)
		c->id = *ssi_tls_identity(c->tls);
	c->timer = sd_event_source_disable_unref(c->timer);
	if (c->where == CONN_GREETED)
		conn_move(c, CONN_IN_CONNS);
	c->state = CONN_OPEN;
	c->opened = true;
	if (!c->outgoing)
		identity_enter(c);
	conn_interest(c);
	c->m->ops->opened(c, c->m->userdata);
	conn_read(c);
}

void door_connected(struct ssi_ccm_conn *c)
{
	struct ssi_err e;

	if (ssi_sock_error(c->fd, c->peer, c->port, &e) < 0) {
		conn_fail(c, &e);
		return;
	}
	c->state = CONN_HANDSHAKE;
	conn_arm(c, CCM_IN_LINE * c->timeout_ms);
	door_handshake(c);
}

int conn_start_server(struct ssi_ccm_conn *c)
{
	struct ssi_err e;

	c->since = ssi_clock_mono_ms();
	if (conn_arm(c, CCM_HANDSHAKE_MS) >= 0)
		return 0;
	ssi_errf(&e, -ENOMEM, "no memory for a timer");
	conn_fail(c, &e);
	return -ENOMEM;
}

int conn_start_client(struct ssi_ccm_conn *c, const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms, struct ssi_err *e)
{
	int r = ssi_tls_client(c->fd, &c->id, key, &c->tls, e);

	if (r < 0)
		return r;
	c->timeout_ms = timeout_ms;
	return conn_arm(c, timeout_ms) < 0 ? ssi_errf(e, -ENOMEM, "no memory for a timer") : 0;
}
