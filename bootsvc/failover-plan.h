/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What is to be done about the nodes of a system that are lost. Pure: it is told how things are, and says for each node which step comes next;
 * failover.c does it, stores it, and asks again when something has changed or the time it was told has come.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/model/nodestate.h"
#include "libssi/model/registry.h"

/* The steps of a failover, in this order; those that only wait come first. Their names stand in the store. */
enum failover_step {
	FAILOVER_NONE,         /* nothing is the matter, or nothing is to be done */
	FAILOVER_LOOK,         /* detached, and others have fallen silent too: a moment more, then it is known whether it is the network. Not stored */
	FAILOVER_DELAY,        /* may come back by itself yet (failover_delay). Not stored */
	FAILOVER_ASK,          /* an administrator decides */
	FAILOVER_HAND,         /* its machine was switched off, or off and on, by hand: until it comes back, or an administrator decides */
	FAILOVER_NETWORK,      /* too many at once: it is the network. Until it comes back, or an administrator decides */
	FAILOVER_LIMIT,        /* too many lately. As above */
	FAILOVER_SPARE,        /* no spare is to be had: until one is, or its machine comes back */
	FAILOVER_STOP,         /* moved by hand: it is being shut down in order */
	FAILOVER_FENCE,        /* a spare is set aside for it; the last incarnation is being fenced */
	FAILOVER_BIND,         /* that is confirmed: the spare is to become this node */
	FAILOVER_POWER,        /* bound; the spare is to be started */
	FAILOVER_BOOT,         /* started: until it has joined */
	FAILOVER_STEPS
};
const char *failover_step_name(enum failover_step s);               /* "none", "look", ... */
int failover_step_parse(const char *name);                          /* the step, or -EINVAL */
/* It has begun: a spare is its, and it goes on to the end. */
static inline bool failover_step_begun(enum failover_step s) { return s >= FAILOVER_STOP; }

struct failover_policy {
	enum ssi_failover mode;
	uint64_t delay_ms, limit_ms;
	unsigned limit, share;             /* share: percent */
	uint64_t at_once_ms;               /* who is detached within so much of one another vanished at once */
	bool link_down;                    /* the master's own link to them */
};

/* How things are. Times are wall clock, ms. */
struct failover_facts {
	unsigned joined, suspect;          /* nodes of the system */
	unsigned lately;                   /* failovers that began by themselves within limit_ms */
	unsigned spares;                   /* that could be taken now */
	uint64_t now;
};

/* A node that is lost, or for which something is stored. */
struct failover_node {
	enum ssi_nodestate state;
	enum ssi_nodehold hold;
	uint64_t detached;                 /* when it was, last */
	enum failover_step step;           /* how far it is */
	bool ordered;                      /* an administrator said so: no policy counts but that there must be a spare */
	bool rebound;                      /* somebody gave it another machine meanwhile */
	bool gone;                         /* the machine that a failover gave it is lost too */
	enum failover_step next;           /* the answer; LOOK and DELAY are given for a node that is to be asked for again */
};

/*
 * Fills in next of each node. They are given in the order in which they were detached; in that order they get spares. *ret_again: when to ask again at the
 * latest (wall clock, ms), 0: when something changes.
 */
void failover_plan(const struct failover_policy *p, const struct failover_facts *f, struct failover_node *nodes, size_t n, uint64_t *ret_again);
