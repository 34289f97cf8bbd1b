/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Nodes over ccm: the keys of the store for its handshakes, the boot dialogue and the membership engine for what they say, and
 * what comes of it into the store and the events.
 */
#include "bootsvc/daemon.h"

/* Makes d->ccm, d->head and d->rexec; members_listen opens the door, once the registry is in and the store restored. */
int members_start(struct daemon *d, struct ssi_err *e);
int members_listen(struct daemon *d, struct ssi_err *e);
void members_stop(struct daemon *d);

/* Enter a node of the registry into the engine, or change it there. A new one gets what the store knew of it (members_restore). */
void members_set_system(struct daemon *d, const struct ssi_system *s);
void members_set_node(struct daemon *d, const struct ssi_node *n);
void members_restore(struct daemon *d);
/* A boot script was given out. A joined node is not disturbed by that; any other is booting from now on. */
void members_armed(struct daemon *d, const char *node, uint64_t incarnation);
