/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include "libssi/base/err.h"

/*
 * Be the file system: answer what comes from fuse (a descriptor of /dev/fuse that is mounted) until it is unmounted, out of the files in dir (RUN/view).
 * state: -1, or the descriptor that the program before this one left. SIGHUP executes self (a path) anew with --serve and --state: a new program goes on where
 * the old one was, and whoever has files open notices nothing. 0: unmounted; -errno.
 */
int serve(int fuse, int state, const char *dir, const char *self, struct ssi_err *e);
