/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Folders in which something is being built: PARENT/.tmp-XXXXXX, locked with flock(2) as long as their builder lives. A process that is
 * killed leaves one behind without its lock; the next run sweeps those.
 */
#include "libssi/base/cleanup.h"
#include "libssi/base/err.h"

struct tmpdir {
	char *path;
	int lock;               /* the descriptor that holds the lock; -1 = none */
};
#define TMPDIR_INIT { NULL, -1 }

int tmpdir_new(const char *parent, struct tmpdir *ret, struct ssi_err *e);
/* Rename it to path (on the same file system), its files synced before: it is no temporary any more. -EEXIST when something stands there. */
int tmpdir_commit(struct tmpdir *t, const char *path, struct ssi_err *e);
/* Remove it with all in it, unless it was committed. */
void tmpdir_free(struct tmpdir *t);
#define _cleanup_tmpdir_ SSI_CLEANUP(tmpdir_free)
/* Remove those below parent that nobody holds. How many there were; what cannot be removed is left for the next run. */
int tmpdir_sweep(const char *parent);
/* Remove a folder of parent that others may be looking at: it is renamed into a temporary first, so that nobody sees half of it. 0 or -errno. */
int tmpdir_discard(const char *parent, const char *path);
