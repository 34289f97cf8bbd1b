/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Running a command on a node (doc/wire.md, module 3), the node's side: a child with pipes for each call, in a process group of its
 * own. What the child writes waits in its pipe until the master has room; when the connection goes, the group is killed.
 */
#include <systemd/sd-event.h>
#include "libssi/comm/ccm.h"

struct ssi_rexec_node;
/* Registers its rules with m. SIGCHLD must be blocked (sd_event_add_child). */
int ssi_rexec_node_new(sd_event *event, struct ssi_ccm *m, struct ssi_rexec_node **ret);
void ssi_rexec_node_free(struct ssi_rexec_node *r);                   /* kills what runs */
/* From the agent's ccm ops. */
void ssi_rexec_node_closed(struct ssi_rexec_node *r, struct ssi_ccm_conn *c);
void ssi_rexec_node_drained(struct ssi_rexec_node *r, struct ssi_ccm_conn *c);
