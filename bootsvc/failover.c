/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is lost, what is to become of them (failover-plan.c says it), and what of that is stored. Called by members.c at each change of a node, by reload.c, by
 * boot.c for machines that ask, and by the verbs. Changes are gathered: it looks once for all that the loop had to say. What one look decides is stored
 * together, and begun after that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/discovery.h"
#include "bootsvc/events.h"
#include "bootsvc/failover-internal.h"
#include "bootsvc/fence.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "libssi/model/nodelist.h"

#define STORE_AGAIN_MS 5000          /* when the store could not be written */
#define NAMED_MAX 100                /* nodes that an alarm names */

/* ---- what the plan is asked ---- */

/* The master's own link to a system: down only where it was up before. */
static bool link_is_down(const struct ssi_system *s)
{
	char path[64], line[8];
	uint64_t downs, ups;

	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier", s->interface);
	if (ssi_file_read_line(path, line, sizeof(line)) < 0 || line[0] != '0')
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier_up_count", s->interface);
	if (ssi_file_read_line(path, line, sizeof(line)) < 0 || ssi_num_u64(line, 0, UINT64_MAX, &ups) < 0)
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier_down_count", s->interface);
	return ups > 0 && ssi_file_read_line(path, line, sizeof(line)) >= 0 && ssi_num_u64(line, 1, UINT64_MAX, &downs) >= 0;
}

static struct failover_policy policy_of(const struct ssi_system *s)
{
	return (struct failover_policy) {
		.mode = s->failover, .delay_ms = s->failover_delay_ms, .limit = s->failover_limit, .limit_ms = s->failover_limit_ms, .share = s->failover_share,
		.at_once_ms = s->detach_ms + 2ull * s->heartbeat_ms, .link_down = link_is_down(s),
	};
}

static int facts_of(struct failover *f, const struct ssi_system *s, struct failover_facts *ret, struct ssi_err *e)
{
	struct ssi_head_totals t = { 0 };
	uint64_t first;
	int r;

	ret->now = ssi_clock_wall_ms();
	ssi_head_totals(f->daemon->head, s->name, &t);
	ret->joined = t.by_state[SSI_NODE_JOINED];
	ret->suspect = t.by_state[SSI_NODE_SUSPECT];
	r = state_failover_lately(f->daemon->state, s->name, ret->now > s->failover_limit_ms ? ret->now - s->failover_limit_ms : 0, &ret->lately, &first, e);
	if (r < 0)
		return r;
	r = failover_spare_count(f, s->name);
	ret->spares = r > 0 ? (unsigned)r : 0;
	return 0;
}

static struct failover_node node_of(const struct failover_case *c)
{
	const struct ssi_head_node *h = ssi_head_node(c->failover->daemon->head, c->s.node);
	char mac[SSI_MAC_LEN] = "";

	if (!failover_step_begun(c->step))
		state_machine_of(c->failover->daemon->state, c->s.node, mac, NULL);
	return (struct failover_node) {
		.state = h ? h->state : SSI_NODE_OFF, .hold = h ? h->hold : SSI_HOLD_NONE, .detached = c->s.detached, .step = c->step,
		.ordered = c->s.ordered, .gone = c->gone,
		.rebound = !failover_step_begun(c->step) && strcmp(mac, c->s.machine) != 0,
	};
}

/* ---- what comes of its answers ---- */

static void say_none(struct failover_case *c)
{
	const struct ssi_head_node *h = ssi_head_node(c->failover->daemon->head, c->s.node);

	if (c->stored && h && (h->state == SSI_NODE_BOOTING || h->state == SSI_NODE_JOINED))
		case_event(c, "failover", "its machine came back: nothing is to be done");
	else if (c->stored)
		case_event(c, "failover", "nothing is done any more");
}

static void say_waits(struct failover_case *c, const struct ssi_system *s)
{
	char text[24];

	switch (c->step) {
	case FAILOVER_DELAY:
		if (s->failover_delay_ms)
			case_event(c, "failover", "has %s to come back by itself", ssi_num_format_ms(text, sizeof(text), s->failover_delay_ms));
		break;
	case FAILOVER_ASK:
		case_event(c, "failover-ask", "'ssi node failover %s' or 'ssi node move %s --to MACHINE' decides", c->s.node, c->s.node);
		break;
	case FAILOVER_LIMIT:
		case_event(c, "alarm", "the limit of %u failovers in %s is reached: stopped; 'ssi node failover %s' decides otherwise", s->failover_limit,
			   ssi_num_format_ms(text, sizeof(text), s->failover_limit_ms), c->s.node);
		break;
	case FAILOVER_SPARE:
		case_event(c, "failover", "there is no spare in system %s that can be had: it waits for one ('ssi machine accept', or switch one on)", s->name);
		break;
	default:
		break;
	}
}

/* A spare is set aside for it, and that it begins is counted. */
static int begin(struct failover_case *c, const struct ssi_system *s, struct ssi_err *e)
{
	struct failover *f = c->failover;
	int r = failover_spare_pick(f, s->name, c->s.spare, e);

	if (r == 0)
		r = case_put(c, FAILOVER_FENCE, e);
	if (r == 0 && !c->s.ordered)
		r = state_failover_begun(f->daemon->state, s->name, c->s.node, ssi_clock_wall_ms(), e);
	if (r == 0)
		case_event(c, "failover", "%s: machine %s is to take the place of %s", c->s.why, c->s.spare, c->s.machine);
	return r;
}

/* One case's next step, within the look's transaction. */
static int apply(struct failover_case *c, const struct ssi_system *s, enum failover_step next, struct ssi_err *e)
{
	int r = 0;

	if (failover_step_begun(c->step) && !c->gone)
		return 0;
	if (next == FAILOVER_NONE) {
		say_none(c);
		case_drop(c);
		return 0;
	}
	if (next == c->step && !c->gone)
		return 0;
	if (c->gone)                     /* what a failover gave it is the machine it lost now */
		state_machine_of(c->failover->daemon->state, c->s.node, c->s.machine, NULL);
	c->gone = c->starting = c->started = false;
	if (next == FAILOVER_FENCE)
		return begin(c, s, e);
	c->s.spare[0] = '\0';
	if (next >= FAILOVER_ASK)
		r = case_put(c, next, e);
	c->step = next;
	if (r == 0)
		say_waits(c, s);
	return r;
}

/* One alarm for all who have just been taken for cut off. */
static void say_network(struct failover *f, const struct ssi_system *s, char **names, size_t n)
{
	_cleanup_free_ char *range = n ? ssi_nodelist_format(names, n) : NULL;

	if (range)
		events_add(f->daemon->events, "alarm", n == 1 ? names[0] : "", "", 0, "%.400s of system %s vanished at once: that is the network. Nobody is fenced until"
			   " they come back; 'ssi node failover NODE' decides otherwise", range, s->name);
}

/* 0, or the store failed. *ret_again: wall clock. */
static int look_at(struct failover *f, const struct ssi_system *s, struct failover_case **cases, size_t n, uint64_t *ret_again, struct ssi_err *e)
{
	_cleanup_free_ struct failover_node *nodes = calloc(n, sizeof(*nodes));
	_cleanup_free_ char (*copies)[64] = calloc(n, sizeof(*copies));
	_cleanup_free_ char **names = calloc(n, sizeof(*names));
	struct failover_policy p = policy_of(s);
	struct failover_facts facts = { 0 };
	size_t cut = 0;
	int r = nodes && copies && names ? facts_of(f, s, &facts, e) : ssi_errno(e, -ENOMEM, "failover");

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		nodes[i] = node_of(cases[i]);
	failover_plan(&p, &facts, nodes, n, ret_again);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (nodes[i].next == FAILOVER_NETWORK && cases[i]->step != FAILOVER_NETWORK) {
			strcpy(copies[cut], cases[i]->s.node);
			names[cut] = copies[cut];
			cut++;
		}
		r = apply(cases[i], s, nodes[i].next, e);
	}
	if (r == 0)
		say_network(f, s, names, cut);
	return r;
}

const struct ssi_system *failover_system_of(const struct failover *f, const char *node)
{
	const struct ssi_node *n = ssi_registry_node(f->daemon->registry, node);

	return n ? n->system : NULL;
}

/* Those of one system, in their order. */
static size_t cases_of(struct failover *f, const struct ssi_system *s, struct failover_case **ret)
{
	struct failover_case *c;
	size_t n = 0;

	TAILQ_FOREACH(c, &f->cases, link)
		if (failover_system_of(f, c->s.node) == s)
			ret[n++] = c;
	return n;
}

static int look_at_all(struct failover *f, uint64_t *ret_again, struct ssi_err *e)
{
	_cleanup_free_ struct failover_case **cases = NULL;
	struct failover_case *c, *next;
	size_t n = 0;
	int r = 0;

	for (c = TAILQ_FIRST(&f->cases); c; c = next) {
		next = TAILQ_NEXT(c, link);
		n++;
		if (!failover_system_of(f, c->s.node))
			case_drop(c);        /* not in nodes.d any more */
	}
	cases = calloc(n + 1, sizeof(*cases));
	if (!cases)
		return ssi_errno(e, -ENOMEM, "failover");
	for (size_t i = 0; i < f->daemon->registry->n_systems && r == 0; i++) {
		uint64_t again = 0;
		size_t k = cases_of(f, f->daemon->registry->systems[i], cases);

		if (k)
			r = look_at(f, f->daemon->registry->systems[i], cases, k, &again, e);
		if (again && (!*ret_again || again < *ret_again))
			*ret_again = again;
	}
	return r;
}

static void load(struct failover *f);

/* Decide, store, and only then do. */
static void look(struct failover *f)
{
	struct state *s = f->daemon->state;
	struct failover_case *c, *next;
	uint64_t again = 0, now;
	struct ssi_err e;
	int r;

	if (TAILQ_EMPTY(&f->cases))
		return;
	r = state_begin(s, true, &e);
	if (r == 0)
		r = look_at_all(f, &again, &e);
	if (r == 0)
		r = state_commit(s, &e);
	if (r < 0) {
		state_rollback(s);
		log_error("failover: %s", e.text);
		load(f);
		failover_wake(f, STORE_AGAIN_MS);
		return;
	}
	for (c = TAILQ_FIRST(&f->cases); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (failover_step_begun(c->step))
			failover_step_run(c);
	}
	now = ssi_clock_wall_ms();
	if (again)
		failover_wake(f, again > now ? again - now : 0);
}

static int on_soon(sd_event_source *s, void *userdata)
{
	look(userdata);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct failover *f = userdata;

	sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
	look(f);
	return 0;
}

void failover_wake(struct failover *f, uint64_t in_ms)
{
	uint64_t at, now = 0;
	int on = SD_EVENT_OFF;

	sd_event_source_get_enabled(f->timer, &on);
	sd_event_now(f->daemon->event, CLOCK_MONOTONIC, &now);
	if (on != SD_EVENT_OFF && sd_event_source_get_time(f->timer, &at) >= 0 && at <= now + in_ms * 1000)
		return;
	sd_event_source_set_time_relative(f->timer, in_ms * 1000);
	sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
}

void failover_look(struct failover *f)
{
	if (f && !TAILQ_EMPTY(&f->cases))
		sd_event_source_set_enabled(f->soon, SD_EVENT_ONESHOT);
}

static struct failover_hand *hand_find(const struct failover *f, const char *node)
{
	struct failover_hand *h;

	TAILQ_FOREACH(h, &f->hands, link)
		if (!strcmp(h->node, node))
			return h;
	return NULL;
}

static void hand_forget(struct failover *f, const char *node)
{
	struct failover_hand *h = hand_find(f, node);

	if (!h)
		return;
	TAILQ_REMOVE(&f->hands, h, link);
	free(h);
}

void failover_node_changed(struct failover *f, const struct ssi_head_node *n, enum ssi_nodeevent ev)
{
	struct failover_case *c = NULL;
	struct ssi_err e;

	if (!f)
		return;
	if (ev == SSI_EVENT_JOIN || ev == SSI_EVENT_BOOT)
		hand_forget(f, n->name);
	if (ev == SSI_EVENT_TIMEOUT && !case_find(f, n->name))
		c = case_new(f, n->name, n->since_ms, n->reason);
	if (c && hand_find(f, n->name) && case_put(c, FAILOVER_HAND, &e) < 0)
		log_error("failover of %s: %s", n->name, e.text);
	failover_look(f);
}

void failover_by_hand(struct failover *f, const char *node, bool failed)
{
	struct failover_case *c = f ? case_find(f, node) : NULL;
	struct failover_hand *h;

	if (!f)
		return;
	hand_forget(f, node);
	if (failed && c && c->step == FAILOVER_HAND) {           /* it is lost as any other */
		state_failover_rm(f->daemon->state, node, NULL);
		c->step = FAILOVER_NONE;
		c->stored = false;
		failover_look(f);
	}
	h = failed ? NULL : calloc(1, sizeof(*h));
	if (!h)
		return;
	snprintf(h->node, sizeof(h->node), "%s", node);
	TAILQ_INSERT_TAIL(&f->hands, h, link);
}

/* ---- start and end ---- */

static void load_one(const struct state_failover *s, void *userdata)
{
	struct failover *f = userdata;
	struct failover_case *c = calloc(1, sizeof(*c));
	int step = failover_step_parse(s->step);

	if (!c)
		return;
	c->failover = f;
	c->s = *s;
	c->stored = true;
	c->step = step < 0 ? FAILOVER_NONE : (enum failover_step)step;
	case_insert(f, c);
}

/* What is stored, and who is detached by what the membership knows. A callback that is still due finds its case by name, or none. */
static void load(struct failover *f)
{
	const struct ssi_registry *reg = f->daemon->registry;
	struct failover_case *c;
	struct ssi_err e;

	while ((c = TAILQ_FIRST(&f->cases)))
		case_free(c);
	if (state_failover_each(f->daemon->state, load_one, f, &e) < 0)
		log_error("failover: %s", e.text);
	for (size_t i = 0; i < reg->n_nodes; i++) {
		const struct ssi_head_node *h = ssi_head_node(f->daemon->head, reg->nodes[i]->name);

		if (h && h->state == SSI_NODE_DETACHED && h->hold != SSI_HOLD_OUT && !case_find(f, h->name))
			case_new(f, h->name, h->since_ms, h->reason);
	}
}

int failover_new(struct daemon *d, struct failover **ret, struct ssi_err *e)
{
	struct failover *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return ssi_errno(e, -ENOMEM, "failover");
	f->daemon = d;
	TAILQ_INIT(&f->cases);
	TAILQ_INIT(&f->hands);
	r = sd_event_add_defer(d->event, &f->soon, on_soon, f);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &f->timer, CLOCK_MONOTONIC, 0, 10000, on_timer, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
	if (r < 0) {
		failover_free(f);
		return ssi_errno(e, r, "failover");
	}
	*ret = f;
	failover_registry_changed(f);
	load(f);
	fence_listen(d, failover_step_confirmed, f);
	return 0;
}

void failover_free(struct failover *f)
{
	struct failover_case *c;

	if (!f)
		return;
	while ((c = TAILQ_FIRST(&f->cases)))
		case_free(c);
	while (!TAILQ_EMPTY(&f->hands))
		hand_forget(f, TAILQ_FIRST(&f->hands)->node);
	sd_event_source_disable_unref(f->soon);
	sd_event_source_disable_unref(f->timer);
	free(f);
}

void failover_registry_changed(struct failover *f)
{
	const struct ssi_registry *reg;
	struct ssi_err e;

	if (!f)
		return;
	reg = f->daemon->registry;
	for (size_t i = 0; i < reg->n_systems; i++)
		for (size_t k = 0; k < reg->systems[i]->n_spare_machines; k++)
			if (state_machine_keep(f->daemon->state, reg->systems[i]->spare_machines[k], reg->systems[i]->name, ssi_clock_wall_ms(), &e) < 0)
				log_error("spare %s: %s", reg->systems[i]->spare_machines[k], e.text);
	failover_look(f);
}
