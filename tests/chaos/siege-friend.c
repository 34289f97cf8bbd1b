/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the good peer of a siege: a node that asks the endpoint, again and again, and measures how long it waits. Called by siege.c in a process of its
 * own. Its session would survive a connection that breaks, and hide it: so that is a failure too.
 */
#include <string.h>
#include "libssi/comm/ccm-internal.h"
#include "tests/chaos/siege.h"

#define FRIEND_MS 15000              /* a round trip may take so long: what is late is measured, what never comes has failed */
#define FRIEND_TYPES 8               /* of its module, that it may hear */

struct friend {
	const struct siege_friend *who;
	struct gauge *gauge;
	sd_event *event;
	sd_event_source *timer;
	struct ssi_ccm *ccm;
	struct ssi_ccm_conn *conn;
	bool asked;
	uint64_t began, sequence;
};

static void friend_fail(struct friend *f)
{
	f->gauge->failed++;
	sd_event_exit(f->event, 1);
}

static void friend_time(struct friend *f, uint64_t us)
{
	sd_event_source_set_time_relative(f->timer, us);
	sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
}

static void friend_ask(struct friend *f)
{
	f->asked = true;
	f->began = gauge_now_us();
	friend_time(f, FRIEND_MS * 1000);
	if (ssi_ccm_send(f->conn, f->who->module, f->who->asks, ++f->sequence, f->who->body, f->who->n) < 0)
		friend_fail(f);
}

static int friend_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct friend *f = userdata;

	if (f->asked)
		friend_fail(f);
	else
		friend_ask(f);
	return 0;
}

static int friend_on_answer(struct ssi_ccm_conn *c, const struct ssi_ccm_head *h, const uint8_t *body, void *userdata)
{
	struct friend *f = userdata;
	struct ssi_ccm_station_stats stats;

	ssi_ccm_station_stats(f->ccm->station, &stats);
	if (!f->asked || h->sequence != f->sequence || stats.links != 1 ||
	    (f->who->echoed && (h->size != f->who->n || memcmp(body, f->who->body, f->who->n)))) {
		friend_fail(f);
		return 0;
	}
	gauge_add(f->gauge, gauge_now_us() - f->began);
	f->asked = false;
	friend_time(f, f->who->pace_us);
	return 0;
}

/* What it is told beside. */
static int friend_on_other(struct ssi_ccm_conn *c, const struct ssi_ccm_head *h, const uint8_t *body, void *userdata)
{
	return 0;
}

static void friend_on_opened(struct ssi_ccm_conn *c, void *userdata)
{
	friend_ask(userdata);
}

static void friend_on_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	friend_fail(userdata);
}

void siege_befriend(struct in_addr addr, uint16_t port, const struct siege_friend *who, struct gauge *g)
{
	static const struct ssi_ccm_ops ops = { .opened = friend_on_opened, .closed = friend_on_closed };
	struct friend f = { .who = who, .gauge = g };
	int r = sd_event_new(&f.event);

	if (r >= 0)
		r = sd_event_add_time_relative(f.event, &f.timer, CLOCK_MONOTONIC, FRIEND_MS * 1000ull, 1, friend_on_timer, &f);
	if (r >= 0)
		r = ssi_ccm_new(f.event, &ops, &f, &f.ccm);
	for (uint16_t type = 1; type <= FRIEND_TYPES && r >= 0; type++) {
		const struct ssi_ccm_rule rule = { who->module, type, SSI_CCM_BODY_MAX, SSI_FROM_MASTER,
						   type == who->hears ? friend_on_answer : friend_on_other, &f };

		r = ssi_ccm_register(f.ccm, &rule, 1);
	}
	f.asked = true;                      /* to be let in */
	if (r >= 0)
		r = ssi_ccm_connect(f.ccm, addr, port, &who->as, who->key, FRIEND_MS, &f.conn, NULL);
	if (r >= 0)
		r = sd_event_loop(f.event);
	g->failed += r < 0;
}
