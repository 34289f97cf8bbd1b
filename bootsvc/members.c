/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's half of what libssi/comm/ccm, ssi/boot and ssi/membership leave to it. Called by them, and by boot.c and reload.c.
 * Times of a boot are turned from the node's clock into milliseconds since GET /boot; across a slow network they are late by its delay.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/crash.h"
#include "bootsvc/events.h"
#include "bootsvc/fence.h"
#include "bootsvc/failover.h"
#include "bootsvc/images.h"
#include "bootsvc/inventory.h"
#include "bootsvc/loads.h"
#include "bootsvc/jobs.h"
#include "bootsvc/members.h"
#include "bootsvc/patience.h"
#include "bootsvc/processes.h"
#include "bootsvc/targets.h"
#include "bootsvc/volumes.h"
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi/boot/master.h"

/* Keys. */

static int boot_key(struct daemon *d, const struct ssi_identity *id, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY])
{
	const struct ssi_head_node *n;
	struct state_boot b, newest;

	if (state_boot_by_mac(d->state, id->who, id->incarnation, &b, NULL) < 0)
		return -ENOENT;
	n = ssi_head_node(d->head, b.node);
	if (!n)
		return -ENOENT;
	*ret_node = SSI_CCM_BOOTING + n->number;
	memcpy(ret, b.token, SSI_CCM_KEY);
	if (b.used && !b.over)
		return 1;                    /* an intrusion, and after it the boot is over */
	return b.over || state_boot_newest(d->state, b.node, &newest, NULL) < 0 || newest.incarnation != b.incarnation ? 2 : 0;
}

static int node_key(struct daemon *d, const struct ssi_identity *id, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY])
{
	const struct ssi_head_node *n = ssi_head_node(d->head, id->who);
	struct state_boot b;

	if (state_boot_get(d->state, id->who, id->incarnation, &b, NULL) < 0 || !b.used)
		return -ENOENT;
	memcpy(ret, b.key, SSI_CCM_KEY);
	*ret_node = n ? n->number : SSI_CCM_ANY_NODE;
	return b.over || !n || n->incarnation != b.incarnation ? 2 : 0;
}

static int on_key(const struct ssi_identity *id, struct in_addr peer, uint32_t *ret_node, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	return id->kind == SSI_IDENTITY_BOOT ? boot_key(userdata, id, ret_node, ret) : node_key(userdata, id, ret_node, ret);
}

/* A token used twice: one of the two was not the machine it was made for, and nobody can say which. That boot is over. */
static void intrusion(struct daemon *d, const struct state_boot *b, struct in_addr peer)
{
	const struct ssi_head_node *n = ssi_head_node(d->head, b->node);
	char from[INET_ADDRSTRLEN];

	events_add(d->events, "intrusion", b->node, b->mac, b->incarnation, "its token was used again, from %s: this boot is ended",
		   inet_ntop(AF_INET, &peer, from, sizeof(from)));
	state_boot_end(d->state, b->node, b->incarnation, NULL);
	if (n && n->incarnation == b->incarnation) {
		fence_doubts(d, b->node);        /* it may be up, and shall not be */
		ssi_head_off(d->head, b->node, "its token was used twice");
	}
}

static void on_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct daemon *d = userdata;
	char from[INET_ADDRSTRLEN];
	struct state_boot b;

	inet_ntop(AF_INET, &peer, from, sizeof(from));
	if (id && id->kind == SSI_IDENTITY_NODE && why->code == -EKEYREVOKED)    /* proved to have had that key */
		fence_hears(d, id->who, id->incarnation);
	if (id && why->code == -EKEYREVOKED && id->kind == SSI_IDENTITY_BOOT &&
	    state_boot_by_mac(d->state, id->who, id->incarnation, &b, NULL) == 0 && b.used && !b.over)
		intrusion(d, &b, peer);
	else
		events_add(d->events, "refuse", id && id->kind == SSI_IDENTITY_NODE ? id->who : "", id && id->kind == SSI_IDENTITY_BOOT ? id->who : "",
			   id ? id->incarnation : 0, "a connection from %s: %s", from, why->text);
}

static void on_opened(struct ssi_ccm_conn *c, void *userdata)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);

	log_debug("connected: %s, incarnation %llu", id->who, (unsigned long long)id->incarnation);
}

static void on_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct daemon *d = userdata;
	const struct ssi_identity *id = ssi_ccm_identity(c);

	log_debug("connection of %s closed: %s", id ? id->who : "?", why ? why->text : "");
	ssi_rexec_closed(d->rexec, c, why);
	ssi_load_head_closed(d->loads, c);
	jobs_closed(d->jobs, c);
	ssi_procs_closed(d->procs, c);
	ssi_head_closed(d->head, c);
}

static void on_drained(struct ssi_ccm_conn *c, void *userdata)
{
	struct daemon *d = userdata;

	ssi_rexec_drained(d->rexec, c);
	jobs_drained(d->jobs, c);
}

/* The boot dialogue. */

/* Which boot a connection speaks of. */
static int boot_of(struct daemon *d, struct ssi_ccm_conn *c, struct state_boot *ret)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);

	return id->kind == SSI_IDENTITY_BOOT ? state_boot_by_mac(d->state, id->who, id->incarnation, ret, NULL)
					     : state_boot_get(d->state, id->who, id->incarnation, ret, NULL);
}

/* The engine and the store agree on which incarnation counts, also where the node's state does not change by it. */
static void boot_counts(struct daemon *d, const char *node, uint64_t incarnation)
{
	const struct ssi_head_node *n;
	struct ssi_err e;

	ssi_head_boot(d->head, node, incarnation);
	n = ssi_head_node(d->head, node);
	if (n && state_node_put(d->state, node, ssi_nodestate_name(n->state), n->incarnation, n->since_ms, n->reason, &e) < 0)
		log_error("%s: %s", node, e.text);
}

void members_armed(struct daemon *d, const char *node, uint64_t incarnation)
{
	const struct ssi_head_node *n = ssi_head_node(d->head, node);

	if (!n || n->state == SSI_NODE_JOINED || n->state == SSI_NODE_SUSPECT)
		return;
	boot_counts(d, node, incarnation);
	patience_begin(d->patience, node, incarnation);
}

static int use_token(struct daemon *d, const struct state_boot *b, struct ssi_boot_keys *ret, struct ssi_err *e)
{
	int r = ssi_hash_random(ret->key, sizeof(ret->key));

	if (r < 0)
		return ssi_errno(e, r, "no random bytes");
	r = state_begin(d->state, true, e);
	if (r == 0)
		r = state_boot_use(d->state, b->node, b->incarnation, ret->key, e);
	if (r == 0)
		r = state_identity(d->state, b->node, ret->identity, e);
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0)
		state_rollback(d->state);
	return r;
}

static int on_token(struct ssi_ccm_conn *c, const char *mac, uint64_t incarnation, struct ssi_boot_keys *ret, struct ssi_err *e, void *userdata)
{
	struct daemon *d = userdata;
	struct state_boot b;
	int r = state_boot_by_mac(d->state, mac, incarnation, &b, e);

	if (r < 0)
		return r;
	r = use_token(d, &b, ret, e);
	if (r == -EKEYREVOKED)
		intrusion(d, &b, ssi_ccm_address(c));
	if (r < 0)
		return r;
	crash_here(CRASH_FAILOVER_KEYED);
	boot_counts(d, b.node, incarnation);
	patience_begin(d->patience, b.node, incarnation);
	fence_booted(d, b.node, mac, incarnation);
	events_add(d->events, "boot", b.node, mac, incarnation, "its machine has come up and has its key");
	volumes_take(d, b.node, incarnation);
	/* Its door, before it knocks. */
	if (strcmp(b.root, "iscsi") == 0 || b.state[0])
		targets_reconcile(d->targets);
	images_look_soon(d->images);
	return 0;
}

/* Where a node's clock began, counted from GET /boot: at wall clock now the node's clock said node_ms. */
static uint64_t clock_start(const struct state_boot *b, uint64_t node_ms)
{
	uint64_t since = state_boot_age(b, ssi_clock_wall_ms());

	return since > node_ms ? since - node_ms : 0;
}

static void stage_put(struct daemon *d, const struct state_boot *b, const char *name, uint64_t start, uint64_t end, uint32_t tries)
{
	struct state_stage g = { .start_ms = start, .end_ms = end, .tries = tries };
	struct ssi_err e;

	snprintf(g.name, sizeof(g.name), "%s", name);
	if (state_stage_put(d->state, b->node, b->incarnation, &g, &e) < 0)
		log_error("stage %s of %s: %s", name, b->node, e.text);
}

static void on_stage(struct ssi_ccm_conn *c, const struct ssi_boot_stage *s, void *userdata)
{
	struct daemon *d = userdata;
	struct state_boot b;
	uint64_t zero;

	if (boot_of(d, c, &b) < 0)
		return;
	patience_begin(d->patience, b.node, b.incarnation);
	zero = clock_start(&b, s->end_ms ?: s->start_ms);
	stage_put(d, &b, s->name, zero + s->start_ms, s->end_ms ? zero + s->end_ms : 0, s->tries);
	if (s->end_ms >= s->start_ms)
		events_add(d->events, "stage", b.node, b.mac, b.incarnation, "%s: %llu ms, tries: %u", s->name,
			   (unsigned long long)(s->end_ms - s->start_ms), s->tries);
}

static void on_failed(struct ssi_ccm_conn *c, const char *stage, const char *text, const char *next, uint32_t delay_s, void *userdata)
{
	struct daemon *d = userdata;
	struct state_boot b;
	char reason[256];

	if (boot_of(d, c, &b) < 0)
		return;
	snprintf(reason, sizeof(reason), "%s: %.200s", stage, text);
	events_add(d->events, "boot-failed", b.node, b.mac, b.incarnation, "at %s: %s; %s; it reboots in %u s", stage, text, next, delay_s);
	ssi_head_boot_failed(d->head, b.node, b.incarnation, reason);
}

static void on_node_event(struct ssi_ccm_conn *c, const char *kind, const char *text, void *userdata)
{
	struct daemon *d = userdata;
	struct state_boot b;

	if (boot_of(d, c, &b) == 0)
		events_add(d->events, "node-event", b.node, b.mac, b.incarnation, "%s: %s", kind, text);
}

/* Membership. */

/* The whole timeline on one clock, with what was before the node's own first instruction. */
static void joined_stages(struct daemon *d, const struct state_boot *b, const struct ssi_head_node *n, const struct ssi_head_join *join,
			  struct ssi_buf *ret_text)
{
	uint64_t zero = clock_start(b, n->uptime_ms), first = UINT64_MAX;
	char took[24];

	for (size_t i = 0; i < join->n_stages; i++) {
		const struct ssi_boot_stage *s = &join->stages[i];

		stage_put(d, b, s->name, zero + s->start_ms, s->end_ms ? zero + s->end_ms : 0, s->tries);
		first = s->start_ms < first ? s->start_ms : first;
	}
	if (!join->n_stages)
		return;
	stage_put(d, b, "load", 0, zero, 1);
	stage_put(d, b, "kernel", zero, zero + first, 1);
	ssi_buf_addf(ret_text, ": load %s", ssi_num_format_ms(took, sizeof(took), zero));
	ssi_buf_addf(ret_text, ", kernel %s", ssi_num_format_ms(took, sizeof(took), first));
	for (size_t i = 0; i < join->n_stages; i++)
		if (join->stages[i].end_ms > join->stages[i].start_ms)
			ssi_buf_addf(ret_text, ", %s %s", join->stages[i].name,
				     ssi_num_format_ms(took, sizeof(took), join->stages[i].end_ms - join->stages[i].start_ms));
}

/* What came to a running node, and what went. */
static void node_hardware(struct daemon *d, const struct ssi_head_node *n, const struct ssi_inventory *was)
{
	_cleanup_buf_ struct ssi_buf changes = SSI_BUF_INIT;

	if (ssi_inventory_diff(was, &n->inventory, &changes) > 0)
		events_add(d->events, "hotplug", n->name, "", n->incarnation, "%s", changes.data);
}

static void node_joined(struct daemon *d, const struct ssi_head_node *n, enum ssi_nodestate before, const struct ssi_head_join *join)
{
	_cleanup_free_ char *inventory = inventory_format(&n->inventory);
	_cleanup_buf_ struct ssi_buf stages = SSI_BUF_INIT;
	struct state_boot b = { 0 };
	char memory[16], took[24];
	struct ssi_err e;

	if (inventory && state_node_inventory(d->state, n->name, inventory, &e) < 0)
		log_error("inventory of %s: %s", n->name, e.text);
	if (join->rejoin) {
		if (!join->update || before != SSI_NODE_JOINED)
			events_add(d->events, "rejoin", n->name, "", n->incarnation, "came back without a boot, was %s", ssi_nodestate_name(before));
		node_hardware(d, n, join->was);
		return;
	}
	if (state_boot_get(d->state, n->name, n->incarnation, &b, &e) == 0)
		joined_stages(d, &b, n, join, &stages);
	events_add(d->events, "join", n->name, b.mac, n->incarnation, "%u processors, %s; %s after its boot script%s", n->inventory.cpus,
		   ssi_num_format_size(memory, sizeof(memory), n->inventory.memory),
		   ssi_num_format_ms(took, sizeof(took), state_boot_age(&b, ssi_clock_wall_ms())), stages.data ?: "");
	images_look_soon(d->images);
}

static void keep_view(struct daemon *d, const char *system)
{
	struct ssi_head_totals t;
	char name[80];

	snprintf(name, sizeof(name), "view:%s", system);
	if (ssi_head_totals(d->head, system, &t) == 0)
		state_value_put(d->state, name, t.view, NULL);
}

static void on_changed(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join, void *userdata)
{
	struct daemon *d = userdata;
	struct ssi_err e;

	if (state_node_put(d->state, n->name, ssi_nodestate_name(n->state), n->incarnation, n->since_ms, n->reason, &e) < 0)
		log_error("state of %s: %s", n->name, e.text);
	keep_view(d, n->system);
	if (n->state != SSI_NODE_JOINED && n->state != SSI_NODE_SUSPECT)
		loads_left(d, n->name);
	if (n->state != SSI_NODE_BOOTING)
		patience_end(d->patience, n->name);
	switch (ev) {
	case SSI_EVENT_JOIN:
		node_joined(d, n, before, join);
		break;
	case SSI_EVENT_SILENT:
		events_add(d->events, "suspect", n->name, "", n->incarnation, "%s", n->reason);
		break;
	case SSI_EVENT_HEARTBEAT:
		events_add(d->events, "rejoin", n->name, "", n->incarnation, "heard again");
		break;
	case SSI_EVENT_TIMEOUT:
	case SSI_EVENT_DETACH:
		events_add(d->events, "detach", n->name, "", n->incarnation, "%s", n->reason);
		fence_doubts(d, n->name);
		images_look_soon(d->images);     /* what the kernel waits for from it, it waits for in vain (targets.c) */
		break;
	case SSI_EVENT_FENCED:
		images_look_soon(d->images);
		break;
	case SSI_EVENT_LEAVE:
		events_add(d->events, "leave", n->name, "", n->incarnation, "%s", n->reason);
		state_boot_leave(d->state, n->name, n->incarnation, NULL);
		images_look_soon(d->images);
		break;
	default:                         /* arm, boot and boot-failed are said where they come from */
		break;
	}
	failover_node_changed(d->failover, n, ev);
	jobs_node_changed(d->jobs, n);
}

static void on_join_refused(struct ssi_ccm_conn *c, const char *text, void *userdata)
{
	struct daemon *d = userdata;
	const struct ssi_identity *id = ssi_ccm_identity(c);

	events_add(d->events, "refuse", id->who, "", id->incarnation, "its join: %s", text);
	fence_hears(d, id->who, id->incarnation);
}

/* What is said in a batch is stored at once, and answered then. */
static void on_hold(void *userdata)
{
	state_gather(((struct daemon *)userdata)->state);
}

static int on_settle(struct ssi_err *e, void *userdata)
{
	int r = state_settle(((struct daemon *)userdata)->state, e);

	if (r < 0)
		log_error("what nodes said was not stored, and is not answered: %s", e->text);
	return r;
}

static const struct ssi_ccm_ops ccm_ops = { .key = on_key, .opened = on_opened, .closed = on_closed, .refused = on_refused, .drained = on_drained,
	.hold = on_hold, .settle = on_settle };
static const struct ssi_boot_ops boot_ops = { on_token, on_stage, on_failed, on_node_event };
static uint64_t on_link_ups(const char *system, void *userdata)
{
	struct daemon *d = userdata;
	const struct ssi_system *s = ssi_registry_system(d->registry, system);
	char path[64], line[24];
	uint64_t ups;

	if (!s)
		return 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier_up_count", s->interface);
	return ssi_file_read_line(path, line, sizeof(line)) >= 0 && ssi_num_u64(line, 0, UINT64_MAX, &ups) >= 0 ? ups : 0;
}

static const struct ssi_head_ops head_ops = { .link_ups = on_link_ups, .changed = on_changed, .refused = on_join_refused };

int members_start(struct daemon *d, struct ssi_err *e)
{
	int r = patience_new(d, &d->patience);

	d->boot = (struct ssi_boot_master) { &boot_ops, d };
	if (r >= 0)
		r = ssi_ccm_new(d->event, &ccm_ops, d, &d->ccm);
	if (r >= 0)
		r = ssi_head_new(d->event, d->ccm, &head_ops, d, &d->head);
	if (r >= 0)
		r = ssi_boot_master(d->ccm, &d->boot);
	if (r >= 0)
		r = ssi_rexec_new(d->ccm, &d->rexec);
	if (r >= 0)
		r = processes_new(d, &d->procs);
	if (r < 0)
		return ssi_errno(e, r, "membership");
	r = loads_start(d, e);
	return r < 0 ? r : jobs_new(d, &d->jobs, e);
}

/* Every life of the master has a number of its own, higher than the one before, also when the clock or the store was set back: stored before it is used. */
static int members_incarnation(struct daemon *d, uint64_t *ret, struct ssi_err *e)
{
	uint64_t now = ssi_clock_wall_ms();
	int r;

	*ret = 0;
	state_value_get(d->state, "master:incarnation", ret, NULL);
	*ret = *ret < now ? now : *ret + 1;
	r = state_begin(d->state, true, e);
	if (r == 0)
		r = state_value_put(d->state, "master:incarnation", *ret, e);
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0)
		state_rollback(d->state);
	return r;
}

int members_listen(struct daemon *d, struct ssi_err *e)
{
	uint64_t incarnation;
	int r = members_incarnation(d, &incarnation, e);

	return r < 0 ? r : ssi_ccm_listen(d->ccm, incarnation, (struct in_addr) { INADDR_ANY }, d->opt->ccm_port, e);
}

void members_stop(struct daemon *d)
{
	jobs_free(TAKE_PTR(d->jobs));
	ssi_procs_free(d->procs);
	ssi_rexec_free(d->rexec);
	ssi_load_head_free(d->loads);
	ssi_head_free(d->head);
	ssi_ccm_free(d->ccm);
	patience_free(d->patience);
	d->procs = NULL;
	d->rexec = NULL;
	d->loads = NULL;
	d->head = NULL;
	d->ccm = NULL;
}

void members_set_system(struct daemon *d, const struct ssi_system *s)
{
	uint64_t view = 0;
	char name[80];

	/* The one before may have been told to nodes and not stored. */
	snprintf(name, sizeof(name), "view:%s", s->name);
	if (state_value_get(d->state, name, &view, NULL) == 0)
		view += 2;
	if (ssi_head_set_system(d->head, s->name, s->heartbeat_ms, s->detach_ms, view) < 0)
		log_error("system %s: out of memory", s->name);
}

void members_set_node(struct daemon *d, const struct ssi_node *n)
{
	if (ssi_head_set_node(d->head, n->name, n->system->name, n->number, n->address, NULL) < 0)
		log_error("node %s: out of memory", n->name);
}

static void restore_one(const struct state_node *n, void *userdata)
{
	struct daemon *d = userdata;
	struct ssi_inventory inventory;
	const struct ssi_head_node *known = ssi_head_node(d->head, n->name);
	int state = ssi_nodestate_parse(n->state), hold = ssi_nodehold_parse(n->hold);

	if (known && hold > 0)
		ssi_head_set_hold(d->head, n->name, (enum ssi_nodehold)hold);
	if (!known || known->incarnation || !n->incarnation)
		return;                  /* not in the registry, or the engine knows more, or it never booted */
	inventory_parse(n->inventory, &inventory);
	ssi_head_restore(d->head, n->name, state < 0 ? SSI_NODE_OFF : (enum ssi_nodestate)state, n->incarnation, n->since, n->reason, &inventory);
	if (state == SSI_NODE_BOOTING)
		patience_begin(d->patience, n->name, n->incarnation);
}

void members_restore(struct daemon *d)
{
	struct ssi_err e;

	if (state_node_each(d->state, restore_one, d, &e) < 0)
		log_error("nodes: %s", e.text);
}
