/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decisions about state volumes. Superblocks: ext4, Documentation/filesystems/ext4/super.rst; XFS, xfs_format.h. Called by volumes.c and
 * volumes-snapshot.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/volumes-plan.h"

/* ext4's superblock lies 1024 bytes in; its numbers are little-endian. */
#define EXT4_STATE (1024 + 0x3a)
#define EXT4_VALID 1
#define EXT4_ERRORS 2
#define EXT4_INCOMPAT (1024 + 0x60)
#define EXT4_RECOVER 4               /* its journal is to be replayed: mounted now, or when it was lost */
#define EXT4_UUID (1024 + 0x68)
#define XFS_UUID 32

const char *volume_upgrade_name(enum volume_upgrade u)
{
	static const char *const names[] = { [VOLUME_SAME] = "", [VOLUME_KEEP] = "keep", [VOLUME_FRESH] = "fresh", [VOLUME_ASK] = "ask" };

	return names[u];
}

enum volume_upgrade volume_decide(const char *used, const char *boots, enum ssi_on_upgrade policy, const char *decision, const char *decided_for)
{
	if (!*used || strcmp(used, boots) == 0)
		return VOLUME_SAME;
	/* What somebody has said of this generation counts, whatever the policy is by now. */
	if (strcmp(decided_for, boots) == 0 && strcmp(decision, "keep") == 0)
		return VOLUME_KEEP;
	if (strcmp(decided_for, boots) == 0 && strcmp(decision, "fresh") == 0)
		return VOLUME_FRESH;
	return policy == SSI_UPGRADE_KEEP ? VOLUME_KEEP : policy == SSI_UPGRADE_FRESH ? VOLUME_FRESH : VOLUME_ASK;
}

static void super_uuid(const uint8_t u[16], char ret[37])
{
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7],
		 u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

int volume_super(const uint8_t p[VOLUME_PROBE], struct volume_super *ret)
{
	static const uint8_t ext4[] = { 0x53, 0xef };

	if (memcmp(p, "XFSB", 4) == 0) {
		ret->fs = "xfs";
		ret->closed = VOLUME_UNKNOWN;
		super_uuid(p + XFS_UUID, ret->uuid);
		return 0;
	}
	if (memcmp(p + 1024 + 0x38, ext4, sizeof(ext4)) != 0)
		return -EMEDIUMTYPE;
	ret->fs = "ext4";
	ret->closed = (p[EXT4_STATE] & (EXT4_VALID | EXT4_ERRORS)) == EXT4_VALID && !(p[EXT4_INCOMPAT] & EXT4_RECOVER) ? VOLUME_CLOSED : VOLUME_OPEN;
	super_uuid(p + EXT4_UUID, ret->uuid);
	return 0;
}

/* Of a volume that an incarnation has. */
static const char *use_objection(const struct volume_use *u)
{
	static const char *const by_state[SSI_NODE_STATES] = {
		[SSI_NODE_BOOTING] = "it is booting: wait until it has joined, or switch it off",
		[SSI_NODE_JOINED] = "it runs with its volume: switch it off first",
		[SSI_NODE_SUSPECT] = "it was not heard just now, and may write: wait until it has joined again, or is off",
		[SSI_NODE_DETACHED] = "it is detached, and its machine may still write: it has to be fenced or switched off first ('ssi node power')",
		[SSI_NODE_FENCING] = "it is being fenced: wait for the end of that",
		[SSI_NODE_FAILED] = "its boot has failed, and its machine may have the volume: switch it off first ('ssi node power')",
	};

	if (u->state == SSI_NODE_OFF && u->closed != VOLUME_CLOSED && u->off_ms < VOLUME_CLOSING_MS)
		return "it has just said goodbye, and may be writing back what its disks hold: try again in some seconds";
	return by_state[u->state];
}

enum volume_way volume_way(enum volume_want want, const struct volume_use *u, const char **why)
{
	*why = NULL;
	if (u->taker) {
		*why = "it is booting, and its volume is made ready for it: try again when it has joined";
		return VOLUME_REFUSED;
	}
	if (!u->incarnation)
		return VOLUME_PLAIN;
	if (want == VOLUME_SNAPSHOT && u->state == SSI_NODE_JOINED && u->runs == u->incarnation)
		return VOLUME_FREEZE;
	*why = use_objection(u);
	return *why ? VOLUME_REFUSED : VOLUME_PLAIN;
}
