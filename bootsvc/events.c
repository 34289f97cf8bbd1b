/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events to the store, the log, and those who follow. Called by every part of the daemon. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"

struct follower {
	events_fn fn;            /* NULL: removed while events were handed out */
	void *userdata;
};

struct events {
	struct state *state;
	struct follower *followers;
	size_t n;
	unsigned busy;           /* events being handed out */
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
	struct ssi_err err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
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
