/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the loop's face of ccm: a station's peers as sessions with handlers and data of their own. Called by the daemon and the agent. One thread, one
 * loop: a handler that takes long makes every session wait. closed() and the end of a session's memory come from the loop alone, so a handler may
 * close what it is called on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/station-internal.h"

#define CCM_CLOSE_MS 1000            /* for the last words */
#define CCM_BURY 64                  /* sessions whose end is told before the loop does something else */
/* A sign of life where nothing else is said. Who is dead is judged by who uses this: these only break connections that are half open. */
#define CCM_HEARTBEAT_MS 2500
#define CCM_DEAD_NODE_MS 60000
#define CCM_DEAD_MASTER_MS 12000
/* A node's acknowledgements go with its heartbeats, the master's with whatever it says. */
#define CCM_ACK_NODE_MS 700
#define CCM_ACK_MASTER_MS 100

static const struct ssi_err no_memory = { .code = -ENOMEM, .text = "no memory to say why" };

/* --- sessions --- */

static int conn_new(struct ssi_ccm *m, uint32_t node, enum conn_state state, struct ssi_ccm_conn **ret)
{
	struct ssi_ccm_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->m = m;
	c->node = node;
	c->state = state;
	TAILQ_INSERT_TAIL(&m->conns, c, link);
	*ret = c;
	return 0;
}

static void conn_free(struct ssi_ccm_conn *c)
{
	TAILQ_REMOVE(c->state == CONN_DEAD ? &c->m->dead : &c->m->conns, c, link);
	if (c->told)
		ssi_buf_free(c->told);
	free(c->told);
	free(c->why);
	free(c);
}

static void conn_because(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	if (c->why)
		return;
	c->why = malloc(sizeof(*c->why));
	if (c->why)
		*c->why = *why;
}

/* Its end: nothing is heard or said on it any more, and closed() follows. */
static void conn_end(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	struct ssi_ccm *m = c->m;

	if (c->state == CONN_DEAD)
		return;
	conn_because(c, why);
	TAILQ_REMOVE(&m->conns, c, link);
	c->state = CONN_DEAD;
	TAILQ_INSERT_TAIL(&m->dead, c, link);
	if (!c->loose)
		ssi_ccm_set_userdata_of(m->station, c->node, NULL);
	sd_event_source_set_enabled(m->end, SD_EVENT_ONESHOT);
}

/* --- what the station tells --- */

static void ccm_up(struct ssi_ccm *m, uint32_t node)
{
	const struct ssi_identity *id = ssi_ccm_identity_of(m->station, node);
	struct ssi_ccm_conn *c = ssi_ccm_userdata_of(m->station, node);

	if (!c && !m->door)
		return;                      /* somebody's, soon: see ssi_ccm_connect */
	if (!c && conn_new(m, node, CONN_OPEN, &c) < 0) {
		ssi_ccm_part(m->station, node);
		return;
	}
	if (m->door && id)
		c->id = *id;
	c->state = CONN_OPEN;
	c->ready = false;
	ssi_ccm_set_userdata_of(m->station, node, c);
	m->ops->opened(c, m->userdata);
}

/* What was begun for a session that was there already. */
static void ccm_ready(struct ssi_ccm *m)
{
	struct ssi_ccm_conn *c, *next;

	if (!m->ready)
		return;
	m->ready = false;
	for (c = TAILQ_FIRST(&m->conns); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->ready && c->state == CONN_CONNECTING)
			ccm_up(m, c->node);
	}
}

static int ccm_on_end(sd_event_source *s, void *userdata)
{
	struct ssi_ccm *m = userdata;
	struct ssi_ccm_conn *c;

	ccm_ready(m);

	/* Not all: a user who connects anew at once, in vain, must not keep us here. */
	for (unsigned n = 0; n < CCM_BURY && (c = TAILQ_FIRST(&m->dead)); n++) {
		m->ops->closed(c, c->why ? c->why : &no_memory, m->userdata);
		conn_free(c);
	}
	if (!TAILQ_EMPTY(&m->dead))
		sd_event_source_set_enabled(m->end, SD_EVENT_ONESHOT);
	return 0;
}

static void ccm_on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	struct ssi_ccm *m = userdata;
	struct ssi_ccm_conn *c = ssi_ccm_userdata_of(m->station, node);

	if (state == SSI_CCM_UP)
		ccm_up(m, node);
	else if (state == SSI_CCM_GONE && (!c || c->state != CONN_CONNECTING)) {
		/* Where the other end has begun another one, it is for who began this one to take up; else nothing is begun before somebody asks for it. */
		if (!m->door && !ssi_ccm_is_up(m->station, node))
			ssi_ccm_part(m->station, node);
		if (c)
			conn_end(c, ssi_ccm_why(m->station, node));
	} else if (state == SSI_CCM_GONE)
		c->ready = false;            /* what it was to take up; it waits for the next */
}

/* A try to connect came to nothing. The station would try again; when, is for who began the session to say, until there is one. */
static void ccm_on_failed(uint32_t node, const struct ssi_err *why, void *userdata)
{
	struct ssi_ccm *m = userdata;
	struct ssi_ccm_conn *c = ssi_ccm_userdata_of(m->station, node);

	/* That a key's time is over says who has it. All else, a refusal too, may be a stranger's word, or a bit that was flipped on the way. */
	if (c && c->state == CONN_OPEN && why->code != -EKEYREVOKED)
		return;
	ssi_ccm_part(m->station, node);
	if (c)
		conn_end(c, why);
}

static void ccm_on_drained(uint32_t node, uint16_t module, void *userdata)
{
	struct ssi_ccm *m = userdata;
	struct ssi_ccm_conn *c = ssi_ccm_userdata_of(m->station, node);

	if (!c || c->state != CONN_OPEN || !c->starved)
		return;
	c->starved = false;
	if (m->ops->drained)
		m->ops->drained(c, m->userdata);
}

static void ccm_on_refused(struct in_addr peer, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct ssi_ccm *m = userdata;

	if (m->ops->refused)
		m->ops->refused(peer, id, why, m->userdata);
}

static int ccm_on_identify(const struct ssi_identity *id, struct in_addr from, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	struct ssi_ccm *m = userdata;

	return m->ops->key(id, from, ret_node, ret, m->userdata);
}

static void ccm_on_hold(void *userdata)
{
	struct ssi_ccm *m = userdata;

	if (m->ops->hold)
		m->ops->hold(m->userdata);
}

static int ccm_on_settle(struct ssi_err *e, void *userdata)
{
	struct ssi_ccm *m = userdata;

	return m->ops->settle(e, m->userdata);
}

/* --- rules --- */

static const struct ssi_ccm_rule *ccm_rule(const struct ssi_ccm *m, uint16_t module, uint16_t type)
{
	for (size_t i = 0; i < m->n_rules; i++)
		if (m->rules[i].module == module && m->rules[i].type == type)
			return &m->rules[i];
	return NULL;
}

int ssi_ccm_register(struct ssi_ccm *m, const struct ssi_ccm_rule *rules, size_t n)
{
	if (m->station)
		return -EBUSY;
	for (size_t i = 0; i < n; i++) {
		if (ccm_rule(m, rules[i].module, rules[i].type))
			return -EEXIST;
		if (m->n_rules == CCM_RULES_MAX || rules[i].max_size > SSI_CCM_BODY_MAX)
			return -E2BIG;
		m->rules[m->n_rules++] = rules[i];
	}
	return 0;
}

static int ccm_handle(struct ssi_ccm_conn *c, const struct ssi_ccm_rule *rule, const struct ssi_ccm_head *f, const uint8_t *body, struct ssi_err *e)
{
	int r = rule->handle(c, f, body, rule->userdata);

	return r < 0 ? ssi_errno(e, r, "message %u.%u", f->module, f->type) : 0;
}

static void ccm_on_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	struct ssi_ccm *m = userdata;
	struct ssi_ccm_conn *c = ssi_ccm_userdata_of(s, call->node);
	struct ssi_err e;

	if (!c || c->state != CONN_OPEN || ccm_handle(c, ccm_rule(m, call->module, call->type), call, body, &e) >= 0)
		return;
	ssi_ccm_refuse(s, call->node, &e);
	conn_end(c, &e);
}

/* Who may send it, as numbers. */
static size_t ccm_permits(const struct ssi_ccm_rule *rule, struct ssi_ccm_permit *ret)
{
	static const struct { unsigned from; uint32_t first, last; } who[] = {
		{ SSI_FROM_NODE, 1, SSI_CCM_NODES_MAX },
		{ SSI_FROM_BOOT, SSI_CCM_BOOTING + 1, SSI_CCM_BOOTING + SSI_CCM_NODES_MAX },
		{ SSI_FROM_MASTER, SSI_CCM_MASTER, SSI_CCM_MASTER },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++)
		if (rule->from & who[i].from)
			ret[n++] = (struct ssi_ccm_permit){ rule->module, rule->type, rule->max_size, who[i].first, who[i].last };
	return n;
}

static int ccm_station(struct ssi_ccm *m, struct ssi_ccm_station_config *config, struct ssi_err *e)
{
	struct ssi_ccm_permit permits[3];
	int r;

	m->station_ops = (struct ssi_ccm_station_ops){
		.state = ccm_on_state, .drained = ccm_on_drained, .refused = ccm_on_refused, .failed = ccm_on_failed,
		.identify = m->ops->key ? ccm_on_identify : NULL, .hold = ccm_on_hold, .settle = m->ops->settle ? ccm_on_settle : NULL,
	};
	config->ops = &m->station_ops;
	config->userdata = m;
	config->event = m->event;
	config->heartbeat_ms = CCM_HEARTBEAT_MS;
	config->loop_only = true;
	r = ssi_ccm_station_new(config, &m->station, e);
	for (size_t i = 0; i < m->n_rules && r >= 0; i++) {
		r = ssi_ccm_permit(m->station, permits, ccm_permits(&m->rules[i], permits));
		if (r >= 0)
			r = ssi_ccm_regist(m->station, m->rules[i].module, m->rules[i].type, ccm_on_call, m);
		if (r < 0)
			ssi_errno(e, r, "message %u.%u", m->rules[i].module, m->rules[i].type);
	}
	if (r < 0) {
		ssi_ccm_station_free(m->station);
		m->station = NULL;
	}
	return r;
}

/* --- endpoints --- */

int ssi_ccm_new(sd_event *event, const struct ssi_ccm_ops *ops, void *userdata, struct ssi_ccm **ret)
{
	struct ssi_ccm *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->event = sd_event_ref(event);
	m->ops = ops;
	m->userdata = userdata;
	TAILQ_INIT(&m->conns);
	TAILQ_INIT(&m->dead);
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
	ssi_ccm_station_free(m->station);
	while ((c = TAILQ_FIRST(&m->conns)) || (c = TAILQ_FIRST(&m->dead)))
		conn_free(c);
	sd_event_source_disable_unref(m->end);
	sd_event_unref(m->event);
	free(m);
}

int ssi_ccm_listen(struct ssi_ccm *m, uint64_t incarnation, struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	struct ssi_ccm_station_config config = {
		.number = SSI_CCM_MASTER, .incarnation = incarnation, .address = addr, .port = port, .dead_ms = CCM_DEAD_NODE_MS,
		.ack_ms = CCM_ACK_MASTER_MS, .max_peers = UINT32_MAX,
	};
	int r;

	if (m->station)
		return ssi_errf(e, -EBUSY, "this endpoint has a door already, or sessions");
	r = ccm_station(m, &config, e);
	if (r < 0)
		return r;
	m->door = true;
	return ssi_ccm_listen_to(m->station, SSI_CCM_ANY_NODE, NULL);
}

uint16_t ssi_ccm_port(const struct ssi_ccm *m)
{
	return m->door ? ssi_ccm_station_port(m->station) : 0;
}

/* Would it be begun as this one was? */
static bool ccm_is_as(const struct station_peer *p, const struct ssi_ccm_as *as, struct in_addr addr, uint16_t port, const uint8_t key[SSI_CCM_KEY])
{
	return p->self_next->incarnation == as->incarnation && !strncmp(p->self_next->who, as->who, sizeof(as->who)) && p->addr.s_addr == addr.s_addr &&
	       p->port == port && !memcmp(p->key, key, SSI_CCM_KEY);
}

int ssi_ccm_connect(struct ssi_ccm *m, struct in_addr addr, uint16_t port, const struct ssi_ccm_as *as, const uint8_t key[SSI_CCM_KEY],
		    unsigned timeout_ms, struct ssi_ccm_conn **ret, struct ssi_err *e)
{
	struct ssi_ccm_station_config config = {
		.number = 0, .incarnation = 1, .dead_ms = CCM_DEAD_MASTER_MS, .connect_ms = timeout_ms, .ack_ms = CCM_ACK_NODE_MS, .connects_only = true,
	};
	struct ssi_ccm_conn *c;
	int r = m->station ? 0 : ccm_station(m, &config, e);

	if (r < 0)
		return r;
	r = conn_new(m, as->number, CONN_CONNECTING, &c);
	if (r < 0)
		return ssi_errno(e, r, "session");
	c->id = (struct ssi_identity){ .kind = SSI_IDENTITY_NODE, .incarnation = as->incarnation };
	memcpy(c->id.who, as->who, sizeof(c->id.who));
	r = ssi_ccm_connect_as(m->station, as->number, as, SSI_CCM_MASTER, addr, port, key);
	if (r == -EEXIST && !ssi_ccm_userdata_of(m->station, c->node)) {
		/* The session ended because the other end had begun another one: that is the one, if it is by the same right. */
		if (ccm_is_as(station_peer_find(m->station, c->node), as, addr, port, key)) {
			c->ready = ssi_ccm_is_up(m->station, c->node);
			m->ready = m->ready || c->ready;
			sd_event_source_set_enabled(m->end, SD_EVENT_ONESHOT);
			r = 0;
		} else {
			ssi_ccm_part(m->station, c->node);
			r = ssi_ccm_connect_as(m->station, as->number, as, SSI_CCM_MASTER, addr, port, key);
		}
	}
	if (r < 0) {
		conn_free(c);
		return ssi_errno(e, r, "session of node %u", as->number);
	}
	ssi_ccm_set_userdata_of(m->station, c->node, c);
	*ret = c;
	return 0;
}

/* --- talking --- */

/* As the loop's face says it. */
static int conn_sent(struct ssi_ccm_conn *c, int r)
{
	if (r == -EAGAIN)
		c->starved = true;
	return r == -EHOSTDOWN || r == -ENOENT || r == -ESHUTDOWN ? -ENOTCONN : r;
}

static struct ssi_ccm_head conn_head(const struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence)
{
	return (struct ssi_ccm_head){ .node = c->node, .module = module, .type = type, .sequence = sequence };
}

/* Told to who is not there: kept for the test that plays the other end. */
static int conn_tell(struct ssi_ccm_conn *c, struct ssi_ccm_head f, const void *head, size_t n, const void *body, size_t len)
{
	f.size = (uint32_t)(n + len);
	if (ssi_buf_add(c->told, &f, sizeof(f)) < 0 || ssi_buf_add(c->told, head, n) < 0 || ssi_buf_add(c->told, body, len) < 0)
		return -ENOMEM;
	return 0;
}

int ssi_ccm_send(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len)
{
	const struct ssi_ccm_head to = conn_head(c, module, type, sequence);
	const struct iovec iov = { (void *)body, len };

	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (c->loose)
		return conn_tell(c, to, "", 0, body, len);
	return conn_sent(c, station_send_any(c->m->station, &to, KIND_SHORT, &iov, 1, SSI_CCM_NOWAIT, 0, false));
}

int ssi_ccm_send_shared(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence, const void *head, size_t n, struct ssi_ccm_body *b)
{
	const struct ssi_ccm_head to = conn_head(c, module, type, sequence);

	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (c->loose)
		return conn_tell(c, to, head, n, b->data, b->len);
	return conn_sent(c, ssi_ccm_rcall_shared(c->m->station, &to, head, n, b, SSI_CCM_NOWAIT, 0));
}

int ssi_ccm_send_news(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, const void *body, size_t len)
{
	const struct ssi_ccm_head to = conn_head(c, module, type, 0);
	int r;

	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (c->loose)
		return conn_tell(c, to, "", 0, body, len);
	r = ssi_ccm_news(c->m->station, &to, body, len);
	return r == -EHOSTDOWN || r == -ENOENT ? -ENOTCONN : r;
}

void ssi_ccm_close(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	static const struct ssi_err plain = { .code = -ECANCELED, .text = "closed by this end" };

	if (c->state >= CONN_CLOSING)
		return;
	if (c->state == CONN_CONNECTING || c->loose) {
		ssi_ccm_abort(c, why ? why : &plain);
		return;
	}
	conn_because(c, why ? why : &plain);
	c->state = CONN_CLOSING;
	ssi_ccm_part_after(c->m->station, c->node, CCM_CLOSE_MS);
}

void ssi_ccm_abort(struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	if (c->state == CONN_DEAD)
		return;
	if (!c->loose)
		ssi_ccm_part(c->m->station, c->node);
	conn_end(c, why);
}

const struct ssi_identity *ssi_ccm_identity(const struct ssi_ccm_conn *c)
{
	return &c->id;
}

struct in_addr ssi_ccm_address(const struct ssi_ccm_conn *c)
{
	return c->loose ? (struct in_addr){ 0 } : ssi_ccm_address_of(c->m->station, c->node);
}

uint32_t ssi_ccm_node(const struct ssi_ccm_conn *c)
{
	return c->node;
}

bool ssi_ccm_waiting(const struct ssi_ccm_conn *c)
{
	return c->state == CONN_OPEN && !c->loose && ssi_ccm_unread(c->m->station, c->node);
}

void ssi_ccm_set_userdata(struct ssi_ccm_conn *c, void *p)
{
	c->userdata = p;
}

void *ssi_ccm_get_userdata(const struct ssi_ccm_conn *c)
{
	return c->userdata;
}

/* --- for tests --- */

int ccm_conn_loose(struct ssi_ccm *m, const struct ssi_identity *id, struct ssi_ccm_conn **ret)
{
	struct ssi_buf *told = calloc(1, sizeof(*told));
	int r = told ? conn_new(m, 0, CONN_OPEN, ret) : -ENOMEM;

	if (r < 0) {
		free(told);
		return r;
	}
	(*ret)->told = told;
	(*ret)->loose = true;
	(*ret)->id = *id;
	return 0;
}

int ccm_conn_hear(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, struct ssi_err *e)
{
	const struct ssi_ccm_rule *rule = ccm_rule(c->m, f->module, f->type);
	int r;

	if (!rule || !(rule->from & (unsigned)c->id.kind))
		return ssi_errf(e, -EPERM, "message %u.%u is not %s's to send", f->module, f->type, c->id.who);
	if (f->size > rule->max_size)
		return ssi_errf(e, -EMSGSIZE, "message %u.%u of %u bytes, at most %u may come", f->module, f->type, f->size, rule->max_size);
	r = ccm_handle(c, rule, f, body, e);
	return r < 0 ? r : c->state == CONN_OPEN ? 0 : ssi_errf(e, -ECANCELED, "closed");
}
