/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The read-only root: mounted on BOOT_LOWER from the master's NFS server, from memory (image.c) or from a disk. Runs in a stage's child. */
#include <stddef.h>
#include "libssi/model/bootargs.h"

int root_mount(const struct ssi_bootargs *a, struct ssi_err *e);
/* The options of the NFS mount, for mount(2). -ENOSPC if they do not fit. */
int root_nfs_options(const struct ssi_bootargs *a, char *buf, size_t n);
