/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* From the initramfs to the node's own root. */
#include <stdbool.h>
#include "libssi/base/err.h"

/* Does the new root have what the boot goes on with? In a stage's child: it reads the image. */
int switch_check(const char *init, struct ssi_err *e);
/* In PID 1: /dev /proc /sys /run go along, BOOT_SYSROOT becomes /, the initramfs is freed in the background. There is no way back: a failure before
 * the root has moved may be tried again, and nothing after that fails. keep: its libraries stay
 * (keep.h). way_back: it can be made the root again at the end (exitrd.h). */
int switch_root(bool keep, bool way_back, struct ssi_err *e);
