/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The membership engine with a clock of our own and connections that go nowhere: what it is told goes in as frames, as from the wire,
 * and what it says is read from the connections' queues. A system demo of view 41, with nodes n01 to n03 booting incarnation 7.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/comm/ccm-internal.h"
#include "ssi/membership/head-internal.h"
#include "ssi/membership/membership.pb-c.h"

#define GIB (1ull << 30)

struct fixture {
	sd_event *event;
	struct ssi_ccm *ccm;
	struct ssi_head *head;
	uint64_t now, link_ups;
	int changes, refusals, closed;
	struct { char name[64]; enum ssi_nodestate before, after; enum ssi_nodeevent ev; bool rejoin; size_t stages; char reason[128]; } last;
	char refusal[256];
};

static inline uint64_t fx_clock(void *userdata)
{
	return ((struct fixture *)userdata)->now;
}

static inline uint64_t fx_link_ups(const char *system, void *userdata)
{
	return ((struct fixture *)userdata)->link_ups;
}

static inline void fx_changed(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join, void *userdata)
{
	struct fixture *x = userdata;

	x->changes++;
	snprintf(x->last.name, sizeof(x->last.name), "%s", n->name);
	snprintf(x->last.reason, sizeof(x->last.reason), "%s", n->reason);
	x->last.before = before;
	x->last.after = n->state;
	x->last.ev = ev;
	x->last.rejoin = join && join->rejoin;
	x->last.stages = join ? join->n_stages : 0;
}

static inline void fx_refused(struct ssi_ccm_conn *c, const char *text, void *userdata)
{
	struct fixture *x = userdata;

	x->refusals++;
	snprintf(x->refusal, sizeof(x->refusal), "%s", text);
}

static inline void fx_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->closed++;
	ssi_head_closed(x->head, c);
}

static const struct ssi_head_ops head_ops = { .mono = fx_clock, .wall = fx_clock, .link_ups = fx_link_ups, .changed = fx_changed, .refused = fx_refused };
static const struct ssi_ccm_ops ccm_ops = { .closed = fx_closed };

static inline int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct in_addr a = { 0 };
	char name[8];

	assert_non_null(x);
	x->now = 1000000;
	assert_int_equal(sd_event_new(&x->event), 0);
	assert_int_equal(ssi_ccm_new(x->event, &ccm_ops, x, &x->ccm), 0);
	assert_int_equal(ssi_head_new(x->event, x->ccm, &head_ops, x, &x->head), 0);
	assert_int_equal(ssi_head_set_system(x->head, "demo", 500, 3000, 41), 0);
	assert_int_equal(ssi_head_set_node(x->head, "n01", "nowhere", 1, a, NULL), -ENOENT);
	for (uint32_t i = 1; i <= 3; i++) {
		snprintf(name, sizeof(name), "n%02u", i);
		assert_int_equal(ssi_head_set_node(x->head, name, "demo", i, a, NULL), 0);
		assert_int_equal(ssi_head_boot(x->head, name, 7), 0);
	}
	*state = x;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_head_free(x->head);
	ssi_ccm_free(x->ccm);
	sd_event_unref(x->event);
	free(x);
	return 0;
}

static inline struct ssi_ccm_conn *fx_conn(struct fixture *x, const char *name, uint64_t incarnation)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = incarnation };
	struct ssi_ccm_conn *c;

	snprintf(id.who, sizeof(id.who), "%s", name);
	assert_int_equal(ccm_conn_loose(x->ccm, &id, &c), 0);
	return c;
}

static inline int fx_say(struct ssi_ccm_conn *c, uint16_t type, const ProtobufCMessage *m)
{
	struct ssi_ccm_head f = { .module = SSI_MOD_MEMBERSHIP, .type = type };
	uint8_t buf[4096];
	struct ssi_err e;

	f.size = (uint32_t)protobuf_c_message_pack(m, buf);
	return ccm_conn_hear(c, &f, buf, &e);
}

static inline int fx_say_join(struct ssi_ccm_conn *c, const char *name, uint64_t incarnation, bool rejoin)
{
	Ssi__Membership__Inventory inv = SSI__MEMBERSHIP__INVENTORY__INIT;
	Ssi__Membership__Join m = SSI__MEMBERSHIP__JOIN__INIT;
	Ssi__Boot__Stage stage = SSI__BOOT__STAGE__INIT, *stages[] = { &stage };

	inv.cpus = 2;
	inv.memory = GIB;
	stage.name = (char *)"root";
	m.stages = stages;
	m.n_stages = 1;
	m.node = (char *)name;
	m.incarnation = incarnation;
	m.inventory = &inv;
	m.rejoin = rejoin;
	return fx_say(c, SSI_MEMBER_JOIN, &m.base);
}

static inline int fx_beat(struct ssi_ccm_conn *c)
{
	Ssi__Membership__Heartbeat m = SSI__MEMBERSHIP__HEARTBEAT__INIT;

	m.load = 0.5;
	return fx_say(c, SSI_MEMBER_HEARTBEAT, &m.base);
}

/* The next frame in c's queue, taken out of it; its body is valid until the next call. */
static const uint8_t *fx_heard(struct ssi_ccm_conn *c, struct ssi_ccm_head *ret)
{
	static uint8_t body[1 << 16];

	assert_true(c->told->len >= sizeof(*ret));
	memcpy(ret, c->told->data, sizeof(*ret));
	assert_true(ret->size <= sizeof(body));
	memcpy(body, c->told->data + sizeof(*ret), ret->size);
	ssi_buf_consume(c->told, sizeof(*ret) + ret->size);
	return body;
}

/* Nothing was said to it that was not heard. */
static inline bool fx_silent(const struct ssi_ccm_conn *c)
{
	return !c->told->len;
}

static inline Ssi__Membership__JoinReply *fx_heard_reply(struct ssi_ccm_conn *c)
{
	struct ssi_ccm_head f;
	const uint8_t *body = fx_heard(c, &f);
	Ssi__Membership__JoinReply *m;

	assert_int_equal(f.type, SSI_MEMBER_JOIN_REPLY);
	m = ssi__membership__join_reply__unpack(NULL, f.size, body);
	assert_non_null(m);
	return m;
}

static inline struct ssi_ccm_conn *fx_join(struct fixture *x, const char *name)
{
	struct ssi_ccm_conn *c = fx_conn(x, name, 7);
	Ssi__Membership__JoinReply *m;

	assert_int_equal(fx_say_join(c, name, 7, false), 0);
	m = fx_heard_reply(c);
	assert_true(m->accepted);
	ssi__membership__join_reply__free_unpacked(m, NULL);
	return c;
}

static inline enum ssi_nodestate fx_state(struct fixture *x, const char *name)
{
	return ssi_head_node(x->head, name)->state;
}

/* Time goes by in steps as the timer would see them. */
static inline void fx_pass(struct fixture *x, uint64_t ms)
{
	for (uint64_t end = x->now + ms; x->now < end;) {
		x->now += end - x->now < 100 ? end - x->now : 100;
		head_tick(x->head);
	}
}

/* Until closed() of everything that was closed has come. */
static inline void fx_settle(struct fixture *x)
{
	while (sd_event_run(x->event, 0) > 0)
		;
}

/* Everyone is told what changed. */
static inline void fx_tell(struct fixture *x)
{
	head_view_tell(x->head, TAILQ_FIRST(&x->head->systems));
}

/* The next frame in c's queue is a view; to be freed. */
static inline Ssi__Membership__View *fx_heard_view(struct ssi_ccm_conn *c)
{
	struct ssi_ccm_head f;
	const uint8_t *body = fx_heard(c, &f);
	Ssi__Membership__View *v;

	assert_int_equal(f.type, SSI_MEMBER_VIEW);
	v = ssi__membership__view__unpack(NULL, f.size, body);
	assert_non_null(v);
	return v;
}
