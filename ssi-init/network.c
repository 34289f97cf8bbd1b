/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network stage: find the booted interface by its address, configure it, wait for its carrier. No names are looked up, nothing is asked of DHCP. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "ssi-init/link.h"
#include "ssi-init/network.h"
#include "ssi-init/outcome.h"

#define APPEAR_MS 4000          /* a driver may probe its device after its module is in */
#define CARRIER_MS 15000        /* a switch with spanning tree takes its time */

struct network {
	const char *mac;
	struct link_info found;     /* index 0: not there */
	int loopback;
	char seen[256];             /* the other interfaces, for people */
};

static int network_look(const struct link_info *i, void *userdata)
{
	struct network *n = userdata;
	size_t len = strlen(n->seen);

	if (i->loopback) {
		n->loopback = i->index;
		return 0;
	}
	if (!strcmp(i->mac, n->mac))
		n->found = *i;
	else if (i->mac[0])
		snprintf(n->seen + len, sizeof(n->seen) - len, "%s%s %s", len ? ", " : "", i->name, i->mac);
	return 0;
}

static int network_list(struct link *l, struct network *n, struct ssi_err *e)
{
	n->found = (struct link_info){ 0 };
	n->seen[0] = '\0';
	return link_list(l, network_look, n, e);
}

/*
 * A carrier that was there when the interface was set up counts at once: its queues run, though the kernel's link watch says so (IFF_RUNNING)
 * up to a second later. One that comes after that counts when the link watch has started the queues: what is sent before is lost, and
 * TCP asks again after a second only.
 */
static bool network_ready(const struct network *n, bool carrier, bool first)
{
	return n->found.index && (!carrier || n->found.running || (first && n->found.carrier));
}

/* Look again at each change, at most timeout_ms, until the interface is there, or has a carrier. 1 if so, 0 if not. */
static int network_until(struct link *l, struct network *n, bool carrier, unsigned timeout_ms, struct ssi_err *e)
{
	uint64_t end = ssi_clock_mono_ms() + timeout_ms, now;
	bool first = true;
	int r;

	for (;;) {
		r = network_list(l, n, e);
		if (r < 0)
			return r;
		if (network_ready(n, carrier, first))
			return 1;
		first = false;
		now = ssi_clock_mono_ms();
		if (now >= end)
			return 0;
		r = link_wait(l, (int)(end - now), e);
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	}
}

static int network_configure(struct link *l, const struct network *n, const struct ssi_bootargs *a, struct ssi_err *e)
{
	int r = n->loopback ? link_set_up(l, n->loopback, e) : 0;

	if (r == 0)
		r = link_set_up(l, n->found.index, e);
	if (r == 0)
		r = link_add_address(l, n->found.index, a->address, a->prefix, e);
	if (r == 0 && a->gateway.s_addr)
		r = link_add_default_route(l, n->found.index, a->gateway, e);
	return r < 0 ? ssi_err_prefix(e, "%s", n->found.name) : 0;
}

int network_up(const struct ssi_bootargs *a, struct ssi_err *e)
{
	struct network n = { .mac = a->mac };
	_cleanup_link_ struct link *l = NULL;
	int r = link_open(&l, e);

	if (r < 0)
		return r;
	outcome_note("waiting for an interface with address %s", a->mac);
	r = network_until(l, &n, false, APPEAR_MS, e);
	if (r < 0)
		return r;
	if (r == 0)
		return ssi_errf(e, -ENODEV, "no interface has address %s, which was booted from; there %s %s", a->mac,
				n.seen[0] ? "are:" : "is", n.seen[0] ? n.seen : "none");
	r = network_configure(l, &n, a, e);
	if (r < 0)
		return r;
	outcome_note("waiting for a carrier on %s", n.found.name);
	r = network_until(l, &n, true, CARRIER_MS, e);
	if (r < 0)
		return r;
	if (r == 0)
		return ssi_errf(e, -ENETDOWN, "%s (%s): no carrier in %d s; is the cable in?", n.found.name, a->mac, CARRIER_MS / 1000);
	return 0;
}
