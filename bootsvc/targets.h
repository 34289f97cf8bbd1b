/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The kernel's iSCSI target (LIO) by configfs: each generation that nodes use over iSCSI is one read-only LUN of its system's target, which all of them share, and each
 * boot of a node that counts and needs a LUN has an ACL of its own, from its token's exchange on: LUN 0 is its image (root = iscsi), LUN 1 its state volume
 * (volumes_wanted), so that one login brings both. Wanted against actual; again is a no-op. What is there is visible to 'targetcli ls'. When the daemon is
 * stopped in order nothing of it stays; after a crash it stays as it is, and is put right by the next start.
 */
#include "bootsvc/daemon.h"

struct targets;
int targets_new(struct daemon *d, struct targets **ret, struct ssi_err *e);
/* Takes away all of ours, at most 10 s; NULL is fine. */
void targets_free(struct targets *t);
/* Make the targets follow what is used. Returns at once: a child does it, beside the loop. Failures are an event, and are tried again with backoff. */
void targets_reconcile(struct targets *t);
/*
 * Fencing's half: from now on no machine may reach any LUN in this node's name. Its ACLs, of every incarnation, are taken away, which ends their sessions; done is called
 * once, later, from the loop: with 0 when configfs, read back, has none of them any more, else with the reason it could not be brought about (call again to try again).
 * Until then no new door is opened for the node; after it the store says again who has one, so end the boot there first (state_boot_end). -errno: not begun.
 */
typedef void (*targets_done)(const char *node, int err, const struct ssi_err *why, void *userdata);
int targets_revoke(struct targets *t, const char *node, targets_done done, void *userdata, struct ssi_err *e);

/* Is this generation a LUN of this system's target? */
bool targets_ready(const struct targets *t, const char *generation, const struct ssi_system *system);
