/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Root file systems for nodes: each generation that nodes use over NFS is loop-mounted below RUN/export, the NFSv4 pseudo-root, and exported
 * read-only to the networks of the systems that use it so. Wanted against actual; again is a no-op. What runs nodes stays
 * exported when the daemon ends. A generation that nodes use in another way is only held, so that nobody removes it.
 */
#include "bootsvc/daemon.h"

struct exports;
int exports_new(struct daemon *d, struct exports **ret, struct ssi_err *e);
void exports_free(struct exports *x);                 /* nothing is unexported; NULL is fine */
/* Make what is exported follow what is used. Returns at once: commands run one after the other, beside the loop. Failures are
 * an event, and are tried again with backoff. */
void exports_reconcile(struct exports *x);
/* Can a node of this system have this generation now as its root of this kind: exported to it, or at least held? */
bool exports_ready(const struct exports *x, const char *generation, const char *root, const struct ssi_system *system);
