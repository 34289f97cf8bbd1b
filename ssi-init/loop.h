/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A file as a block device, loop(4): erofs of this kernel mounts nothing else. */
#include <stddef.h>
#include "libssi/base/err.h"

/* Attach an open file, read-only, to a free loop device; its name ("/dev/loop0") into buf. The device holds the file from here on, for as long as the
 * machine runs. -ENODEV: the kernel has no loop devices. */
int loop_attach(int file, char *buf, size_t n, struct ssi_err *e);
