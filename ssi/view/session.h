/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The mounts of a session. All of this needs CAP_SYS_ADMIN. */
#include <stdbool.h>
#include "libssi/base/err.h"

bool session_is_in(void);                                     /* is /proc the merged one here? */
/* A mount namespace in which /proc is the merged one, out of the files in dir (RUN/view). Another process, self executed with --serve, is the file system
 * until the last process has left. 0 or -errno. */
int session_enter(const char *dir, const char *self, struct ssi_err *e);
/* Becomes one of root's processes behind a session (option: what main.c is to be), with nothing of the user's but n descriptors, which have to be in use:
 * 3, 4 ... there. Returns only when it cannot. */
void session_exec_part(const char *self, const char *option, const int *fds, int n, const char *dir);
/* Until the daemon has written what there is to show, which it does once somebody wants it: two seconds at most, none if there is no daemon. */
void session_await(const char *dir);
/* A mount namespace in which /proc is the real one again. */
int session_leave(struct ssi_err *e);
