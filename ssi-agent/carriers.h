/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Blobs that go from node to node: the agent's half, a process (carry.c) for each GIVE and TAKE. Nothing here waits for one. */
#include "ssi-agent/agent.h"

#define CARRIERS_PROGRAM "node-carry"        /* beside the keeper */
#define CARRIERS_BLOBS 1024                  /* of one GIVE or TAKE */

int carriers_open(struct agent *a, struct ssi_err *e);
void carriers_close(struct agent *a);        /* they die with this process */
