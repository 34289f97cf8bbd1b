/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a station's program is told, from whoever notices until the loop calls it: states, why a session ended, and refusals, which are told at a
 * limited rate. A callback is called without a lock.
 */
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/station-internal.h"

#define REFUSED_WINDOW_MS 10000
#define REFUSED_TOLD 10

void station_because(struct station_peer *p, const struct ssi_err *why)
{
	if (!p->why)
		p->why = malloc(sizeof(*p->why));
	if (p->why)
		*p->why = *why;
}

void station_note(struct station_peer *p, enum ssi_ccm_state state)
{
	struct ssi_ccm_station *s = p->s;

	if (!s->config.ops->state)
		return;
	pthread_mutex_lock(&s->work_lock);
	if (p->n_notes == STATION_NOTES) {       /* a loop that is not run: what is oldest is least true */
		memmove(p->notes, p->notes + 1, sizeof(p->notes) - sizeof(p->notes[0]));
		p->n_notes--;
	}
	p->notes[p->n_notes].incarnation = p->incarnation;
	p->notes[p->n_notes++].state = state;
	pthread_mutex_unlock(&s->work_lock);
	station_work(p, WORK_NOTES);
}

void station_refused(struct ssi_ccm_station *s, struct in_addr addr, uint32_t node, const struct ssi_identity *id, const struct ssi_err *why)
{
	bool wake = false;

	atomic_fetch_add(&s->refused, 1);
	if (!s->config.ops->refused)
		return;
	pthread_mutex_lock(&s->work_lock);
	if (s->n_refusals == sizeof(s->refusals) / sizeof(s->refusals[0]))
		s->refusals_told.left_out++;
	else {
		s->refusals[s->n_refusals++] = (struct station_refusal){ addr, node, id ? *id : (struct ssi_identity){ 0 }, *why };
		wake = !s->woken && !station_in_loop(s);
		s->woken = s->woken || wake;
	}
	pthread_mutex_unlock(&s->work_lock);
	if (wake)
		station_wake(s);
}

/* One refusal out of the queue, within the limit. */
static bool tell_refusal(struct ssi_ccm_station *s, struct station_refusal *ret)
{
	bool tell = false;
	unsigned before = 0;

	pthread_mutex_lock(&s->work_lock);
	while (s->n_refusals && !tell) {
		*ret = s->refusals[0];
		memmove(s->refusals, s->refusals + 1, --s->n_refusals * sizeof(s->refusals[0]));
		tell = ssi_limit_pass(&s->refusals_told, s->now, REFUSED_WINDOW_MS, REFUSED_TOLD, false, &before);
	}
	if (before) {
		struct ssi_err e = ret->why;

		ssi_errf(&ret->why, e.code, "%s (%u more were refused before)", e.text, before);
	}
	pthread_mutex_unlock(&s->work_lock);
	return tell;
}

/* Why a session ended was told: of many that ended long ago it is not kept. */
static void notes_forget(struct station_peer *p)
{
	pthread_mutex_lock(&p->lock);
	free(p->why);
	p->why = NULL;
	pthread_mutex_unlock(&p->lock);
}

void station_notes(struct station_peer *p)
{
	struct ssi_ccm_station *s = p->s;

	pthread_mutex_lock(&s->work_lock);
	while (p->n_notes) {
		const uint64_t incarnation = p->notes[0].incarnation;
		const enum ssi_ccm_state state = p->notes[0].state;

		memmove(p->notes, p->notes + 1, --p->n_notes * sizeof(p->notes[0]));
		pthread_mutex_unlock(&s->work_lock);
		s->config.ops->state(p->node, incarnation, state, s->config.userdata);
		if (state == SSI_CCM_GONE)
			notes_forget(p);
		pthread_mutex_lock(&s->work_lock);
	}
	pthread_mutex_unlock(&s->work_lock);
}

void station_tell_refusals(struct ssi_ccm_station *s)
{
	struct station_refusal refusal;

	while (s->config.ops->refused && tell_refusal(s, &refusal))
		s->config.ops->refused(refusal.addr, refusal.node, refusal.id.kind ? &refusal.id : NULL, &refusal.why, s->config.userdata);
}
