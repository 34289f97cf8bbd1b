/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The writable layer over the read-only root: memory, or a state volume that outlives the boot. Runs in a stage's child. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/model/bootargs.h"

int overlay_mount(const struct ssi_bootargs *a, struct ssi_err *e);
/* The options of a layer in memory: half of what the image leaves of the machine's memory, at most. Sizes in bytes. -ENOSPC. */
int overlay_memory(uint64_t total, uint64_t image, char *buf, size_t n);
/* The options of the overlay mount; kept: the upper layer outlives the lower one. -ENOSPC if they do not fit, -EINVAL for a path that overlayfs would read as two. */
int overlay_options(const char *lower, const char *rw, bool kept, char *buf, size_t n);
