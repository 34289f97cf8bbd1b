/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A siege: an endpoint in a process of its own, a good peer in another that measures its round trips, and attacks on the endpoint, one
 * kind after another. What is besieged is a table of functions, so that each engine of libssi/comm can be.
 */
#include "libssi/comm/tls.h"
#include "tests/chaos/gauge.h"
#include "tests/chaos/raider.h"

/* What the endpoint counts, shared with who judges it. */
struct siege_tally {
	_Atomic unsigned told;               /* refusals that it would have logged */
	_Atomic unsigned let_in, gone;       /* connections that were opened, and of them those that ended */
	_Atomic unsigned why[256];           /* by -errno: why they ended, or were refused as far as it was told */
};

struct siege {
	const struct siege_target *target;
	uint16_t port;
	unsigned i;                          /* which of its attacks this is */
	struct siege_tally *tally;
	struct gauge *gauge;
};

struct siege_attack {
	const char *name;
	unsigned few, many;                  /* how often: in the short form and in the full one */
	bool hold;                           /* all of them stay connected until the last has come */
	int expect;                          /* what each ends with */
	/* One of them. r is free to use, and freed afterwards. */
	int (*one)(struct siege *s, struct raider *r);
};

struct siege_target {
	const char *name;
	/* Both in a process of their own; they never return. The port is written to ready (2 bytes) once the endpoint listens. */
	void (*serve)(int ready, struct siege_tally *t);
	void (*befriend)(uint16_t port, struct gauge *g);
	const struct siege_attack *attacks;  /* the last has no name */
};

extern const struct siege_target siege_ccm;
