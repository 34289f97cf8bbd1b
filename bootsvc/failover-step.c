/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of a failover that has begun, each begun again after a restart of the daemon as if it had not been: to fence what is fenced, to bind what is bound
 * and to switch on what is on changes nothing. Called by failover.c, and by what it waits for: fences, fence agents, time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/crash.h"
#include "bootsvc/discovery.h"
#include "bootsvc/dnsmasq.h"
#include "bootsvc/events.h"
#include "bootsvc/failover-internal.h"
#include "bootsvc/fence.h"
#include "bootsvc/images.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi/boot/text.h"

#define STOP_MS 90000                /* a node that is shut down in order may take so long */
#define AGAIN_MS 10000
#define FENCE_AGAIN_MS 120000        /* a fence goes on by itself */
#define POWER_TRIES 3
#define ASKS_MS 12000                /* a machine that waited asks within 5 s; a reset helps one that does not */
#define COMES_MS 240000              /* firmware of many machines takes less */
#define STARTS_MS 600000             /* from switched on to its first question: firmware of large machines tests itself for minutes */
#define REBOOTS_MS 150000            /* a machine whose boot failed starts again after 30 s */

static const struct ssi_head_node *node_of(const struct failover_case *c)
{
	return ssi_head_node(c->failover->daemon->head, c->s.node);
}

/* What hinders it, once in the events and as long as it lasts in "node show". */
static void hindered(struct failover_case *c, const char *text)
{
	char note[STATE_WHY];

	ssi_text_copy(note, sizeof(note), text);
	if (strcmp(c->note, note) != 0)
		case_event(c, "failover", "%s", note);
	strcpy(c->note, note);
}

static bool goes_to(struct failover_case *c, enum failover_step step)
{
	struct ssi_err e;

	if (case_put(c, step, &e) == 0)
		return true;
	log_error("failover of %s: %s", c->s.node, e.text);
	c->retry = ssi_clock_mono_ms() + AGAIN_MS;
	failover_wake(c->failover, AGAIN_MS);
	return false;
}

static uint64_t in_step_ms(const struct failover_case *c)
{
	uint64_t now = ssi_clock_wall_ms();

	return now > c->s.since ? now - c->s.since : 0;
}

/* The machine that was to take over does not either: the policy says what comes next, with a further spare. */
static void lost_again(struct failover_case *c, const char *why)
{
	struct ssi_err e;

	snprintf(c->s.why, sizeof(c->s.why), "did not come up: %.120s", why);
	case_event(c, "failover", "machine %s %s", c->s.spare, c->s.why);
	c->s.ordered = c->s.sound = false;
	if (case_put(c, c->step, &e) < 0)
		log_error("failover of %s: %s", c->s.node, e.text);
	c->gone = true;
	failover_look(c->failover);
}

/* ---- stop, fence ---- */

static void started_ahead(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata);

static void run_stop(struct failover_case *c)
{
	const struct ssi_head_node *n = node_of(c);
	bool up = n && (n->state == SSI_NODE_JOINED || n->state == SSI_NODE_SUSPECT);

	if (up && in_step_ms(c) < STOP_MS) {
		if (!c->tries && ssi_head_order(c->failover->daemon->head, c->s.node, SSI_HEAD_POWEROFF, "it moves to another machine") >= 0)
			c->tries = 1;
		failover_wake(c->failover, STOP_MS - in_step_ms(c));
		return;
	}
	if (up)
		hindered(c, "it did not shut down in order");
	if (goes_to(c, FAILOVER_FENCE))
		failover_step_run(c);
}

/* Its own machine was faster than we. */
static bool came_back(const struct failover_case *c)
{
	const struct ssi_head_node *n = node_of(c);

	return !c->s.ordered && n && (n->state == SSI_NODE_BOOTING || n->state == SSI_NODE_JOINED);
}

/* The spare's firmware takes its time: it begins while the fence goes on. It gets nothing before that is confirmed; what goes wrong is seen to in its own step. */
static void start_ahead(struct failover_case *c)
{
	struct daemon *d = c->failover->daemon;
	const struct ssi_machine *m = ssi_registry_machine(d->registry, c->s.spare);

	if (c->starting || c->started || failover_spare_awake(c->failover, c->s.spare) || !m)
		return;
	c->starting = ssi_power_start(d->power, m, SSI_POWER_ON, started_ahead, c->failover, NULL) == 0;
}

static void started_ahead(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	struct failover *f = userdata;
	struct failover_case *c;

	TAILQ_FOREACH(c, &f->cases, link)
		if (c->starting && !strcmp(c->s.spare, mac))
			break;
	if (!c || err == -ECANCELED)
		return;
	c->starting = false;
	c->started = err == 0;
	if (err == 0)
		case_event(c, "failover", "machine %s was switched on", mac);
	if (c->step == FAILOVER_POWER)
		failover_look(f);
}

static void run_fence(struct failover_case *c)
{
	struct ssi_err e;

	if (came_back(c)) {
		case_event(c, "failover", "its machine %s came back by itself: %s is a spare again", c->s.machine, c->s.spare);
		case_drop(c);
		return;
	}
	crash_here(CRASH_FAILOVER_BEGUN);
	start_ahead(c);
	c->busy = true;
	if (fence_start(c->failover->daemon, c->s.node, c->s.why, failover_step_confirmed, c->failover, &e) == 0)
		return;
	c->busy = false;
	hindered(c, e.text);
	c->retry = ssi_clock_mono_ms() + AGAIN_MS;
	failover_wake(c->failover, AGAIN_MS);
}

/*
 * Of our fence, or of one that others began or that goes on after a restart. A node without anything that two machines must not write to need not wait until it is
 * confirmed: the fence goes on meanwhile (fence.h).
 */
void failover_step_confirmed(const char *node, int err, const struct ssi_err *why, void *userdata)
{
	struct failover *f = userdata;
	struct failover_case *c;

	TAILQ_FOREACH(c, &f->cases, link)
		if (!strcmp(c->s.node, node))
			break;
	if (!c || c->step != FAILOVER_FENCE || err == -ECANCELED)
		return;
	c->busy = false;
	if (err < 0 && fence_holds(f->daemon, node)) {
		/* Further rounds follow by themselves, and tell the listener. */
		char text[STATE_WHY];

		snprintf(text, sizeof(text), "not fenced: %.140s", why->text);
		c->retry = ssi_clock_mono_ms() + FENCE_AGAIN_MS;
		hindered(c, text);
		return;
	}
	if (came_back(c)) {
		failover_look(f);
		return;
	}
	crash_here(CRASH_FAILOVER_FENCED);
	if (goes_to(c, FAILOVER_BIND)) {
		crash_here(CRASH_FAILOVER_CONFIRMED);
		failover_look(f);
	}
}

/* ---- bind ---- */

/* Somebody has taken it for something else meanwhile. */
static int check_spare(struct failover_case *c, struct ssi_err *e)
{
	struct state_machine m;
	int r = state_machine_get(c->failover->daemon->state, c->s.spare, &m, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (m.node[0] && strcmp(m.node, c->s.node) != 0)
		return ssi_errf(e, -EBUSY, "machine %s plays %s now", m.mac, m.node);
	return m.failed[0] ? ssi_errf(e, -EBUSY, "machine %s has failed: %s", m.mac, m.failed) : 0;
}

/* The machine it had: a spare again, or failed. */
static int retire(struct failover_case *c, struct ssi_err *e)
{
	struct state *s = c->failover->daemon->state;
	char why[128];

	if (!c->s.machine[0] || !strcmp(c->s.machine, c->s.spare))
		return 0;
	if (c->s.sound)
		return state_machine_set_spare(s, c->s.machine, true, e);
	snprintf(why, sizeof(why), "as %.30s: %.90s", c->s.node, c->s.why);
	return state_machine_fail(s, c->s.machine, why, ssi_clock_wall_ms(), e);
}

static int bind_stored(struct failover_case *c, struct ssi_err *e)
{
	struct daemon *d = c->failover->daemon;
	const struct ssi_node *n = ssi_registry_node(d->registry, c->s.node);
	int r = state_begin(d->state, true, e);

	if (r == 0)
		r = state_boot_end_all(d->state, c->s.node, e);
	if (r == 0)
		r = state_bind(d->state, c->s.node, c->s.spare, ssi_clock_wall_ms(), e);
	if (r == 0 && n && n->machine[0] && strcmp(n->machine, c->s.spare) != 0)
		r = state_bind_instead(d->state, c->s.node, n->machine, e);
	if (r == 0)
		r = retire(c, e);
	if (r == 0)
		r = case_put(c, FAILOVER_POWER, e);
	if (r == 0)
		r = state_commit(d->state, e);
	if (r < 0)
		state_rollback(d->state);
	return r;
}

static void run_bind(struct failover_case *c)
{
	struct daemon *d = c->failover->daemon;
	struct ssi_err e;
	int r = check_spare(c, &e);

	if (r == -EBUSY) {
		hindered(c, e.text);
		c->s.spare[0] = '\0';
		c->starting = c->started = false;
		if (goes_to(c, FAILOVER_SPARE))      /* another one; to be fenced again costs little */
			failover_look(c->failover);
		return;
	}
	if (r == 0 && fence_holds(d, c->s.node)) {       /* something of it was seen since */
		if (goes_to(c, FAILOVER_FENCE))
			failover_look(c->failover);
		return;
	}
	if (r == 0)
		r = bind_stored(c, &e);
	if (r < 0) {
		log_error("failover of %s: %s", c->s.node, e.text);
		c->step = FAILOVER_BIND;     /* of a transaction that did not happen */
		c->retry = ssi_clock_mono_ms() + AGAIN_MS;
		failover_wake(c->failover, AGAIN_MS);
		return;
	}
	crash_here(CRASH_FAILOVER_BOUND);
	discovery_forget(d->discovery);
	dnsmasq_machine_changed(d->dnsmasq, c->s.machine);
	dnsmasq_machine_changed(d->dnsmasq, c->s.spare);
	ssi_head_off(d->head, c->s.node, "it moves to another machine");
	images_look_soon(d->images);         /* iSCSI doors of what it booted go */
	events_add(d->events, "unbind", c->s.node, c->s.machine, 0, "%s%s", c->s.sound ? "a spare from now on: " : "failed: ", c->s.why);
	events_add(d->events, "bind", c->s.node, c->s.spare, 0, "takes the place of %s", c->s.machine);
	crash_here(CRASH_FAILOVER_TOLD);
	failover_step_run(c);
}

/* ---- power ---- */

static void powered(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata);

/* 1: an agent is at it. */
static int switch_it(struct failover_case *c, enum ssi_power_action a, struct ssi_err *e)
{
	struct daemon *d = c->failover->daemon;
	const struct ssi_machine *m = ssi_registry_machine(d->registry, c->s.spare);
	int r;

	if (!m || !ssi_machine_value(m, "power"))
		return ssi_errf(e, -ENOTSUP, "nodes.d does not say how machine %s is switched: switch it on", c->s.spare);
	r = ssi_power_start(d->power, m, a, powered, c->failover, e);
	c->busy = r == 0;
	return r < 0 ? r : 1;
}

static void power_failed(struct failover_case *c, const struct ssi_err *why)
{
	char text[STATE_WHY];

	snprintf(text, sizeof(text), "it cannot be switched on: %.120s", why->text);
	if (++c->tries >= POWER_TRIES) {
		lost_again(c, text);
		return;
	}
	hindered(c, text);
	c->retry = ssi_clock_mono_ms() + AGAIN_MS;
	failover_wake(c->failover, AGAIN_MS);
}

static void waits(struct failover_case *c, const char *how)
{
	if (!goes_to(c, FAILOVER_BOOT))
		return;
	case_event(c, "failover", "machine %s %s", c->s.spare, how);
	crash_here(CRASH_FAILOVER_WAITING);
	failover_look(c->failover);
}

static void powered(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	struct failover *f = userdata;
	struct failover_case *c;
	struct ssi_err e;

	TAILQ_FOREACH(c, &f->cases, link)
		if (c->busy && !strcmp(c->s.spare, mac) && (c->step == FAILOVER_POWER || c->step == FAILOVER_BOOT))
			break;
	if (!c || err == -ECANCELED)
		return;
	c->busy = false;
	if (c->step == FAILOVER_BOOT) {          /* a reset that was worth a try */
		case_event(c, "failover", "machine %s did not ask: %s%s", mac, err < 0 ? "it cannot be reset: " : "reset", err < 0 ? why->text : "");
		failover_look(f);
		return;
	}
	/* It has asked meanwhile: one before us has switched it on. */
	if (a == SSI_POWER_STATUS && failover_spare_awake(f, mac)) {
		failover_look(f);
		return;
	}
	/* On already, and not waiting for us: something else runs there. */
	if (a == SSI_POWER_STATUS) {
		if (switch_it(c, err == 0 && state == 1 ? SSI_POWER_CYCLE : SSI_POWER_ON, &e) < 0)
			power_failed(c, &e);
		return;
	}
	if (err < 0) {
		power_failed(c, why);
		return;
	}
	crash_here(CRASH_FAILOVER_POWERED);
	waits(c, a == SSI_POWER_CYCLE ? "was switched off and on" : "was switched on");
}

static void run_power(struct failover_case *c)
{
	struct ssi_err e;
	int r;

	if (c->starting)
		return;
	c->waited = failover_spare_awake(c->failover, c->s.spare);
	if (c->waited || c->started) {
		crash_here(CRASH_FAILOVER_POWERED);
		waits(c, c->waited ? "waits for a boot script and asks within moments" : "is on its way");
		return;
	}
	r = switch_it(c, SSI_POWER_STATUS, &e);
	if (r == -ENOTSUP)
		waits(c, "is to be switched on by hand: nodes.d does not say how");
	else if (r < 0)
		power_failed(c, &e);
}

/* ---- boot ---- */

static void done(struct failover_case *c)
{
	char took[24];
	uint64_t now = ssi_clock_wall_ms();

	crash_here(CRASH_FAILOVER_JOINED);
	case_event(c, "failover", "done: machine %s plays it, joined %s after it was %s", c->s.spare,
		   ssi_num_format_ms(took, sizeof(took), now > c->s.detached ? now - c->s.detached : 0), c->s.ordered ? "asked for" : "detached");
	case_drop(c);
	crash_here(CRASH_FAILOVER_DONE);
}

/* How long ago the spare asked for a boot script, since it was bound. UINT64_MAX: it did not. */
static uint64_t asked_ms(const struct failover_case *c, uint64_t now)
{
	struct state_machine m;

	if (state_machine_get(c->failover->daemon->state, c->s.spare, &m, NULL) < 0 || m.last_seen < c->s.since)
		return UINT64_MAX;
	return now > m.last_seen ? now - m.last_seen : 0;
}

static void run_boot(struct failover_case *c)
{
	const struct ssi_head_node *n = node_of(c);
	uint64_t now = ssi_clock_wall_ms(), asked = asked_ms(c, now), in = in_step_ms(c);
	struct ssi_err e;

	if (n && n->state == SSI_NODE_JOINED) {
		done(c);
		return;
	}
	if (n && n->state == SSI_NODE_FAILED && now > n->since_ms + REBOOTS_MS && asked > REBOOTS_MS) {
		lost_again(c, n->reason);
		return;
	}
	if (asked == UINT64_MAX && in > STARTS_MS) {
		lost_again(c, "it never asked for its boot script");
		return;
	}
	/* It waited, and asks no more; or it was on already, with something else: once, a reset. */
	if (asked == UINT64_MAX && ((c->waited && in > ASKS_MS) || (c->started && in > COMES_MS))) {
		c->waited = c->started = false;
		(void)switch_it(c, SSI_POWER_CYCLE, &e);
	}
	failover_wake(c->failover, AGAIN_MS);
}

void failover_step_run(struct failover_case *c)
{
	static void (*const runs[FAILOVER_STEPS])(struct failover_case *c) = {
		[FAILOVER_STOP] = run_stop, [FAILOVER_FENCE] = run_fence, [FAILOVER_BIND] = run_bind, [FAILOVER_POWER] = run_power, [FAILOVER_BOOT] = run_boot,
	};
	uint64_t now = ssi_clock_mono_ms();

	if (c->gone || (c->busy && c->step != FAILOVER_BOOT))
		return;
	if (c->retry > now) {
		failover_wake(c->failover, c->retry - now);
		return;
	}
	if (runs[c->step])
		runs[c->step](c);
}
