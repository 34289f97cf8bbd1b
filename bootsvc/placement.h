/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Where a job is placed: the nodes of a system, what they do, what was placed there in the last moments, and a policy. */
#include <jansson.h>
#include "bootsvc/daemon.h"
#include "bootsvc/policies.h"

#define PLACEMENT_DEFAULT "least-loaded"     /* where policy.d has no default.ini */
#define PLACEMENT_NODES_MAX 1024             /* that one ask may have */

struct placement_ask {
	const char *system;              /* NULL: the only one there is */
	const char *policy;              /* "memory", "same-as=1048577"; NULL: the default */
	const char *range;               /* none but these; NULL: all */
	unsigned count;                  /* how many nodes, each another one */
	uint32_t cpus;                   /* what each is to have; 0: no matter */
	uint64_t memory;                 /* bytes */
	const char *avoid;               /* a node not to take (where the job was before), or NULL */
};
struct placement {
	const char *policy;              /* the name of that which chose; borrowed */
	bool local;                      /* nowhere: where it was asked for; n is 0 */
	const struct ssi_head_node **nodes; size_t n;      /* the nodes are borrowed */
};

/*
 * Choose, and count what was chosen as placed there. 0: *ret is the caller's (placement_free). -ENOENT: no such policy, system or node; -EINVAL: a
 * range that is none; -ENOSPC: no node can take it, and e says why each cannot; -EAGAIN: the same, but one is
 * just not heard of, and may be again in a moment.
 */
int placement_choose(struct daemon *d, const struct placement_ask *ask, struct placement *ret, struct ssi_err *e);
void placement_free(struct placement *p);

/*
 * How a policy sees each node of the system (NULL: the only one), for people: [{"name","score","objection" (where it cannot be taken),"metrics":{…}}], the
 * best first. NULL: out of memory.
 */
json_t *placement_scores(struct daemon *d, const struct ssi_policy *p, const char *system);

struct placements;                       /* what was placed where */
struct placements *placements_new(void);
void placements_free(struct placements *p);
