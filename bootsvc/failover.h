/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Failover (doc/failover.md): a node whose machine was lost gets a spare. What is to be done about whom is decided in failover-plan.c; here it is
 * done, a step at a time: fence (fence.h), bind to the spare, power on, joined. Every step is in the store before it is begun, and is taken up there after a
 * restart of the daemon. All calls from the loop.
 */
#include <jansson.h>
#include <stdbool.h>
#include "bootsvc/daemon.h"

struct failover;
int failover_new(struct daemon *d, struct failover **ret, struct ssi_err *e);
void failover_free(struct failover *f);               /* NULL is fine; what is under way goes on with the next daemon */

/* A node's state has changed (members.c). */
void failover_node_changed(struct failover *f, const struct ssi_head_node *n, enum ssi_nodeevent ev);
/* A machine or a binding has changed: look, soon (once for many changes). */
void failover_look(struct failover *f);
/* A registry was applied: machines that it names as spares are entered. */
void failover_registry_changed(struct failover *f);

/* An administrator has the power of this node's machine switched off, or off and on: that it vanishes is no failure. failed: that did not work after all. */
void failover_by_hand(struct failover *f, const char *node, bool failed);
/* An administrator decides: node is to play on mac (NULL: on a spare), now, whatever the policy says. -EINVAL, -ENOENT, -EBUSY with what to do. */
int failover_order(struct failover *f, const char *node, const char *mac, struct ssi_err *e);
/* A machine that has failed, or that waits for a decision, is a spare from now on. 1 = it is one now, 0 = it was. */
int failover_accept(struct failover *f, const char *mac, struct ssi_err *e);

/* May this machine get a boot script? 0, or -EAGAIN and why not in text: it has failed, or its node is on its way to another. */
int failover_admits(struct failover *f, const char *mac, const char *node, char *text, size_t n);
/* May somebody else give node the machine mac (NULL: take it its own)? -EBUSY, and e says why not: the machine has failed, or a failover is at one of them. */
int failover_objection(struct failover *f, const char *node, const char *mac, struct ssi_err *e);
/* Is a machine on its way to become this node, so that it should not be kept waiting longer than it must? */
bool failover_waits(struct failover *f, const char *node);
/* {"step","since","spare","from","why"} of a node that is being failed over or waits for that; NULL: it is not. */
json_t *failover_json(struct failover *f, const char *node);
/* Why a system's failovers are stopped, or "": for status. Valid until the next call. */
const char *failover_alarm(struct failover *f, const char *system);
