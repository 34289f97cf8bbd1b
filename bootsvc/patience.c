/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for machines that are on their way up. Called by members.c. One timer, armed while somebody is waited for. A machine that turns up after all
 * is let in: its boot counts again from there.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/events.h"
#include "bootsvc/patience.h"
#include "libssi/base/clock.h"

struct waited { char node[64]; uint64_t incarnation, until_ms; };

struct patience {
	struct daemon *daemon;
	sd_event_source *timer;
	struct waited *w;                /* in the order of until_ms: each waits as long as any other */
	size_t n, room;
};

static void timer_set(struct patience *p)
{
	uint64_t now = ssi_clock_mono_ms();

	if (!p->n) {
		sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(p->timer, (p->w[0].until_ms > now ? p->w[0].until_ms - now : 0) * 1000);
	sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void take_out(struct patience *p, size_t i)
{
	memmove(&p->w[i], &p->w[i + 1], (--p->n - i) * sizeof(*p->w));
}

void patience_end(struct patience *p, const char *node)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->w[i].node, node) == 0) {
			take_out(p, i);
			timer_set(p);
			return;
		}
}

void patience_begin(struct patience *p, const char *node, uint64_t incarnation)
{
	patience_end(p, node);
	if (p->n == p->room) {
		struct waited *grown = reallocarray(p->w, p->room * 2 + 16, sizeof(*grown));

		if (!grown)
			return;
		p->w = grown;
		p->room = p->room * 2 + 16;
	}
	p->w[p->n] = (struct waited) { .incarnation = incarnation, .until_ms = ssi_clock_mono_ms() + PATIENCE_MS };
	strcpy(p->w[p->n++].node, node);
	timer_set(p);
}

static void give_up(struct patience *p, const struct waited *w)
{
	const struct ssi_head_node *n = ssi_head_node(p->daemon->head, w->node);

	if (!n || n->state != SSI_NODE_BOOTING || n->incarnation != w->incarnation)
		return;
	events_add(p->daemon->events, "boot-failed", w->node, "", w->incarnation, "nothing heard for %d s since its boot script: look at its console",
		   PATIENCE_MS / 1000);
	ssi_head_boot_failed(p->daemon->head, w->node, w->incarnation, "nothing heard since its boot script");
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct patience *p = userdata;
	uint64_t now = ssi_clock_mono_ms();

	while (p->n && p->w[0].until_ms <= now) {
		struct waited w = p->w[0];

		take_out(p, 0);
		give_up(p, &w);
	}
	timer_set(p);
	return 0;
}

int patience_new(struct daemon *d, struct patience **ret)
{
	struct patience *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->daemon = d;
	r = sd_event_add_time_relative(d->event, &p->timer, CLOCK_MONOTONIC, 0, 1000000, on_timer, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
	if (r < 0) {
		patience_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void patience_free(struct patience *p)
{
	if (!p)
		return;
	sd_event_source_disable_unref(p->timer);
	free(p->w);
	free(p);
}
