/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which spares can be had: those of the system that are set aside for nobody, and that either wait for a boot script (they ask every 5 s) or can be switched on. One that
 * waits is taken first: it needs no boot of its firmware. Called by failover.c and failover-step.c.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/failover-internal.h"
#include "libssi/base/clock.h"

static bool awake(const struct state_machine *m, uint64_t now)
{
	return m->waited && m->waited + FAILOVER_AWAKE_MS > now;
}

bool failover_spare_awake(struct failover *f, const char *mac)
{
	struct state_machine m;

	return state_machine_get(f->daemon->state, mac, &m, NULL) == 0 && awake(&m, ssi_clock_wall_ms());
}

static bool has_power(const struct daemon *d, const char *mac)
{
	const struct ssi_machine *m = ssi_registry_machine(d->registry, mac);

	return m && ssi_machine_value(m, "power");
}

static bool set_aside(const struct failover *f, const char *mac)
{
	const struct failover_case *c;

	TAILQ_FOREACH(c, &f->cases, link)
		if (failover_step_begun(c->step) && !strcmp(c->s.spare, mac))
			return true;
	return false;
}

struct search {
	struct failover *failover;
	uint64_t now;
	int n;
	bool awake;
	char best[SSI_MAC_LEN];
};

static void look_at_spare(const struct state_machine *m, void *userdata)
{
	struct search *g = userdata;
	bool up = awake(m, g->now);

	if (set_aside(g->failover, m->mac) || (!up && !has_power(g->failover->daemon, m->mac)))
		return;
	if (!g->n || (up && !g->awake)) {
		strcpy(g->best, m->mac);
		g->awake = up;
	}
	g->n++;
}

static int search(struct failover *f, const char *system, struct search *ret, struct ssi_err *e)
{
	*ret = (struct search) { .failover = f, .now = ssi_clock_wall_ms() };
	return state_spare_each(f->daemon->state, system, look_at_spare, ret, e);
}

int failover_spare_count(struct failover *f, const char *system)
{
	struct search g;
	int r = search(f, system, &g, NULL);

	return r < 0 ? r : g.n;
}

int failover_spare_pick(struct failover *f, const char *system, char ret[SSI_MAC_LEN], struct ssi_err *e)
{
	struct search g;
	int r = search(f, system, &g, e);

	if (r < 0)
		return r;
	if (!g.n)
		return ssi_errf(e, -ENOENT, "no spare of system %s can be had", system);
	memcpy(ret, g.best, SSI_MAC_LEN);
	return 0;
}
