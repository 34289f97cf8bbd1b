/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: one job for each fence that is not confirmed, its rounds, and what is stored of it. What is stored counts from then on: a row before the node is
 * fencing, a step's proof before the next step, the confirmation before anybody hears of it. So a daemon that is killed repeats a step at most, and every step may be repeated.
 * Called by control-fence.c, the failover, boot.c, members.c and discovery.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/doors.h"
#include "bootsvc/events.h"
#include "bootsvc/fence-row.h"
#include "bootsvc/fence-steps.h"
#include "bootsvc/fence.h"
#include "bootsvc/neighbour.h"
#include "bootsvc/reload.h"
#include "bootsvc/volumes.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"

#define ALL_STEPS (FENCE_BIT(FENCE_STEPS) - 1)

struct waiter { struct waiter *next; fence_done done; void *userdata; };

/* A fence that is not confirmed. */
struct job {
	struct job *next;
	struct fence *fence;
	struct state_fence row;
	bool round;                      /* one is under way, or begins with the next turn of the loop */
	unsigned tried;                  /* steps, in this round */
	int step;                        /* that runs */
	struct fence_run *run;           /* NULL: none runs */
	sd_event_source *timer;
	struct waiter *waiters;
	char failure[SSI_ERR_MAX];       /* of this round */
	char said[FENCE_STEPS][128];     /* of each step's failure: so that it is said once */
};

struct fence {
	struct daemon *daemon;
	struct job *jobs;
	fence_done listener;
	void *listens;
};

static struct job *job_of(const struct fence *f, const char *node)
{
	struct job *j = f->jobs;

	while (j && strcmp(j->row.node, node) != 0)
		j = j->next;
	return j;
}

static struct job *job_on(const struct fence *f, const char *mac)
{
	struct job *j = f->jobs;

	while (j && strcmp(j->row.mac, mac) != 0)
		j = j->next;
	return j;
}

static void tell(struct job *j, const char *kind, const char *text)
{
	events_add(j->fence->daemon->events, kind, j->row.node, j->row.mac, j->row.incarnation, "%s", text);
}

/* Those that wait for this round. They may begin another fence from within. */
static void answer(struct job *j, int err, const struct ssi_err *why)
{
	struct waiter *due = TAKE_PTR(j->waiters);
	char node[64];

	strcpy(node, j->row.node);
	while (due) {
		struct waiter *w = due;

		due = w->next;
		if (w->done)
			w->done(node, err, why, w->userdata);
		free(w);
	}
}

static void job_unlink(struct job *j)
{
	struct job **at = &j->fence->jobs;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	fence_step_abandon(TAKE_PTR(j->run));
	j->timer = sd_event_source_disable_unref(j->timer);
}

/* It is not the fence of anything any more. */
static void job_drop(struct job *j, const char *text)
{
	struct ssi_err e;

	job_unlink(j);
	answer(j, ssi_errf(&e, -ECANCELED, "%s", text), &e);
	free(j);
}

static void begin_round(struct job *j, uint64_t us)
{
	sd_event_source_set_time_relative(j->timer, us);
	sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
}

/* The end of a round that did not confirm it; the next follows. */
static void not_confirmed(struct job *j)
{
	struct daemon *d = j->fence->daemon;
	bool news = !j->row.tries || strncmp(j->row.reason, j->failure, sizeof(j->row.reason) - 1) != 0;
	uint64_t pause = fence_plan_pause_ms(++j->row.tries);
	char text[320], took[24];
	struct ssi_err e;

	j->round = false;
	snprintf(j->row.reason, sizeof(j->row.reason), "%.255s", j->failure);
	if (fence_row_store(d, &j->row, false, &e) < 0)
		log_error("fence of %s: %s", j->row.node, e.text);
	snprintf(text, sizeof(text), "not fenced: %.255s", j->row.reason);
	ssi_head_fence_failed(d->head, j->row.node, text);
	if (news)
		events_add(d->events, "fence-failed", j->row.node, j->row.mac, j->row.incarnation, "not confirmed (%s): %s; tried again from %s on, ever more seldom; if its"
			   " machine is off for certain, say 'ssi node fence %s --confirm'", fence_policy_name(fence_row_policy(d, j->row.node)), j->row.reason,
			   ssi_num_format_ms(took, sizeof(took), pause), j->row.node);
	begin_round(j, pause * 1000);
	ssi_errf(&e, -EAGAIN, "not confirmed: %.400s", j->failure);
	answer(j, -EAGAIN, &e);
}

/* Ends j. */
static void confirmed(struct job *j, const char *how)
{
	struct fence *f = j->fence;
	struct daemon *d = f->daemon;
	const struct ssi_head_node *h = ssi_head_node(d->head, j->row.node);
	struct ssi_err e;

	snprintf(j->row.reason, sizeof(j->row.reason), "%s", how);
	j->row.phase = STATE_FENCE_CONFIRMED;
	j->row.ended = ssi_clock_wall_ms();
	if (fence_row_store(d, &j->row, false, &e) < 0) {
		j->row.phase = STATE_FENCE_WORK;
		snprintf(j->failure, sizeof(j->failure), "%s", e.text);
		not_confirmed(j);
		return;
	}
	tell(j, "fenced", how);
	job_unlink(j);
	if (h && h->state != SSI_NODE_BOOTING) {         /* booting: it is there again already */
		ssi_head_fence(d->head, j->row.node, j->row.why);
		ssi_head_fenced(d->head, j->row.node, "fenced");
	}
	if (j->row.proved & FENCE_BIT(FENCE_ISCSI))
		volumes_release(d, j->row.node);
	reload_binding(d, j->row.node);
	answer(j, 0, NULL);
	if (f->listener)
		f->listener(j->row.node, 0, NULL, f->listens);
	free(j);
}

static void step_failed(struct job *j, enum fence_step step, const struct ssi_err *why)
{
	size_t n = strlen(j->failure);
	char text[SSI_ERR_MAX + 32];

	snprintf(j->failure + n, sizeof(j->failure) - n, "%s%s: %s", n ? "; " : "", fence_step_name(step), why->text);
	if (strncmp(j->said[step], why->text, sizeof(j->said[step]) - 1) == 0)
		return;
	snprintf(j->said[step], sizeof(j->said[step]), "%.127s", why->text);
	snprintf(text, sizeof(text), "%s: not proved: %s", fence_step_name(step), why->text);
	tell(j, "fence", text);
}

static void go(struct job *j);

static void on_step(int err, const char *proof, const struct ssi_err *why, void *userdata)
{
	struct job *j = userdata;
	struct ssi_err e;
	char text[224];

	j->run = NULL;
	if (err == 0) {
		j->row.proved |= FENCE_BIT(j->step);
		err = fence_row_store(j->fence->daemon, &j->row, false, &e);
		why = &e;
	}
	if (err < 0) {
		j->row.proved &= ~FENCE_BIT(j->step);
		step_failed(j, (enum fence_step)j->step, why);
	} else {
		snprintf(text, sizeof(text), "%s: %.200s", fence_step_name((enum fence_step)j->step), proof);
		tell(j, "fence", text);
	}
	go(j);
}

/* The next step, or the end of the round. */
static void go(struct job *j)
{
	struct daemon *d = j->fence->daemon;
	enum ssi_fence policy = fence_row_policy(d, j->row.node);
	struct ssi_err e;
	char how[80];

	while ((j->step = fence_plan_next(policy, j->row.proved, j->tried)) >= 0) {
		j->tried |= FENCE_BIT(j->step);
		if (fence_step_run(d, (enum fence_step)j->step, &j->row, on_step, j, &j->run, &e) == 0)
			return;
		step_failed(j, (enum fence_step)j->step, &e);
	}
	if (!fence_plan_confirmed(policy, j->row.proved)) {
		not_confirmed(j);
		return;
	}
	snprintf(how, sizeof(how), "confirmed: all that 'fence = %s' asks for is proved", fence_policy_name(policy));
	confirmed(j, j->row.incarnation ? how : "confirmed: it never booted");
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct job *j = userdata;
	struct daemon *d = j->fence->daemon;

	if (!ssi_registry_node(d->registry, j->row.node)) {
		state_fence_rm(d->state, j->row.node, NULL);
		job_drop(j, "it is not in nodes.d any more");
		return 0;
	}
	j->round = true;
	j->tried = 0;
	j->failure[0] = '\0';
	go(j);
	return 0;
}

/* Its first round begins with the next turn of the loop. */
static int job_new(struct fence *f, const struct state_fence *row, struct job **ret, struct ssi_err *e)
{
	struct job *j = calloc(1, sizeof(*j));
	int r = j ? sd_event_add_time_relative(f->daemon->event, &j->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, j) : -ENOMEM;

	if (r < 0) {
		free(j);
		return ssi_errno(e, r, "fence of %s", row->node);
	}
	j->fence = f;
	j->row = *row;
	j->round = true;
	j->next = f->jobs;
	f->jobs = j;
	if (ret)
		*ret = j;
	return 0;
}

static int wait_for(struct job *j, fence_done done, void *userdata, struct ssi_err *e)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return ssi_errno(e, -ENOMEM, "fence of %s", j->row.node);
	*w = (struct waiter) { j->waiters, done, userdata };
	j->waiters = w;
	return 0;
}

static int begin(struct daemon *d, const struct ssi_node *n, const char *why, struct job **ret, struct ssi_err *e)
{
	struct state_fence row;
	char text[224];
	int r = fence_row_begin(d, n, &row, e);

	if (r < 0)
		return r;
	row.phase = STATE_FENCE_WORK;
	row.proved = !row.incarnation ? ALL_STEPS & ~FENCE_BIT(FENCE_KEY) : row.mac[0] ? 0 : FENCE_BIT(FENCE_DOOR) | FENCE_BIT(FENCE_POWER);
	snprintf(row.why, sizeof(row.why), "%s", why);
	r = fence_row_store(d, &row, true, e);
	if (r == 0)
		r = job_new(d->fence, &row, ret, e);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "begins (%s): %.128s", fence_policy_name(n->system->fence), why);
	tell(*ret, "fence", text);
	ssi_head_fence(d->head, n->name, why);
	return 0;
}

int fence_start(struct daemon *d, const char *node, const char *why, fence_done done, void *userdata, struct ssi_err *e)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);
	struct job *j = n ? job_of(d->fence, node) : NULL;
	int r = 0;

	if (!n)
		return ssi_errf(e, -ENOENT, "no node %s", node);
	if (!j)
		r = begin(d, n, why, &j, e);
	if (r == 0)
		r = wait_for(j, done, userdata, e);
	if (r < 0 || j->round)
		return r;
	tell(j, "fence", "tried again");
	ssi_head_fence(d->head, node, why);
	j->round = true;
	begin_round(j, 0);
	return 0;
}

void fence_listen(struct daemon *d, fence_done listener, void *userdata)
{
	d->fence->listener = listener;
	d->fence->listens = userdata;
}

int fence_confirm(struct daemon *d, const char *node, const char *who, struct ssi_err *e)
{
	struct job *j = job_of(d->fence, node);
	char how[128];

	if (!j)
		return ssi_errf(e, -ENOENT, "no fence of %s waits to be confirmed: 'ssi node fence %s' begins one", node, node);
	fence_step_abandon(TAKE_PTR(j->run));
	snprintf(how, sizeof(how), "confirmed by hand: %.60s says that its machine is off", who);
	confirmed(j, how);
	return 0;
}

static void open_door(struct daemon *d, const char *node, const char *mac, const char *why)
{
	struct ssi_err e;
	int r = doors_open(d->doors, mac, &e);

	if (r < 0)
		log_error("the door to %s: %s", mac, e.text);
	if (r > 0)
		events_add(d->events, "fence", node, mac, 0, "%s: this master is open to it again", why);
}

int fence_asks(struct daemon *d, const char *mac, struct in_addr peer, const char *node, char *text, size_t n)
{
	struct job *j = job_on(d->fence, mac);

	if (j && j->round) {
		snprintf(text, n, "machine %s waits: it is being fenced, as %s", mac, j->row.node);
		return -EAGAIN;
	}
	if ((!j && !doors_closed(d->doors, mac)) || !neighbour_is(peer, mac))
		return 0;
	open_door(d, node, mac, "its machine asks for a boot script");
	if (j && !(fence_plan_needs(fence_row_policy(d, j->row.node)) & ~j->row.proved & ~FENCE_BIT(FENCE_POWER)))
		confirmed(j, "confirmed: its machine asks for a boot script, so nothing older runs on it");
	return 0;
}

void fence_booted(struct daemon *d, const char *node, const char *mac, uint64_t incarnation)
{
	struct state_fence row;
	struct job *j;

	open_door(d, node, mac, "its machine boots afresh");
	/* One that cannot be stored stays, and is tried again. */
	for (const struct job *last = NULL; (j = job_on(d->fence, mac)) && j != last; last = j)
		confirmed(j, "confirmed: its machine boots afresh");
	j = job_of(d->fence, node);
	if (j)
		job_drop(j, "another machine plays it now");
	if (state_fence_get(d->state, node, &row, NULL) == 0 && row.incarnation < incarnation)
		state_fence_rm(d->state, node, NULL);
}

void fence_doubts(struct daemon *d, const char *node)
{
	const struct ssi_node *n = ssi_registry_node(d->registry, node);
	struct state_fence row;
	struct ssi_err e;

	if (!n || !d->fence || !fence_row_keeps(d, node) || job_of(d->fence, node) || fence_row_begin(d, n, &row, &e) < 0 || !row.incarnation)
		return;
	row.phase = STATE_FENCE_DOUBT;
	if (fence_row_store(d, &row, false, &e) < 0)
		log_error("%s: %s", node, e.text);
}

void fence_hears(struct daemon *d, const char *node, uint64_t incarnation)
{
	struct state_fence row;
	struct ssi_err e;

	if (!d->fence || state_fence_get(d->state, node, &row, NULL) < 0 || row.phase != STATE_FENCE_CONFIRMED || incarnation > row.incarnation ||
	    !(fence_plan_needs(fence_row_policy(d, node)) & FENCE_BIT(FENCE_POWER)))
		return;
	events_add(d->events, "fence-failed", node, row.mac, incarnation, "its machine speaks, and its power was said to be off (%s): who said so was wrong", row.reason);
	row.proved &= ~FENCE_BIT(FENCE_POWER);
	row.phase = STATE_FENCE_WORK;
	if (fence_row_store(d, &row, false, &e) < 0 || job_new(d->fence, &row, NULL, &e) < 0)
		log_error("fence of %s: %s", node, e.text);
	else
		ssi_head_fence(d->head, node, "its machine speaks after it was said to be off");
}

/* What the daemon before this one left. */
static void go_on(const struct state_fence *row, void *userdata)
{
	struct fence *f = userdata;
	const struct ssi_head_node *h = ssi_head_node(f->daemon->head, row->node);
	struct ssi_err e;
	struct job *j;

	if (row->phase == STATE_FENCE_CONFIRMED && h && h->state == SSI_NODE_FENCING)
		ssi_head_fenced(f->daemon->head, row->node, "fenced");
	if (row->phase != STATE_FENCE_WORK)
		return;
	if (job_new(f, row, &j, &e) < 0)
		log_error("%s", e.text);
	else
		tell(j, "fence", "goes on after a start of the daemon");
}

static void stand_still(struct fence *f)
{
	for (struct job *j = f->jobs; j; j = j->next) {
		const struct ssi_head_node *h = ssi_head_node(f->daemon->head, j->row.node);

		if (h && h->state != SSI_NODE_DETACHED)
			ssi_head_fence(f->daemon->head, j->row.node, j->row.why);
	}
}

int fence_new(struct daemon *d, struct fence **ret, struct ssi_err *e)
{
	struct fence *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return ssi_errno(e, -ENOMEM, "fences");
	f->daemon = d;
	r = state_fence_each(d->state, go_on, f, e);
	if (r < 0) {
		fence_free(f);
		return r;
	}
	stand_still(f);
	*ret = f;
	return 0;
}

void fence_free(struct fence *f)
{
	if (!f)
		return;
	while (f->jobs)
		job_drop(f->jobs, "ssi-bootsvc is stopping");
	free(f);
}
