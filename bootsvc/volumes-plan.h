/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is decided about state volumes. Pure: no files, no store, no clock; tested as tables. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/model/nodestate.h"
#include "libssi/model/registry.h"

/* Another generation under a volume that was written. */
enum volume_upgrade {
	VOLUME_SAME,                 /* as before, or the volume was never used: nothing to decide */
	VOLUME_KEEP,
	VOLUME_FRESH,
	VOLUME_ASK,                  /* somebody has to say */
};
/* used: the generation that the volume was given out for last ("" = none), boots: the one that is to be booted. decision and decided_for: what the store has. */
enum volume_upgrade volume_decide(const char *used, const char *boots, enum ssi_on_upgrade policy, const char *decision, const char *decided_for);
const char *volume_upgrade_name(enum volume_upgrade u);       /* "", "keep", "fresh", "ask": what the store has */

/* What a file system's superblock says. The first VOLUME_PROBE bytes of the volume. */
#define VOLUME_PROBE 2048
enum volume_closed { VOLUME_CLOSED, VOLUME_OPEN, VOLUME_UNKNOWN };    /* UNKNOWN: XFS says it in its log alone */
struct volume_super {
	const char *fs;              /* "ext4", "xfs" */
	char uuid[37];
	enum volume_closed closed;
};
int volume_super(const uint8_t p[VOLUME_PROBE], struct volume_super *ret);    /* -EMEDIUMTYPE */

/* May the file of a volume be read or changed by the master now? */
enum volume_want { VOLUME_SNAPSHOT, VOLUME_RESTORE, VOLUME_REMOVE };
enum volume_way { VOLUME_PLAIN, VOLUME_FREEZE, VOLUME_REFUSED };
struct volume_use {
	uint64_t incarnation, taker; /* as the store has them */
	enum ssi_nodestate state;    /* of the node */
	uint64_t runs;               /* incarnation that counts */
	uint64_t off_ms;             /* for how long it has been in that state */
	enum volume_closed closed;
};
#define VOLUME_CLOSING_MS 15000      /* after its goodbye a node needs some time to write back what its disks hold */
/* why: set with VOLUME_REFUSED, to be put behind a node's name. */
enum volume_way volume_way(enum volume_want want, const struct volume_use *u, const char **why);
