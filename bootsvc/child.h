/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A short command beside the loop: its input is given, what it says is kept, and it ends within a time. For commands that answer in a few lines. SIGCHLD must be blocked
 * (daemon.c does). In the loop's thread only.
 */
#include <systemd/sd-event.h>
#include "libssi/base/err.h"

struct child_command {
	char *const *argv;           /* searched as ssi_spawn does; borrowed for the call */
	const char *input;           /* its standard input, or NULL: none */
	int output;                  /* its standard output, borrowed for the call; -1: kept and given to done */
	unsigned timeout_ms;         /* past it, it is killed */
};
/* err 0: it exited with 0, and out is what it wrote, NUL-terminated, borrowed for the call. Else why->text has its program, its status and its last line. */
typedef void (*child_done)(int err, const struct ssi_err *why, const char *out, void *userdata);
struct child;
/* done is called once, later, from the loop; *ret is of no more use then. -errno: it did not start. */
int child_start(sd_event *event, const struct child_command *c, child_done done, void *userdata, struct child **ret, struct ssi_err *e);
void child_free(struct child *c);                     /* killed; done is not called; NULL is fine */
