/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Rows of fences in the store, for fence.c; what all others may ask of them is in fence.h. */
#include "bootsvc/daemon.h"
#include "bootsvc/fence-plan.h"
#include "bootsvc/state.h"

enum ssi_fence fence_row_policy(const struct daemon *d, const char *node);
/* Has it what two machines must not write to? */
bool fence_row_keeps(struct daemon *d, const char *node);
/* A new one. Which machine it is about: of the boot that counts, else the one that is bound; "" if it is on none any more. */
int fence_row_begin(struct daemon *d, const struct ssi_node *n, struct state_fence *ret, struct ssi_err *e);
/* Durable when it returns; end_keys: with the end of all keys of the node's boots. */
int fence_row_store(struct daemon *d, const struct state_fence *row, bool end_keys, struct ssi_err *e);
