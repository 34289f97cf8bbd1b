/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Jobs (doc/jobs.md), the daemon's part: RUN/jobs.sock, where anyone starts them; the table of them, with their numbers and pids; and the way of their frames
 * to the node and back. It runs nothing itself, and what it knows can be had again: from the store, and from what nodes hold.
 */
#include <jansson.h>
#include "bootsvc/daemon.h"

struct jobs;
/* Registers its rules with d->ccm, and reads the store. */
int jobs_new(struct daemon *d, struct jobs **ret, struct ssi_err *e);
int jobs_listen(struct jobs *j, struct ssi_err *e);                          /* opens RUN/jobs.sock */
void jobs_free(struct jobs *j);                                              /* before d->ccm; jobs go on. NULL is fine */
/* From ccm's closed() and drained(), and from the membership engine; NULL is fine. */
void jobs_closed(struct jobs *j, struct ssi_ccm_conn *c);
void jobs_drained(struct jobs *j, struct ssi_ccm_conn *c);
void jobs_node_changed(struct jobs *j, const struct ssi_head_node *n);
/* The node that a job with this pid is on, or NULL. Borrowed. For policies (same-as). */
const char *jobs_node_of(const struct jobs *j, uint32_t pid);
/* How many jobs are on a node, for placement. */
unsigned jobs_on_node(const struct jobs *j, const char *node);
