/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * File systems for nodes, below RUN/export, the NFSv4 pseudo-root: each generation that nodes use over NFS is loop-mounted there and exported
 * read-only to the networks of the systems that use it so; shared folders (doc/shared.md) are bound there and exported for writing. Wanted against
 * actual; again is a no-op. A generation that nodes use in another way is only held, so that nobody removes it.
 *
 * When the daemon ends in order, what no node that is not off has mounted is taken away: with all nodes off, nothing stays. Under a node that runs nothing is
 * taken away, for its programs would get errors (ESTALE) where a server that is away makes them wait.
 */
#include "bootsvc/daemon.h"

struct exports;
int exports_new(struct daemon *d, struct exports **ret, struct ssi_err *e);
void exports_free(struct exports *x);                 /* nothing is unexported; NULL is fine */
bool exports_busy(const struct exports *x);           /* steps are being taken now */
void exports_end(struct exports *x);                  /* what nodes do not stand on goes; takes as long as it takes, some seconds at most */
/* Make what is exported follow what is used. Returns at once: commands run one after the other, beside the loop. Failures are
 * an event, and are tried again with backoff. */
void exports_reconcile(struct exports *x);
/* Are the shared file systems of this system exported to it, and the users' files beside them up to date? 0; -EAGAIN or -errno and in e which is not. */
int exports_shared_ready(struct exports *x, const struct ssi_system *system, struct ssi_err *e);
/* Can a node of this system have this generation now as its root of this kind: exported to it, or at least held? */
bool exports_ready(const struct exports *x, const char *generation, const char *root, const struct ssi_system *system);
