/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* NFS version 4 by mount(2) alone: the kernel needs no helper for it. Called by root.c and shared.c, in a stage's child. */
#include <stddef.h>
#include "libssi/base/err.h"
#include "libssi/model/bootargs.h"

/* The options of a mount from the master for mount(2): those of every one of ours, and how, which is the mount's own (nfs(5)). -ENOSPC if they do not fit. */
int nfs_options(const struct ssi_bootargs *a, const char *how, char *buf, size_t n);
/*
 * Mount the master's path on where; flags as for mount(2), MS_NODEV is added. The mount is hard: a master that restarts makes the node wait, and go on;
 * what bounds the first one is the stage's deadline, which kills this process in the middle of the call. -EBUSY: it is mounted there already.
 */
int nfs_mount(const struct ssi_bootargs *a, const char *path, const char *where, unsigned long flags, const char *how, struct ssi_err *e);
