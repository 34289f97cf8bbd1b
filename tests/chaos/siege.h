/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A siege: an endpoint in a process of its own, a good peer in another that measures its round trips, and attacks on the endpoint, one
 * kind after another. What is besieged is a table: who may speak to it, what they may say, and the attacks that are for it alone.
 */
#include <netinet/in.h>
#include "libssi/comm/station.h"
#include "libssi/comm/station-frame.h"
#include "libssi/comm/tls.h"
#include "tests/chaos/gauge.h"
#include "tests/chaos/raider.h"

/* What the endpoint counts, shared with who judges it. */
struct siege_tally {
	_Atomic unsigned told;               /* refusals that it would have logged */
	_Atomic unsigned opened, closed;     /* sessions, as its user is told */
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

struct siege_word { uint16_t module, type; uint32_t max; };

/* Who speaks: the endpoint knows hostile and its key. */
struct siege_names {
	uint8_t key[SSI_TLS_KEY], before_key[SSI_TLS_KEY], used_key[SSI_TLS_KEY];
	struct ssi_identity hostile, nobody;
	struct ssi_identity before, used;    /* their keys were good once: of the hostile one's last incarnation, of a machine that has booted */
	uint32_t self, number, other;        /* the endpoint, the hostile one and somebody else, by number */
	struct siege_word may[2], may_not[8];        /* what the hostile one may say, the second as news too; and what others may (module 0: no more) */
};

/* The good peer: it asks, and waits for what it hears, and asks. */
struct siege_friend {
	struct ssi_ccm_as as;
	uint8_t key[SSI_TLS_KEY];
	uint16_t module, asks, hears;
	uint8_t body[4096];
	size_t n;
	bool echoed;                         /* the answer is what was asked */
	unsigned pace_us;
};

struct siege_target {
	const char *name;
	const struct siege_names *names;
	const struct siege_friend *friend;
	/* In a process of its own; never returns. The port is written to ready (2 bytes) once the endpoint listens. NULL: it runs already. */
	void (*serve)(int ready, struct siege_tally *t);
	const struct siege_attack *attacks[5];       /* tables, each to an entry without a name; the last is NULL */
};

extern const struct siege_target siege_ccm, siege_station, siege_daemon;

/* siege-daemon.c: boot from the daemon at this address what besieges and befriends it. *ret_port: of its ccm. 0 or -errno, and said. */
int siege_daemon_prepare(struct in_addr master, uint16_t *ret_port);

/* siege-friend.c: be it, until something fails; that is counted. */
void siege_befriend(struct in_addr addr, uint16_t port, const struct siege_friend *who, struct gauge *g);

/* siege-door.c: what every door must withstand, whatever is spoken behind it. */
extern const struct siege_attack door_attacks[];
int door_unknown_name(struct siege *s, struct raider *r);
int door_wrong_incarnation(struct siege *s, struct raider *r);
int door_used_token(struct siege *s, struct raider *r);
/* Be let in as the hostile one: 0 or what came of it. */
int siege_enter(struct siege *s, struct raider *r);

/* siege-session.c: what every endpoint must withstand of a node whose key is good. */
extern const struct siege_attack session_attacks[];
/* A call from the hostile one, or (serial 0) news. */
struct station_frame session_frame(const struct siege *s, const struct siege_word *w, uint64_t serial, uint32_t size);
int session_say(struct raider *r, const struct station_frame *f, const void *body, size_t n);        /* body NULL: n zeros, at most STATION_BODY_MAX */
int session_greet(struct siege *s, struct raider *r);        /* be let in, and begin a session */
int session_verdict(struct raider *r, int k);                /* k if that is an error, else how the other end ends it */
int session_greet_and_say(struct siege *s, struct raider *r, struct station_frame f, const void *body, size_t n);    /* and the verdict */
