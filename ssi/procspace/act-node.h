/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Acting on a process of this node for somebody elsewhere (doc/wire.md, module 5, types 3 and 4). The process is held (pidfd_open) before it is looked at: it
 * must have been started when the master says, and belong to who asks (or he is root), as kill(2) judges; only then something is done to it.
 */
#include "libssi/comm/ccm.h"

struct ssi_act_node;
int ssi_act_node_new(struct ssi_ccm *m, int proc, struct ssi_act_node **ret);    /* registers its rule; proc: /proc, held open, borrowed */
void ssi_act_node_free(struct ssi_act_node *a);
