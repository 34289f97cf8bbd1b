/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the daemon knows and must not forget: machines, bindings, incarnations with their tokens and keys, node states, boot
 * timelines, events. SQLite with a write-ahead log, one writer (the daemon's loop), mode 0600 because of the keys.
 *
 * A change is durable against kill -9 when the call that made it returns; against a power cut too where it stands in a
 * transaction begun with durable = true (what must be stored before it is used: bindings, incarnations, tokens).
 * All calls: 0 or more on success, -errno with e filled; -ENOENT where nothing is found. Times are wall clock, ms.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/comm/ccm.h"
#include "libssi/model/mac.h"

struct state;

/* Open or make DIR/bootsvc.db; bring an older schema up to date, refuse a newer one (-EPROTO). -EBUSY: another daemon has it. */
int state_open(const char *dir, struct state **ret, struct ssi_err *e);
void state_close(struct state *s);                    /* NULL is fine */

/* They nest: what is inside another belongs to it, and a rollback inside undoes all of it. */
int state_begin(struct state *s, bool durable, struct ssi_err *e);
int state_commit(struct state *s, struct ssi_err *e);
void state_rollback(struct state *s);                 /* all that was begun and not committed; else nothing */

/*
 * Between these two changes gather into one transaction: they are seen at once, and as durable as they are asked to be when state_settle has
 * returned 0; who says them to anyone says it after that. A transaction begun in between is a part of it: a rollback undoes the part alone.
 * state_settle failing: what was gathered did not happen.
 */
void state_gather(struct state *s);
int state_settle(struct state *s, struct ssi_err *e);

/* state-machine.c: machines, and which node each plays. */
struct state_machine {
	char mac[SSI_MAC_LEN], system[64];            /* system: the one it asked in last */
	char node[64];                                /* "" = not bound */
	bool spare;                                   /* kept as a spare; else, when not bound, it waits for someone to decide */
	uint64_t first_seen, last_seen;               /* last_seen 0: it never asked (entered from nodes.d or by a verb) */
	struct in_addr address;                       /* that it asked from last */
};
typedef void (*state_machine_fn)(const struct state_machine *m, void *userdata);
#define STATE_STRANGERS 65536        /* machines that are bound to no node: anyone can ask in any name */
/* 1 = a new one; -EUSERS: it would be, and there are too many strangers already. */
int state_machine_seen(struct state *s, const char *mac, const char *system, struct in_addr address, uint64_t now, struct ssi_err *e);
int state_machine_get(struct state *s, const char *mac, struct state_machine *ret, struct ssi_err *e);
int state_machine_at(struct state *s, struct in_addr address, struct state_machine *ret, struct ssi_err *e);   /* the bound one that asked from there last */
int state_machine_set_spare(struct state *s, const char *mac, bool spare, struct ssi_err *e);
int state_machine_each(struct state *s, state_machine_fn fn, void *userdata, struct ssi_err *e);   /* by MAC */
int state_machine_count(struct state *s, unsigned *ret_all, unsigned *ret_unbound, struct ssi_err *e);
int state_machine_rm(struct state *s, const char *mac, struct ssi_err *e);     /* -EBUSY when bound */
/* Bind; what the node or the machine was bound to before is unbound. The machine is entered if it is not known. */
int state_bind(struct state *s, const char *node, const char *mac, uint64_t now, struct ssi_err *e);
int state_unbind(struct state *s, const char *node, struct ssi_err *e);        /* 1 = was bound, 0 = was not */
int state_machine_of(struct state *s, const char *node, char ret[SSI_MAC_LEN], struct ssi_err *e);
int state_node_of(struct state *s, const char *mac, char ret[64], struct ssi_err *e);

/* state-node.c: nodes and their incarnations. */
struct state_node {
	char name[64], state[16], reason[128];
	char hold[16];                                /* what an administrator decided, by its name */
	uint64_t incarnation;                         /* of the boot that counts now; a newer one may be armed */
	uint64_t since;
	char generation[80], image[65];               /* of that boot */
	char *inventory;                              /* JSON or NULL; borrowed for the call it is seen in */
};
typedef void (*state_node_fn)(const struct state_node *n, void *userdata);
int state_node_each(struct state *s, state_node_fn fn, void *userdata, struct ssi_err *e);
int state_node_put(struct state *s, const char *name, const char *state, uint64_t incarnation, uint64_t since, const char *reason, struct ssi_err *e);
int state_node_hold(struct state *s, const char *name, const char *hold, struct ssi_err *e);
int state_node_inventory(struct state *s, const char *name, const char *json, struct ssi_err *e);

/* Node numbers, given once and never again to another. */
int state_number_each(struct state *s, void (*fn)(const char *node, uint32_t number, void *userdata), void *userdata, struct ssi_err *e);
int state_number_put(struct state *s, const char *node, uint32_t number, struct ssi_err *e);

struct state_boot {
	char node[64], mac[SSI_MAC_LEN];
	uint64_t incarnation, armed;                  /* armed: when */
	char image[65], generation[80];
	char root[8];                                 /* how that reaches it: "nfs" or "ram" */
	bool used, over;                              /* its token was exchanged; its keys count no more */
	uint8_t token[SSI_CCM_KEY], key[SSI_CCM_KEY]; /* key: once used */
};
/* ms since it was armed; 0 when it was not, or the wall clock was set back since. */
static inline uint64_t state_boot_age(const struct state_boot *b, uint64_t now) { return b->armed && now > b->armed ? now - b->armed : 0; }
/* Arm: the newest incarnation of the node when the same machine has it and nobody used its token, else the next number. Fills in
 * b->incarnation; node, mac, image, generation, root, token and armed are the caller's. */
int state_boot_arm(struct state *s, struct state_boot *b, struct ssi_err *e);
int state_boot_get(struct state *s, const char *node, uint64_t incarnation, struct state_boot *ret, struct ssi_err *e);
int state_boot_newest(struct state *s, const char *node, struct state_boot *ret, struct ssi_err *e);
int state_boot_by_mac(struct state *s, const char *mac, uint64_t incarnation, struct state_boot *ret, struct ssi_err *e);
int state_boot_use(struct state *s, const char *node, uint64_t incarnation, const uint8_t key[SSI_CCM_KEY], struct ssi_err *e);
int state_boot_end(struct state *s, const char *node, uint64_t incarnation, struct ssi_err *e);
int state_boot_end_all(struct state *s, const char *node, struct ssi_err *e);   /* the node's machine was taken from it */
/* Generations that nodes that are not off run or boot, and over which kind of root. */
typedef void (*state_generation_fn)(const char *node, const char *image, const char *generation, const char *root, void *userdata);
int state_generations_used(struct state *s, state_generation_fn fn, void *userdata, struct ssi_err *e);

#define STATE_STAGES 64              /* of one boot; names past that are passed over */
struct state_stage { char name[32]; uint64_t start_ms, end_ms; uint32_t tries; };
int state_stage_put(struct state *s, const char *node, uint64_t incarnation, const struct state_stage *g, struct ssi_err *e);
int state_stage_each(struct state *s, const char *node, uint64_t incarnation, void (*fn)(const struct state_stage *g, void *userdata),
		     void *userdata, struct ssi_err *e);

/* state-event.c: what happened. Borrowed strings, "" where there is none. */
struct state_event {
	uint64_t id, time;
	const char *kind, *node, *machine, *text;
	uint64_t incarnation;
};
int state_event_add(struct state *s, struct state_event *ev, struct ssi_err *e);   /* fills in id; the oldest go when there are too many */
/* Those with an id above since, oldest or newest first, read as they are asked for; 1 from fn ends it. */
int state_event_each(struct state *s, uint64_t since, bool newest_first, int (*fn)(const struct state_event *ev, void *userdata), void *userdata,
		     struct ssi_err *e);

/* Small values: the number a system's view goes on from. */
int state_value_get(struct state *s, const char *name, uint64_t *ret, struct ssi_err *e);
int state_value_put(struct state *s, const char *name, uint64_t v, struct ssi_err *e);
