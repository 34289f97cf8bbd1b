/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A siege: an endpoint in a process of its own, a good peer in another that measures its round trips, and attacks on the endpoint, one
 * kind after another. What is besieged is a table of functions, so that each engine of libssi/comm can be.
 */
#include <netinet/in.h>
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

/* Who speaks: the endpoint knows hostile and its key; nobody is unknown, the key's time is over for the last two. */
struct siege_names {
	uint8_t key[SSI_TLS_KEY];
	struct ssi_identity hostile, nobody, before, used;
};

struct siege_target {
	const char *name;
	const struct siege_names *names;
	/* Both in a process of their own; they never return. The port is written to ready (2 bytes) once the endpoint listens. NULL: it runs already. */
	void (*serve)(int ready, struct siege_tally *t);
	void (*befriend)(uint16_t port, struct gauge *g);
	const struct siege_attack *attacks;  /* the last has no name */
};

extern const struct siege_target siege_ccm, siege_station, siege_daemon;

/* siege-daemon.c: boot from the daemon at this address what besieges and befriends it. *ret_port: of its ccm. 0 or -errno, and said. */
int siege_daemon_prepare(struct in_addr master, uint16_t *ret_port);

/* Be let in as the hostile one: 0 or what came of it. */
int siege_enter(struct siege *s, struct raider *r);
/* siege-door.c: before the door, and bytes inside or below TLS that nobody should say. */
int door_wrong_key(struct siege *s, struct raider *r);
int door_unknown_name(struct siege *s, struct raider *r);
int door_wrong_incarnation(struct siege *s, struct raider *r);
int door_replayed_token(struct siege *s, struct raider *r);
int door_garbage(struct siege *s, struct raider *r);
int door_long_hello(struct siege *s, struct raider *r);
int door_half_hello(struct siege *s, struct raider *r);
int door_idle(struct siege *s, struct raider *r);
int door_come_and_go(struct siege *s, struct raider *r);
int door_garbage_inside(struct siege *s, struct raider *r);
int door_garbage_below(struct siege *s, struct raider *r);
