/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * System calls on remote processes, by seccomp user notification. The filter asks about signals to numbers of remote processes (doc/pids.md), and about
 * priorities and processors, as a local number may be that of a deputy; all other calls are the kernel's, untouched. It is of this session: what is started
 * from it has it, nothing else.
 */
#include "libssi/base/err.h"

/* Start the process that answers (self with --guard): before the session has mounts of its own, as that process is to see the real /proc. The result is a
 * socket, for guard_enter, or -errno. */
int guard_start(const char *dir, const char *self, struct ssi_err *e);
/* Put the filter on this process, before anything of the user's is executed; closes the socket. Needs CAP_SYS_ADMIN. Where another program guards already, as
 * in a container, there is none: 0 all the same. */
int guard_enter(int s, struct ssi_err *e);
/* Be the process that answers, until the last process with the filter has ended. listener: its descriptor. */
int guard_serve(int listener, const char *dir, struct ssi_err *e);
