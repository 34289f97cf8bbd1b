/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of fencing. Called by fence.c. */
#include "bootsvc/fence-plan.h"

#define STORAGE (FENCE_BIT(FENCE_KEY) | FENCE_BIT(FENCE_ISCSI) | FENCE_BIT(FENCE_DOOR) | FENCE_BIT(FENCE_NFS))
#define PAUSE_FIRST_MS 2000
#define PAUSE_LAST_MS 60000

static const struct { const char *name; unsigned needs; } policies[] = {
	[SSI_FENCE_BOTH] = { "both", STORAGE | FENCE_BIT(FENCE_POWER) },
	[SSI_FENCE_STORAGE] = { "storage", STORAGE },
	/* The key goes in any case: it is what keeps the incarnation from joining. */
	[SSI_FENCE_POWER] = { "power", FENCE_BIT(FENCE_KEY) | FENCE_BIT(FENCE_POWER) },
};

const char *fence_step_name(enum fence_step s)
{
	static const char *const names[FENCE_STEPS] = {
		[FENCE_KEY] = "key", [FENCE_ISCSI] = "iscsi", [FENCE_DOOR] = "door", [FENCE_NFS] = "nfs", [FENCE_POWER] = "power",
	};

	return (unsigned)s < FENCE_STEPS ? names[s] : "unknown";
}

const char *fence_policy_name(enum ssi_fence policy)
{
	return policies[policy].name;
}

unsigned fence_plan_needs(enum ssi_fence policy)
{
	return policies[policy].needs;
}

int fence_plan_next(enum ssi_fence policy, unsigned proved, unsigned tried)
{
	unsigned left = fence_plan_needs(policy) & ~proved & ~tried;

	for (int s = 0; s < FENCE_STEPS; s++)
		if (left & FENCE_BIT(s))
			return s;
	return -1;
}

bool fence_plan_confirmed(enum ssi_fence policy, unsigned proved)
{
	return !(fence_plan_needs(policy) & ~proved);
}

uint64_t fence_plan_pause_ms(unsigned tries)
{
	uint64_t ms = PAUSE_FIRST_MS;

	while (tries-- > 1 && ms < PAUSE_LAST_MS)
		ms *= 2;
	return ms < PAUSE_LAST_MS ? ms : PAUSE_LAST_MS;
}
