/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a fence consists of, by policy: which step is next, and when it is enough. Pure. */
#include <stdbool.h>
#include <stdint.h>
#include "libssi/model/registry.h"

/* In the order in which they are taken: storage first, then power. The numbers stand in the store. */
enum fence_step {
	FENCE_KEY,       /* the keys of all its boots are over */
	FENCE_ISCSI,     /* its access to iSCSI targets is taken away, its sessions are gone */
	FENCE_DOOR,      /* this master takes nothing from its machine but what a boot needs */
	FENCE_NFS,       /* what it holds as an NFS client is taken from it */
	FENCE_POWER,     /* its machine is off */
	FENCE_STEPS
};
const char *fence_step_name(enum fence_step s);                  /* "key", "iscsi", "door", "nfs", "power" */
const char *fence_policy_name(enum ssi_fence policy);            /* "both", "storage", "power" */

/* Sets of steps, as bits. */
#define FENCE_BIT(step) (1u << (step))
unsigned fence_plan_needs(enum ssi_fence policy);
/* The first step that is needed and neither proved nor tried in this round; -1: none. */
int fence_plan_next(enum ssi_fence policy, unsigned proved, unsigned tried);
bool fence_plan_confirmed(enum ssi_fence policy, unsigned proved);
/* From the end of a round, after so many that did not confirm it (1 or more), until the next. */
uint64_t fence_plan_pause_ms(unsigned tries);
