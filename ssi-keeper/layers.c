/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a job sees over the node's folders: the library of its interpreter, where that looks for it (ssi/rexec/unpack.h). Called by start.c in the
 * program's process. What lies there came from the user, so it is in a mount namespace of the program's own: the keeper, which is root, never sees it, and
 * nothing that the job starts gets more rights than the user has.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include "libssi/base/cleanup.h"
#include "ssi-keeper/keeper.h"
#include "ssi/rexec/unpack.h"

int layers_mount(const struct keeper *k, const struct keeper_program *p, const char **what)
{
	if (!p->n_layers)
		return 0;
	*what = "mounts of its own";
	if (unshare(CLONE_NEWNS) < 0 || (k->spec->uid && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		return -errno;
	for (size_t i = 0; i < p->n_layers; i++) {
		_cleanup_free_ char *how = NULL;

		*what = p->layers[i].target;
		if (asprintf(&how, "xino=off,lowerdir=%s", p->layers[i].lower) < 0) {
			how = NULL;
			return -ENOMEM;
		}
		if (mount("overlay", p->layers[i].target, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, how) < 0)
			return -errno;
	}
	return 0;
}
