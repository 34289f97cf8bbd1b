/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cases themselves: in the list, in the store, in the events. Used by the other files of the failover. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/events.h"
#include "bootsvc/failover-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"

struct failover_case *case_find(const struct failover *f, const char *node)
{
	struct failover_case *c;

	TAILQ_FOREACH(c, &f->cases, link)
		if (!strcmp(c->s.node, node))
			return c;
	return NULL;
}

void case_free(struct failover_case *c)
{
	TAILQ_REMOVE(&c->failover->cases, c, link);
	free(c);
}

void case_insert(struct failover *f, struct failover_case *c)
{
	struct failover_case *after = TAILQ_LAST(&f->cases, failover_cases);

	while (after && after->s.detached > c->s.detached)
		after = TAILQ_PREV(after, failover_cases, link);
	if (after)
		TAILQ_INSERT_AFTER(&f->cases, after, c, link);
	else
		TAILQ_INSERT_HEAD(&f->cases, c, link);
}

struct failover_case *case_new(struct failover *f, const char *node, uint64_t detached, const char *why)
{
	struct failover_case *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->failover = f;
	snprintf(c->s.node, sizeof(c->s.node), "%s", node);
	snprintf(c->s.why, sizeof(c->s.why), "%s", why);
	c->s.detached = detached;
	if (state_machine_of(f->daemon->state, node, c->s.machine, NULL) < 0) {
		free(c);
		return NULL;
	}
	case_insert(f, c);
	return c;
}

void case_event(const struct failover_case *c, const char *kind, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		events_add(c->failover->daemon->events, kind, c->s.node, c->s.spare, 0, "%s", text);
}

int case_put(struct failover_case *c, enum failover_step step, struct ssi_err *e)
{
	struct state *s = c->failover->daemon->state;
	struct state_failover to = c->s;
	int r;

	to.since = ssi_clock_wall_ms();
	snprintf(to.step, sizeof(to.step), "%s", failover_step_name(step));
	r = state_begin(s, true, e);
	if (r == 0)
		r = state_failover_put(s, &to, e);
	if (r == 0)
		r = state_commit(s, e);
	if (r < 0) {
		state_rollback(s);
		return r;
	}
	c->s = to;
	c->step = step;
	c->stored = true;
	c->tries = 0;
	c->retry = 0;
	c->note[0] = '\0';
	return 0;
}

void case_drop(struct failover_case *c)
{
	struct ssi_err e;

	if (c->stored && state_failover_rm(c->failover->daemon->state, c->s.node, &e) < 0)
		log_error("failover of %s: %s", c->s.node, e.text);
	case_free(c);
}
