/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events to the store, the log, and those who follow. Called by every part of the daemon. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/limit.h"
#include "libssi/base/log.h"
#include "libssi/base/map.h"

/* What a node, or who asks in its name, can cause as often as it likes is stored and told only so often; nodes whose names fall together share. */
#define VOICES 16384
#define VOICE_WINDOW_MS 60000
#define VOICE_MAX 100            /* a boot takes some twenty */

struct follower {
	events_fn fn;            /* NULL: removed while events were handed out */
	void *userdata;
};

struct events {
	struct state *state;
	struct follower *followers;
	size_t n;
	unsigned busy;           /* events being handed out */
	struct ssi_limit voices[VOICES];
};

int events_new(struct state *s, struct events **ret)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return -ENOMEM;
	ev->state = s;
	*ret = ev;
	return 0;
}

void events_free(struct events *ev)
{
	if (ev)
		free(ev->followers);
	free(ev);
}

/* What an operator must look at. */
static int level_of(const char *kind)
{
	static const char *const bad[] = { "boot-failed", "intrusion", "image-missing", "detach", "refuse" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (strcmp(kind, bad[i]) == 0)
			return LOG_WARNING;
	return strcmp(kind, "stage") == 0 ? LOG_DEBUG : LOG_INFO;
}

/* Who can cause an event like this as often as it likes; "" for one that nobody can. A boot is asked for in a machine's name, by anyone: that
 * must not silence the node. */
static const char *voice_of(const struct state_event *e)
{
	static const char *const said[] = { "boot-failed", "hotplug", "node-event", "refuse", "rejoin", "stage" };

	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		if (strcmp(e->kind, said[i]) == 0)
			return *e->node ? e->node : e->machine;
	return strcmp(e->kind, "arm") == 0 ? e->machine : "";
}

static void events_compact(struct events *ev)
{
	size_t kept = 0;

	for (size_t i = 0; i < ev->n; i++)
		if (ev->followers[i].fn)
			ev->followers[kept++] = ev->followers[i];
	ev->n = kept;
}

void events_add(struct events *ev, const char *kind, const char *node, const char *machine, uint64_t incarnation, const char *fmt, ...)
{
	char text[1024];
	struct state_event e = { .time = ssi_clock_wall_ms(), .kind = kind, .node = node ?: "", .machine = machine ?: "", .incarnation = incarnation,
				 .text = text };
	const char *who = voice_of(&e);
	unsigned left_out = 0;
	struct ssi_err err;
	size_t n;
	va_list ap;

	if (*who &&
	    !ssi_limit_pass(&ev->voices[ssi_map_hash(who) % VOICES], ssi_clock_mono_ms(), VOICE_WINDOW_MS, VOICE_MAX, false, &left_out))
		return;
	va_start(ap, fmt);
	n = (size_t)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (left_out && n < sizeof(text))
		snprintf(text + n, sizeof(text) - n, " (%u events of it were left out before)", left_out);
	ssi_log(level_of(kind), "%s%s%s%s%s: %s", kind, *e.node ? " " : "", e.node, *e.machine ? " " : "", e.machine, text);
	if (state_event_add(ev->state, &e, &err) < 0)
		log_error("this event could not be stored: %s", err.text);
	ev->busy++;
	for (size_t i = 0; i < ev->n; i++)
		if (ev->followers[i].fn)
			ev->followers[i].fn(&e, ev->followers[i].userdata);
	if (--ev->busy == 0)
		events_compact(ev);
}

int events_follow(struct events *ev, events_fn fn, void *userdata)
{
	struct follower *grown = reallocarray(ev->followers, ev->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	ev->followers = grown;
	grown[ev->n++] = (struct follower) { fn, userdata };
	return 0;
}

void events_unfollow(struct events *ev, events_fn fn, void *userdata)
{
	for (size_t i = 0; i < ev->n; i++)
		if (ev->followers[i].fn == fn && ev->followers[i].userdata == userdata)
			ev->followers[i].fn = NULL;
	if (ev->busy == 0)
		events_compact(ev);
}
