/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Child processes without a shell. argv is NULL-terminated and searched in PATH, then in /usr/sbin and /sbin. The child has default signals,
 * an empty signal mask, no descriptor but 0, 1, 2, and dies with its parent when SSI_SPAWN_PDEATH is given.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include "libssi/base/err.h"

enum ssi_spawn_flags {
	SSI_SPAWN_PDEATH = 1,        /* PR_SET_PDEATHSIG(SIGTERM) */
	SSI_SPAWN_NEWGROUP = 2,      /* own process group, so that the caller can end all of it */
	SSI_SPAWN_MORTAL = 4,        /* the kernel may kill it when memory runs out, even if it spares us */
};
struct ssi_spawn_io {
	int in, out, err;            /* descriptors for the child's 0, 1, 2; -1 = /dev/null for in, inherited for out and err */
	const char *dir;             /* chdir, or NULL */
	char *const *env;            /* NULL = inherited */
};
/* Start; *ret_pid is the child. io may be NULL (all as for -1). -ENOENT when the program is not there (reported from execve). */
int ssi_spawn(char *const argv[], const struct ssi_spawn_io *io, int flags, pid_t *ret_pid, struct ssi_err *e);
/*
 * The same without waiting for execve, which takes as long as the program's file system does: for a loop that may not stand still.
 * *ret_report is the caller's to close. ssi_spawn_report waits for execve (not once the child has ended) and says 0, or the -errno of what failed:
 * the child ends with 127 then.
 */
int ssi_spawn_start(char *const argv[], const struct ssi_spawn_io *io, int flags, pid_t *ret_pid, int *ret_report, struct ssi_err *e);
int ssi_spawn_report(int report);
/* Wait; exit status 0..255, or 128 + signal; -errno if it cannot be waited for. */
int ssi_spawn_wait(pid_t pid);
/* Run to the end; 0 when it exited 0; else -EIO (or the reason it did not start) and in e the program, its status and the last line it wrote
 * to stderr. timeout_ms 0 = none; past it the child and its process group are killed and -ETIMEDOUT returned. Its standard output is dropped. */
int ssi_spawn_run(char *const argv[], unsigned timeout_ms, struct ssi_err *e);
/* The same, with standard output (at most max bytes, NUL-terminated, the caller's) in *ret_out; -EFBIG past max. */
int ssi_spawn_read(char *const argv[], unsigned timeout_ms, size_t max, char **ret_out, struct ssi_err *e);
/* Is there such a program in PATH (or in /usr/sbin:/sbin)? 1 or 0. */
int ssi_spawn_which(const char *name);
