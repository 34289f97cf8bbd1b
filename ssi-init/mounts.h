/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The kernel's own file systems. A mount point that is mounted already counts as done, so that every call may be tried again. */
#include "libssi/base/err.h"

int mounts_first(struct ssi_err *e);      /* /proc /sys /dev /run, and /run/ssi: what the stages need */
int mounts_system(struct ssi_err *e);     /* after the switch, where no systemd does it: cgroup2, devpts, shm, mqueue, /tmp */
