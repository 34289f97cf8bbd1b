/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The system's shared file systems (doc/shared.md), mounted in the new root, and the numbers of people as the master has them. Called by the stage shared, in
 * a child of PID 1.
 */
#include "libssi/base/err.h"
#include "libssi/model/bootargs.h"

/* Mount each of ssi.shared= below BOOT_SYSROOT, and write that one's passwd and group. A try after one that failed goes on where that stopped. */
int shared_mount(const struct ssi_bootargs *a, struct ssi_err *e);
/* DIR/etc/NAME of the new root from its own, the image's and the master's (libssi/model/users.h). */
int shared_users_write(const char *root, const char *image, const char *master, struct ssi_err *e);
