/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A file as a block device, loop(4): what mounts and serves block devices alone takes an image so. */
#include <stddef.h>
#include "libssi/base/err.h"

/*
 * Attach an open file, read-only, to a free loop device; its name ("/dev/loop0") into buf. name (at most 63 bytes) is what losetup(8) shows. ret_device NULL: the device
 * holds the file from here on, until somebody detaches it. Else *ret_device is the device, open, the caller's to close, and it lets go of the file when nobody has it open any
 * more. -ENODEV: the kernel has no loop devices.
 */
int ssi_loop_attach(int file, const char *name, char *buf, size_t n, int *ret_device, struct ssi_err *e);
