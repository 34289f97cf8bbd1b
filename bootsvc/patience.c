/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for machines that are on their way up. Called by members.c. One timer, armed while somebody is waited for. A machine that turns up after all
 * is let in: its boot counts again from there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "bootsvc/events.h"
#include "bootsvc/http.h"
#include "bootsvc/patience.h"
#include "libssi/base/clock.h"
#include "libssi/base/map.h"

/* A node that was waited for once; kept, because each is again. */
struct waited { TAILQ_ENTRY(waited) link; bool waiting; char node[64]; uint64_t incarnation, until_ms; };

struct patience {
	struct daemon *daemon;
	sd_event_source *timer;
	struct ssi_map by_name;
	TAILQ_HEAD(waiteds, waited) waiting;     /* in the order of until_ms: each waits as long as any other */
};

static void timer_set(struct patience *p)
{
	const struct waited *first = TAILQ_FIRST(&p->waiting);
	uint64_t now = ssi_clock_mono_ms();

	if (!first) {
		sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(p->timer, (first->until_ms > now ? first->until_ms - now : 0) * 1000);
	sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void take_out(struct patience *p, struct waited *w)
{
	TAILQ_REMOVE(&p->waiting, w, link);
	w->waiting = false;
}

void patience_end(struct patience *p, const char *node)
{
	struct waited *w = ssi_map_get(&p->by_name, node);

	if (!w || !w->waiting)
		return;
	take_out(p, w);
	timer_set(p);
}

/* NULL: no memory. */
static struct waited *waited_new(struct patience *p, const char *node)
{
	struct waited *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	strcpy(w->node, node);
	if (ssi_map_put(&p->by_name, w->node, w) == 0)
		return w;
	free(w);
	return NULL;
}

void patience_begin(struct patience *p, const char *node, uint64_t incarnation)
{
	struct waited *w = ssi_map_get(&p->by_name, node);

	if (!w)
		w = waited_new(p, node);
	if (!w)
		return;
	if (w->waiting)
		take_out(p, w);
	w->incarnation = incarnation;
	w->until_ms = ssi_clock_mono_ms() + PATIENCE_MS;
	w->waiting = true;
	TAILQ_INSERT_TAIL(&p->waiting, w, link);
	timer_set(p);
}

static void give_up(struct patience *p, const struct waited *w)
{
	const struct ssi_head_node *n = ssi_head_node(p->daemon->head, w->node);

	if (!n || n->state != SSI_NODE_BOOTING || n->incarnation != w->incarnation)
		return;
	/* An image of gigabytes, or one that hundreds fetch together, may take longer. */
	if (http_serves(p->daemon->http, w->node)) {
		patience_begin(p, w->node, w->incarnation);
		return;
	}
	events_add(p->daemon->events, "boot-failed", w->node, "", w->incarnation, "nothing heard for %d s since its boot script: look at its console",
		   PATIENCE_MS / 1000);
	ssi_head_boot_failed(p->daemon->head, w->node, w->incarnation, "nothing heard since its boot script");
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct patience *p = userdata;
	uint64_t now = ssi_clock_mono_ms();

	for (struct waited *w; (w = TAILQ_FIRST(&p->waiting)) && w->until_ms <= now;) {
		take_out(p, w);
		give_up(p, w);
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
	TAILQ_INIT(&p->waiting);
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
	for (size_t i = 0; i < p->by_name.cap; i++)
		free(p->by_name.slots[i].value);
	ssi_map_free(&p->by_name);
	free(p);
}
