/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The keepers of a node's jobs (ssi-keeper/), as files and processes: jobs/NUMBER/ below the folder the agent works in. Nothing here waits for a keeper. */
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "ssi/rexec/job.pb-c.h"

#define KEEPERS_PROGRAM SSI_LIBEXECDIR "/ssi-keeper"

/*
 * One more keeper, which waits for a job: the socket to it (non-blocking, the caller's) or -errno. It is a copy of program, which is started with the first of
 * them, and waited for by the loop when it ends. server: the socket to that one, the caller's to keep, -1 at first; to close it ends it, and no keeper.
 */
int keepers_start(sd_event *event, const char *program, int *server, struct ssi_err *e);
/* What is left of keepers that never had a job: of an agent before this one, or of one that was killed. */
void keepers_sweep(void);
/* A folder for a job. -EEXIST: there is such a job. */
int keepers_folder(uint64_t job);
/* The socket to the keeper of a job (the caller's); -ENOENT or -ECONNREFUSED: there is none. */
int keepers_connect(uint64_t job);
/*
 * What is left of a job whose keeper is no more goes: its cgroup with all in it, its folder. 1; 0: nothing was left; -EBUSY: what was killed is still
 * there, try again.
 */
int keepers_bury(uint64_t job);
/*
 * All jobs there are, each with a keeper: what the keeper says of it. What has none is buried. found() gets the socket, which is its own from then on; or -1:
 * that job, of which only the number is told, is to be buried again. It returns 0 or -ENOMEM.
 */
int keepers_find(int (*found)(const Ssi__Job__Held *held, int fd, void *userdata), void *userdata);
