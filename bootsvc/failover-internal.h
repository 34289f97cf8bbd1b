/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the files of the failover share:
 *     failover.c         who is lost, what the plan says
 *     failover-case.c    a case: in the list and in the store
 *     failover-ask.c     what people and others ask
 *     failover-step.c    doing the steps of those that have begun
 *     failover-spare.c   which machines can be had
 */
#include <sys/queue.h>
#include <systemd/sd-event.h>
#include "bootsvc/failover-plan.h"
#include "bootsvc/failover.h"
#include "bootsvc/state.h"

#define FAILOVER_AWAKE_MS 12000      /* a machine that waits asks every 5 s: one that asked within this will ask again */

/* A node that is lost, or moved. */
struct failover_case {
	TAILQ_ENTRY(failover_case) link;     /* in the order in which they were lost */
	struct failover *failover;
	struct state_failover s;             /* as it is stored, or would be; s.step is written by case_put alone */
	enum failover_step step;
	bool stored, gone;
	bool busy;                           /* a callback is due */
	bool waited;                         /* the spare was awake when it was bound */
	bool starting, started;              /* it is, or was, switched on ahead, while the fence goes on */
	uint64_t retry;                      /* monotonic ms: not before; 0: at once */
	unsigned tries;                      /* of the present step, that failed */
	char note[STATE_WHY];                /* what hinders the present step; "" = nothing */
};
TAILQ_HEAD(failover_cases, failover_case);

/* A node whose machine was ordered off by hand and that did not come back since. */
struct failover_hand { TAILQ_ENTRY(failover_hand) link; char node[64]; };
TAILQ_HEAD(failover_hands, failover_hand);

struct failover {
	struct daemon *daemon;
	sd_event_source *soon, *timer;
	struct failover_cases cases;
	struct failover_hands hands;
	char alarm[256];
};

/* failover-case.c */
struct failover_case *case_find(const struct failover *f, const char *node);       /* or NULL */
/* NULL: no memory, or no machine plays it: then there is nothing to take its place. Not stored yet. */
struct failover_case *case_new(struct failover *f, const char *node, uint64_t detached, const char *why);
void case_insert(struct failover *f, struct failover_case *c);
void case_free(struct failover_case *c);             /* out of the list; the store keeps it */
/* A step is stored before it is begun: durable when this returns 0, where the caller has no transaction of its own. */
int case_put(struct failover_case *c, enum failover_step step, struct ssi_err *e);
void case_drop(struct failover_case *c);             /* out of the store and the list; frees it */
void case_event(const struct failover_case *c, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* failover.c */
const struct ssi_system *failover_system_of(const struct failover *f, const char *node);      /* NULL: nodes.d has no such node */
void failover_wake(struct failover *f, uint64_t in_ms);      /* look again then, at the latest */

/* failover-step.c. Goes on with a case that has begun; may free it. */
void failover_step_run(struct failover_case *c);
void failover_step_confirmed(const char *node, int err, const struct ssi_err *why, void *failover);      /* fence_done */

/* failover-spare.c */
/* The best machine that can be had for a system, set aside for nobody; -ENOENT. With ret NULL: how many there are. */
int failover_spare_pick(struct failover *f, const char *system, char ret[SSI_MAC_LEN], struct ssi_err *e);
int failover_spare_count(struct failover *f, const char *system);
bool failover_spare_awake(struct failover *f, const char *mac);      /* it waits for a boot script */
