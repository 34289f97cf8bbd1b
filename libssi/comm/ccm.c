/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns an endpoint of ccm's loop face: its rules, its listener, the limits on who may knock, and the batches in which connections have
 * their turn. Called by the daemon and the agent. One thread, one loop: a handler that takes long makes every connection wait.
 *
 * All connections are one source of the loop, by an epoll of their own: the loop asks the kernel anew for each source that it calls, and
 * with thousands of sources ready at once that is a square.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/sock.h"

#define CCM_ACCEPT_BURST 64          /* connections taken at a time, before others are heard */
#define CCM_PAUSE_MS 500             /* without descriptors: how long until the next try */
#define CCM_FULL_MS 50               /* and without room */
#define CCM_REFUSED_WINDOW_MS 10000
#define CCM_REFUSED_TOLD 10

void ccm_hold(struct ssi_ccm *m)
{
	if (m->held++ == 0 && m->ops->hold)
		m->ops->hold(m->userdata);
}

void ccm_settle(struct ssi_ccm *m)
{
	struct ssi_ccm_conn *c;
	struct ssi_err e;
	int r = 0;

	if (--m->held)
		return;
	if (m->ops->settle)
		r = m->ops->settle(&e, m->userdata);
	while ((c = TAILQ_FIRST(&m->talking))) {
		if (r < 0)
			conn_fail(c, &e);
		conn_speak(c);
	}
}

static int ccm_on_ready(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct epoll_event ready[CCM_BATCH];
	struct ssi_ccm *m = userdata;
	int n = epoll_wait(fd, ready, CCM_BATCH, 0);

	ccm_hold(m);
	for (int i = 0; i < n; i++)
		conn_ready(ready[i].data.ptr, ready[i].events);
	door_next(m);
	ccm_settle(m);
	return 0;
}

static int ccm_on_end(sd_event_source *s, void *userdata)
{
	struct ssi_ccm *m = userdata;

	ccm_hold(m);
	conn_bury(m);
	door_next(m);
	ccm_settle(m);
	return 0;
}

int ssi_ccm_new(sd_event *event, const struct ssi_ccm_ops *ops, void *userdata, struct ssi_ccm **ret)
{
	struct ssi_ccm *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->event = sd_event_ref(event);
	m->ops = ops;
	m->userdata = userdata;
	m->fd = -1;
	for (int i = 0; i < CONN_PLACES; i++)
		TAILQ_INIT(&m->in[i]);
	TAILQ_INIT(&m->talking);
	m->poll = epoll_create1(EPOLL_CLOEXEC);
	r = m->poll < 0 ? -errno : sd_event_add_io(event, &m->ready, m->poll, EPOLLIN, ccm_on_ready, m);
	if (r >= 0)
		r = sd_event_add_defer(event, &m->end, ccm_on_end, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->end, SD_EVENT_OFF);
	if (r < 0) {
		ssi_ccm_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void ssi_ccm_free(struct ssi_ccm *m)
{
	struct ssi_ccm_conn *c;

	if (!m)
		return;
	for (int i = 0; i < CONN_PLACES; i++)
		while ((c = TAILQ_FIRST(&m->in[i])))
			conn_free(c);
	sd_event_source_disable_unref(m->ready);
	sd_event_source_disable_unref(m->end);
	sd_event_source_disable_unref(m->listener);
	sd_event_source_disable_unref(m->pause);
	if (m->poll >= 0)
		close(m->poll);
	if (m->fd >= 0)
		close(m->fd);
	free(m->ahead);
	sd_event_unref(m->event);
	free(m);
}

static const struct ssi_ccm_rule *ccm_rule(const struct ssi_ccm *m, uint16_t module, uint16_t type)
{
	for (size_t i = 0; i < m->n_rules; i++)
		if (m->rules[i].module == module && m->rules[i].type == type)
			return &m->rules[i];
	return NULL;
}

int ssi_ccm_register(struct ssi_ccm *m, const struct ssi_ccm_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ccm_rule(m, rules[i].module, rules[i].type))
			return -EEXIST;
		if (m->n_rules == CCM_RULES_MAX || rules[i].max_size > SSI_WIRE_BODY_MAX)
			return -E2BIG;
		m->rules[m->n_rules++] = rules[i];
	}
	return 0;
}

int ccm_check(const struct ssi_ccm_conn *c, const struct ssi_frame *f, const struct ssi_ccm_rule **ret, struct ssi_err *e)
{
	const struct ssi_ccm_rule *rule = ccm_rule(c->m, f->module, f->type);
	unsigned sender = c->outgoing ? (unsigned)SSI_FROM_MASTER : (unsigned)c->id.kind;

	if (!rule)
		return ssi_errf(e, -EPROTO, "message %u.%u is unknown here", f->module, f->type);
	if (!(rule->from & sender))
		return ssi_errf(e, -EPERM, "message %u.%u is not %s's to send", f->module, f->type, c->outgoing ? "the master" : c->id.who);
	if (f->size > rule->max_size)
		return ssi_errf(e, -EMSGSIZE, "message %u.%u of %u bytes, at most %u may come", f->module, f->type, f->size, rule->max_size);
	if (f->incarnation != c->id.incarnation)
		return ssi_errf(e, -ESTALE, "message %u.%u of incarnation %llu on a connection of %llu", f->module, f->type,
				(unsigned long long)f->incarnation, (unsigned long long)c->id.incarnation);
	/* A node does not know its number until its JOIN is answered: 0 stands for "not known yet". */
	if ((f->source && f->source != c->peer_node) || (f->destination && f->destination != c->self_node && !(c->outgoing && !c->self_node)))
		return ssi_errf(e, -EPROTO, "message %u.%u from node %u to node %u on a connection of %u and %u", f->module, f->type, f->source,
				f->destination, c->peer_node, c->self_node);
	*ret = rule;
	return 0;
}

void ccm_refused(struct ssi_ccm *m, struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, bool always)
{
	struct ssi_err e = *why;
	unsigned before;

	if (!m->ops->refused || !ssi_limit_pass(&m->refusals, ssi_clock_mono_ms(), CCM_REFUSED_WINDOW_MS, CCM_REFUSED_TOLD, always, &before))
		return;
	if (before)
		ssi_errf(&e, why->code, "%s (%u more were refused before)", why->text, before);
	m->ops->refused(peer, id, &e, m->userdata);
}

/* One more connection: within the limits, or at the cost of the oldest that has not said who it is. */
static void ccm_admit(struct ssi_ccm *m, int fd, struct in_addr peer)
{
	struct ssi_ccm_conn *c;
	struct ssi_err e;

	if (m->n_conns >= CCM_CONNS_MAX) {
		close(fd);
		ssi_errf(&e, -EMFILE, "%u connections are as many as are let in", m->n_conns);
		ccm_refused(m, peer, NULL, &e, false);
		return;
	}
	if (m->n_in[CONN_SILENT] >= CCM_SILENT_MAX) {
		ssi_errf(&e, -EMFILE, "%u connections that say nothing are as many as are let wait", m->n_in[CONN_SILENT]);
		conn_fail(TAILQ_FIRST(&m->in[CONN_SILENT]), &e);
	}
	if (conn_new(m, fd, false, peer, &c) >= 0)
		conn_start_server(c);
}

static int ccm_on_pause(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct ssi_ccm *m = userdata;

	return sd_event_source_set_enabled(m->listener, SD_EVENT_ON);
}

/* The listener rests: without descriptors, or room, it would be ready for ever. */
static void ccm_pause(struct ssi_ccm *m, unsigned ms)
{
	sd_event_source_set_enabled(m->listener, SD_EVENT_OFF);
	m->pause = sd_event_source_disable_unref(m->pause);
	if (sd_event_add_time_relative(m->event, &m->pause, CLOCK_MONOTONIC, ms * 1000ull, 1000, ccm_on_pause, m) < 0)
		sd_event_source_set_enabled(m->listener, SD_EVENT_ON);
}

/* As many as may say nothing are here, and the oldest of them has not had its time. */
static bool ccm_is_full(const struct ssi_ccm *m)
{
	return m->n_in[CONN_SILENT] >= CCM_SILENT_MAX && ssi_clock_mono_ms() - TAILQ_FIRST(&m->in[CONN_SILENT])->since < CCM_SILENT_MS;
}

static int ccm_on_accept(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct ssi_ccm *m = userdata;
	struct in_addr peer;

	for (int i = 0; i < CCM_ACCEPT_BURST; i++) {
		int c = ccm_is_full(m) ? -ENOBUFS : ssi_sock_accept(fd, &peer);

		if (c >= 0) {
			ccm_admit(m, c, peer);
			continue;
		}
		if (c == -ENOBUFS)
			ccm_pause(m, CCM_FULL_MS);
		else if (c == -EMFILE || c == -ENFILE || c == -ENOMEM)
			ccm_pause(m, CCM_PAUSE_MS);
		break;
	}
	return 0;
}

int ssi_ccm_listen(struct ssi_ccm *m, struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (m->fd >= 0)
		return ssi_errf(e, -EBUSY, "this endpoint listens already");
	fd = r = ssi_sock_listen(addr, port, e);
	if (r < 0)
		return r;
	r = sd_event_add_io(m->event, &m->listener, fd, EPOLLIN, ccm_on_accept, m);
	if (r < 0)
		return ssi_errno(e, r, "event loop");
	m->fd = TAKE_FD(fd);
	return 0;
}

uint16_t ssi_ccm_port(const struct ssi_ccm *m)
{
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);

	if (m->fd < 0 || getsockname(m->fd, (struct sockaddr *)&sa, &n) < 0)
		return 0;
	return ntohs(sa.sin_port);
}

int ssi_ccm_connect(struct ssi_ccm *m, struct in_addr addr, uint16_t port, const struct ssi_identity *id, const uint8_t key[SSI_CCM_KEY],
		    unsigned timeout_ms, struct ssi_ccm_conn **ret, struct ssi_err *e)
{
	struct ssi_ccm_conn *c;
	int fd, r;

	fd = ssi_sock_connect(addr, port, e);
	if (fd < 0)
		return fd;
	r = conn_new(m, fd, true, addr, &c);
	if (r < 0)
		return ssi_errno(e, r, "new connection");
	c->id = *id;
	c->port = port;
	r = conn_start_client(c, key, timeout_ms, e);
	if (r < 0) {
		conn_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
