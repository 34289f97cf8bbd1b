/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * State volumes (doc/state.md): a node's own writable layer, a sparse file with a file system below STATE/volumes/SYSTEM/NODE, that outlives boots and
 * machines. This is who may use which, and when.
 *
 * A volume is given to one incarnation of its node at a time. It is given when that incarnation's token is exchanged (volumes_take), never because
 * somebody asked for a boot script; it is taken from the one before first, and what the volume needs (a check where it was not closed cleanly, a fresh
 * one instead of it) is done while it is nobody's. All of it is in the store before it counts; a restart of the daemon goes on where it was.
 */
#include <stdbool.h>
#include <stdint.h>
#include "bootsvc/daemon.h"

struct volumes;
typedef void (*volumes_done)(const char *node, int err, const struct ssi_err *why, void *userdata);
int volumes_new(struct daemon *d, struct volumes **ret, struct ssi_err *e);
void volumes_free(struct volumes *v);                 /* what is being made is ended, and made again by the next daemon; NULL is fine */

/* Has this node a volume, or is it to get one (state = disk)? Its binding may not change before a fence is confirmed then. */
bool volumes_has(struct daemon *d, const char *node);

#define VOLUMES_UUID 37
/*
 * At the boot answer: the volume that this boot will have. 0 and its file system's UUID ("" where the node has no state volume); -EAGAIN: the node
 * has to wait, e says what for (it is being made or checked, somebody has to decide), and asking again is what it takes; -ENOENT and others: it cannot
 * boot, e says why. Nothing is done to a volume that an incarnation has. Inside the caller's transaction.
 */
int volumes_prepare(struct daemon *d, const struct ssi_node *n, const char *generation, char ret_uuid[VOLUMES_UUID], struct ssi_err *e);
/* Is it being made, checked or copied just now? */
bool volumes_busy(struct daemon *d, const char *node);
/*
 * The token of this boot was exchanged: the volume is its, as soon as the one before has lost it (targets_revoke) and it was seen to. Nodes without a volume:
 * nothing happens. Until it is ready volumes_wanted does not name it, and the node's login waits.
 */
void volumes_take(struct daemon *d, const char *node, uint64_t incarnation);
/* A fence was confirmed: no incarnation has it any more. It is checked at once, so that the next boot does not wait for that. */
void volumes_release(struct daemon *d, const char *node);

/*
 * What is to be a LUN now, for iSCSI's targets: exactly these, each for that incarnation and no other. Borrowed for the call. A node that has said goodbye keeps its LUN
 * until its next incarnation takes the volume or a fence is confirmed: it has yet to write back what its disks hold. Where a volume becomes another file (a fresh one, a
 * snapshot that was restored) path is another: what serves the old path is to be taken away.
 */
struct volume_lun {
	const char *node;
	uint64_t incarnation;
	const char *uuid;            /* the file system's: a good serial number, too */
	const char *path;            /* of the file, mode 0600 */
	uint64_t size;               /* bytes */
};
typedef void (*volume_lun_fn)(const struct volume_lun *l, void *userdata);
int volumes_wanted(struct daemon *d, volume_lun_fn fn, void *userdata, struct ssi_err *e);

/*
 * What people order (ssi node state). done is called once, later, from the loop, with 0 or why not; a negative result: not begun, done is not called. Names of snapshots are
 * those of ssi_path_is_name(), not beginning with '.'.
 */
int volumes_snapshot(struct daemon *d, const char *node, const char *name, volumes_done done, void *userdata, struct ssi_err *e);
int volumes_restore(struct daemon *d, const char *node, const char *name, volumes_done done, void *userdata, struct ssi_err *e);
int volumes_rm(struct daemon *d, const char *node, volumes_done done, void *userdata, struct ssi_err *e);
int volumes_rm_snapshot(struct daemon *d, const char *node, const char *name, struct ssi_err *e);       /* at once */
/* What state_on_upgrade = ask has asked. -EINVAL: it asks nothing. */
int volumes_accept(struct daemon *d, const char *node, enum ssi_on_upgrade what, struct ssi_err *e);

/* What is known of a node's volume, for showing it. */
struct volume_status {
	const char *state;           /* "none", "making", "asks", "waits", "open", "closed", "unclean", "missing", "damaged", "busy" */
	char text[256];              /* more about it, or "" */
	uint64_t used;               /* bytes that its file takes on the master */
	uint64_t copied, to_copy;    /* bytes, while one is copied; 0 else */
};
void volumes_status(struct daemon *d, const struct state_volume *row, struct volume_status *ret);
uint64_t volumes_snapshot_used(struct daemon *d, const struct state_snapshot *p);     /* bytes; 0: the file is not there */
