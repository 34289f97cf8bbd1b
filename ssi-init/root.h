/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The read-only root: mounted on BOOT_LOWER from the master's NFS server, from memory (image.c) or from a disk. Runs in a stage's child. */
#include "libssi/model/bootargs.h"

int root_mount(const struct ssi_bootargs *a, struct ssi_err *e);
