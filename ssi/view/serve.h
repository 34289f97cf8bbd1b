/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include "libssi/base/err.h"

#define SERVE_FS 2       /* file systems: that of /proc, that of /proc/ssi */
/*
 * Be the file systems: answer what comes from fuse and fuse + 1 (descriptors of /dev/fuse that are mounted) until /proc is unmounted, out of the files in dir
 * (RUN/view). state: -1, or the descriptor that the program before this one left. SIGHUP executes self (a path) anew with --serve and --state: a new program
 * goes on where the old one was, and whoever has files open notices nothing. 0: unmounted; -errno.
 */
int serve(int fuse, int state, const char *dir, const char *self, struct ssi_err *e);
