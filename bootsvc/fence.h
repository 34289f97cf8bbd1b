/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Fencing: making sure that the last incarnation of a node does no harm any more (doc/fencing.md), by its system's "fence": storage, power, or both. A fence and
 * the steps that are proved stand in the store: a daemon that was killed goes on with it after its start.
 *
 * A round runs every step that is not proved yet. When all are, the fence is confirmed: the node is off. Else the node is detached with the reason, an event says so,
 * and further rounds follow by themselves, with backoff, until it is confirmed: by its steps, by its machine booting afresh, or by an administrator.
 */
#include <jansson.h>
#include "bootsvc/daemon.h"

struct fence;
int fence_new(struct daemon *d, struct fence **ret, struct ssi_err *e);   /* goes on with what the store holds once the loop runs */
void fence_free(struct fence *f);                     /* closed doors stay closed; every callback still due is called with -ECANCELED; NULL is fine */

/* err 0: confirmed, as the policy asks. Else the round that it was asked in did not confirm it; why->text says what is missing. */
typedef void (*fence_done)(const char *node, int err, const struct ssi_err *why, void *userdata);
/* From the loop; returns at once, done (may be NULL) is called once, later, from the loop. A fence of the node that is in work or between two rounds is joined: a round
 * begins at once. A node that never booted is confirmed at once. -ENOENT, -ENOMEM, -EIO: done is not called. */
int fence_start(struct daemon *d, const char *node, const char *why, fence_done done, void *userdata, struct ssi_err *e);
/* Called at every confirmation, also of rounds that nobody waits for and after a restart; one listener (the failover). */
void fence_listen(struct daemon *d, fence_done confirmed, void *userdata);
/* An administrator says that the machine does not run any more; who is for the record. -ENOENT: no fence of the node waits for that. */
int fence_confirm(struct daemon *d, const char *node, const char *who, struct ssi_err *e);
/*
 * Must no other machine become this node? True: it has what two machines must not write to (a state volume, a shared file system), and an incarnation
 * of it may still run. A node without such things is never held. fence_objection: -EBUSY instead, and e says where it may run and what to do; else 0.
 */
bool fence_holds(struct daemon *d, const char *node);
int fence_objection(struct daemon *d, const char *node, struct ssi_err *e);

/*
 * Of boot.c: a machine asks for a boot script, from this address. If it is that machine, as far as the network shows (its address is its own in the master's neighbour
 * table), no older incarnation runs on it: its door goes, and a fence of it between two rounds is confirmed if nothing but its power was missing.
 * -EAGAIN: it has to wait, for the fence of its node (NULL: it has none) that is in work; why in text.
 */
int fence_asks(struct daemon *d, const char *mac, struct in_addr peer, const char *node, char *text, size_t n);
/* The token of a boot was exchanged: what was on this machine before has ended, and what was of this node is not any more. */
void fence_booted(struct daemon *d, const char *node, const char *mac, uint64_t incarnation);
/* The last incarnation of a node was given up without a proof that it ended; stored, so that fence_holds knows. */
void fence_doubts(struct daemon *d, const char *node);
/* Something was heard of an incarnation that is over. If it was said to be powered off, somebody lied: an event. */
void fence_hears(struct daemon *d, const char *node, uint64_t incarnation);

/* {"phase": "doubt"|"work"|"confirmed", "machine", "incarnation", "policy", "since", "ended", "why", "reason", "tries", "steps": {"key": true, …}}, NULL: none. */
json_t *fence_json(struct daemon *d, const struct ssi_node *n);
