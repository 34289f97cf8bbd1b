/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Both sides of membership, boot and rexec over real TLS on loopback, in one loop: a master of system demo, whose node n01 boots incarnation 7, and the
 * node's side, which joins with fx_join. The master goes and comes back; connections are cut from outside.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/hash.h"
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/station-internal.h"
#include "ssi/boot/master.h"
#include "ssi/boot/node.h"
#include "ssi/boot/text.h"
#include "ssi/membership/head.h"
#include "ssi/membership/node.h"
#include "ssi/rexec/head.h"
#include "ssi/rexec/node.h"

#define WAIT_MS 10000
#define TEST_S 300           /* heartbeats keep the loop awake: what is waited for there has no other bound */
#define TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MAC "52:54:00:00:00:01"

static const struct in_addr loopback = { 0x0100007f };
static const uint8_t node_key[SSI_CCM_KEY] = "0123456789abcdef0123456789abcde";

struct fixture {
	sd_event *event;
	/* master */
	struct ssi_ccm *master;
	struct ssi_head *head;
	struct ssi_rexec *rexec;
	struct ssi_boot_master boot;
	uint16_t port;
	uint64_t incarnation;        /* of the master's lives: each has the next one */
	bool token_used;
	int changes, intrusions, stages, failures, exits, slow;
	enum ssi_nodestate state;
	bool rejoined;
	struct ssi_rexec_exit exit;
	struct ssi_buf out, err;
	char failure[128];
	/* node */
	struct ssi_ccm *node;
	struct ssi_member *member;
	struct ssi_rexec_node *runner;
	int joined, lost, over, orders, views;
	uint64_t view_nodes, view_cpus;
	uint32_t cpus, cpus_told;
};

/* --- the master --- */

static inline int ma_key(const struct ssi_identity *id, struct in_addr peer, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	struct fixture *x = userdata;

	*ret_node = id->kind == SSI_IDENTITY_BOOT ? SSI_CCM_BOOTING + 1 : 1;
	if (id->kind == SSI_IDENTITY_BOOT) {
		ssi_hash_unhex(TOKEN, ret, SSI_CCM_KEY);
		return strcmp(id->who, MAC) ? -ENOENT : x->token_used;
	}
	memcpy(ret, node_key, SSI_CCM_KEY);
	return strcmp(id->who, "n01") ? -ENOENT : 0;
}

static inline void ma_opened(struct ssi_ccm_conn *c, void *userdata)
{
}

static inline void ma_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	ssi_rexec_closed(x->rexec, c, why);
	ssi_head_closed(x->head, c);
}

static inline void ma_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->intrusions += why->code == -EKEYREVOKED;
}

static inline int ma_token(struct ssi_ccm_conn *c, const char *mac, uint64_t incarnation, struct ssi_boot_keys *ret, struct ssi_err *e, void *userdata)
{
	struct fixture *x = userdata;

	assert_string_equal(mac, MAC);
	assert_int_equal(incarnation, 7);
	x->token_used = true;
	memcpy(ret->key, node_key, SSI_CCM_KEY);
	memset(ret->identity, 9, sizeof(ret->identity));
	return 0;
}

static inline void ma_stage(struct ssi_ccm_conn *c, const struct ssi_boot_stage *s, void *userdata)
{
	((struct fixture *)userdata)->stages++;
	assert_string_equal(s->name, "root");
}

static inline void ma_failed(struct ssi_ccm_conn *c, const char *stage, const char *text, const char *next, uint32_t delay_s, void *userdata)
{
	struct fixture *x = userdata;

	snprintf(x->failure, sizeof(x->failure), "%s: %s; %s; %u", stage, text, next, delay_s);
	x->failures++;
}

static inline void ma_event(struct ssi_ccm_conn *c, const char *kind, const char *text, void *userdata)
{
}

static inline void ma_changed(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join, void *userdata)
{
	struct fixture *x = userdata;

	x->changes++;
	x->state = n->state;
	x->rejoined = join && join->rejoin;
}

static inline void ma_head_refused(struct ssi_ccm_conn *c, const char *text, void *userdata)
{
}

static inline void ma_drained(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_rexec_drained(((struct fixture *)userdata)->rexec, c);
}

static const struct ssi_ccm_ops ma_ccm_ops = { .key = ma_key, .opened = ma_opened, .closed = ma_closed, .refused = ma_refused, .drained = ma_drained };
static const struct ssi_boot_ops ma_boot_ops = { .token = ma_token, .stage = ma_stage, .failed = ma_failed, .node_event = ma_event };
static const struct ssi_head_ops ma_head_ops = { .changed = ma_changed, .refused = ma_head_refused };

static inline void ma_start(struct fixture *x)
{
	x->boot = (struct ssi_boot_master){ &ma_boot_ops, x };
	assert_int_equal(ssi_ccm_new(x->event, &ma_ccm_ops, x, &x->master), 0);
	assert_int_equal(ssi_boot_master(x->master, &x->boot), 0);
	assert_int_equal(ssi_head_new(x->event, x->master, &ma_head_ops, x, &x->head), 0);
	assert_int_equal(ssi_rexec_new(x->master, &x->rexec), 0);
	assert_int_equal(ssi_head_set_system(x->head, "demo", 50, 1000, 1), 0);
	assert_int_equal(ssi_head_set_node(x->head, "n01", "demo", 1, loopback, NULL), 0);
	assert_int_equal(ssi_ccm_listen(x->master, ++x->incarnation, loopback, x->port, NULL), 0);
	x->port = ssi_ccm_port(x->master);
}

static inline void ma_stop(struct fixture *x)
{
	ssi_rexec_free(x->rexec);
	ssi_head_free(x->head);
	ssi_ccm_free(x->master);
	x->rexec = NULL;
	x->head = NULL;
	x->master = NULL;
}

/* The connection of its session with this peer is cut, as by the network. */
static inline void fx_cut(struct ssi_ccm *m, uint32_t peer)
{
	struct station_peer *p = station_peer_find(m->station, peer);

	if (p && p->conn)
		shutdown(p->conn->fd, SHUT_RDWR);
}

/* As by a power cut: nobody is told. */
static inline void ma_crash(struct fixture *x)
{
	fx_cut(x->master, 1);
	ma_stop(x);
}

/* --- the node --- */

static inline void no_inventory(struct ssi_inventory *ret, void *userdata)
{
	struct fixture *x = userdata;

	ret->cpus = x->cpus_told = x->cpus;
	ret->memory = 4096;
	ret->n_nics = 1;
	strcpy(ret->nics[0].mac, MAC);
	strcpy(ret->nics[0].name, "eth0");
}

static inline size_t no_stages(struct ssi_boot_stage *ret, size_t max, void *userdata)
{
	ret[0] = (struct ssi_boot_stage){ "root", 1, 2, 1 };
	return 1;
}

static inline bool no_vitals(double *ret_load, uint64_t *ret_mem_free, void *userdata)
{
	struct fixture *x = userdata;
	bool changed = x->cpus != x->cpus_told;

	*ret_load = 1.5;
	*ret_mem_free = 77;
	return changed;
}

static inline void no_joined(bool again, void *userdata)
{
	((struct fixture *)userdata)->joined++;
}

static inline void no_lost(const struct ssi_err *why, void *userdata)
{
	((struct fixture *)userdata)->lost++;
}

static inline void no_view(const struct ssi_view *v, void *userdata)
{
	struct fixture *x = userdata;

	x->views++;
	x->view_nodes = v->n;
	x->view_cpus = v->cpus;
}

static inline void no_order(enum ssi_member_order what, const char *reason, void *userdata)
{
	((struct fixture *)userdata)->orders++;
}

static inline void no_over(const char *why, void *userdata)
{
	((struct fixture *)userdata)->over++;
}

static const struct ssi_member_ops no_member_ops = { .inventory = no_inventory, .stages = no_stages, .vitals = no_vitals, .joined = no_joined,
	.lost = no_lost, .view = no_view, .order = no_order, .over = no_over };

static inline void no_opened(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_member_opened(((struct fixture *)userdata)->member, c);
}

static inline void no_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	ssi_rexec_node_closed(x->runner, c);
	ssi_member_closed(x->member, c, why);
}

static inline void no_drained(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_rexec_node_drained(((struct fixture *)userdata)->runner, c);
}

static const struct ssi_ccm_ops no_ccm_ops = { .opened = no_opened, .closed = no_closed, .drained = no_drained };

static inline void no_start(struct fixture *x)
{
	struct ssi_member_config config = { .master = loopback, .port = x->port, .node = "n01", .number = 1, .incarnation = 7 };

	memcpy(config.key, node_key, sizeof(config.key));
	assert_int_equal(ssi_ccm_new(x->event, &no_ccm_ops, x, &x->node), 0);
	assert_int_equal(ssi_rexec_node_new(x->event, x->node, &x->runner), 0);
	assert_int_equal(ssi_member_new(x->event, x->node, &config, &no_member_ops, x, &x->member), 0);
	assert_int_equal(ssi_member_start(x->member, false), 0);
}

static inline int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_non_null(x);
	alarm(TEST_S);
	assert_int_equal(sd_event_new(&x->event), 0);
	x->cpus = x->cpus_told = 3;
	ma_start(x);
	assert_int_equal(ssi_head_boot(x->head, "n01", 7), 0);
	*state = x;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_rexec_node_free(x->runner);
	ssi_member_free(x->member);
	ssi_ccm_free(x->node);
	ma_stop(x);
	sd_event_unref(x->event);
	ssi_buf_free(&x->out);
	ssi_buf_free(&x->err);
	free(x);
	return 0;
}

static inline int fx_late(sd_event_source *s, uint64_t usec, void *userdata)
{
	*(bool *)userdata = true;
	return 0;
}

static inline void fx_until(struct fixture *x, const int *what, int n)
{
	sd_event_source *timer = NULL;
	bool late = false;

	sd_event_add_time_relative(x->event, &timer, CLOCK_MONOTONIC, WAIT_MS * 1000, 1, fx_late, &late);
	while (*what < n && !late)
		assert_true(sd_event_run(x->event, UINT64_MAX) >= 0);
	sd_event_source_disable_unref(timer);
	assert_false(*what < n);
}

static inline void fx_join(struct fixture *x)
{
	no_start(x);
	fx_until(x, &x->joined, 1);
	fx_until(x, &x->views, 1);
}
