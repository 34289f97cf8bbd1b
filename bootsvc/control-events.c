/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events: what is stored, then with follow what happens. A follower that reads slowly is caught up from the store, so the daemon keeps nothing for
 * it in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"

struct follow {
	struct daemon *daemon;
	struct ssi_control_request *request;
	struct ssi_nodelist *nodes;      /* sorted; NULL: all */
	uint64_t last;                   /* id that was sent last */
	bool follow, paused;
};

static void follow_free(struct follow *f)
{
	if (f)
		ssi_nodelist_free(f->nodes);
	free(f);
}

static void follow_freep(struct follow **f)
{
	follow_free(*f);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool wants(const struct follow *f, const struct state_event *ev)
{
	return !f->nodes || bsearch(&ev->node, f->nodes->names, f->nodes->n, sizeof(*f->nodes->names), by_name);
}

/* 1: the client has to catch up first, or is gone. */
static int send_one(struct follow *f, const struct state_event *ev)
{
	json_t *o;

	f->last = ev->id;
	if (!wants(f, ev))
		return 0;
	o = json_pack("{s:I, s:I, s:s, s:s, s:s, s:I, s:o}", "id", (json_int_t)ev->id, "time", (json_int_t)ev->time, "kind", ev->kind, "node", ev->node,
		      "machine", ev->machine, "incarnation", (json_int_t)ev->incarnation, "text", ssi_control_text(ev->text));
	return o && ssi_control_event(f->request, o) != 0;
}

static int stored(const struct state_event *ev, void *userdata)
{
	struct follow *f = userdata;

	f->paused = send_one(f, ev);
	return f->paused;
}

static void happened(const struct state_event *ev, void *userdata)
{
	struct follow *f = userdata;

	if (!f->paused)
		f->paused = send_one(f, ev);
}

/* From the store up to now; without follow that is the end. */
static void catch_up(struct ssi_control_request *q, void *userdata)
{
	struct follow *f = userdata;
	struct ssi_err e;
	int r;

	f->paused = false;
	r = state_event_each(f->daemon->state, f->last, false, stored, f, &e);
	if (f->paused || (f->follow && r == 0))
		return;
	if (r < 0)
		ssi_control_fail(q, &e, NULL, NULL);
	else
		ssi_control_ok(q, NULL);
	events_unfollow(f->daemon->events, happened, f);
	follow_free(f);
}

static void gone(struct ssi_control_request *q, void *userdata)
{
	struct follow *f = userdata;

	events_unfollow(f->daemon->events, happened, f);
	follow_free(f);
}

/* The id behind which the last events lie that are wanted, looked for from the newest back. */
struct counting { const struct follow *f; uint64_t left, since; };

static int count_one(const struct state_event *ev, void *userdata)
{
	struct counting *c = userdata;

	if (wants(c->f, ev) && --c->left == 0)
		c->since = ev->id - 1;
	return c->left == 0;
}

static uint64_t since_for_limit(struct follow *f, uint64_t since, uint64_t limit)
{
	struct counting c = { f, limit, since };

	if (limit)
		state_event_each(f->daemon->state, since, true, count_one, &c, NULL);
	return c.since;
}

int control_events(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	SSI_CLEANUP(follow_freep) struct follow *f = calloc(1, sizeof(*f));
	const char *range = json_string_value(json_object_get(args, "node"));
	uint64_t limit = (uint64_t)ssi_json_int(args, "limit");
	int r = f ? 0 : -ENOMEM;

	if (r < 0)
		return ssi_errno(e, r, "events");
	f->daemon = userdata;
	f->request = q;
	if (range)
		r = ssi_nodelist_parse(range, &f->nodes, e);
	if (r < 0)
		return r;
	if (f->nodes)
		qsort(f->nodes->names, f->nodes->n, sizeof(*f->nodes->names), by_name);
	f->last = since_for_limit(f, (uint64_t)ssi_json_int(args, "since"), limit);
	f->follow = json_is_true(json_object_get(args, "follow"));
	r = f->follow ? events_follow(f->daemon->events, happened, f) : 0;
	if (r < 0)
		return ssi_errno(e, r, "events");
	ssi_control_watch(q, catch_up, gone, f);
	catch_up(q, TAKE_PTR(f));
	return 0;
}
