/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A program that came, on the node: from its Program message and the blobs to what is executed. Called by a job's keeper as root, before it becomes the
 * user: comparing the node's own files may block on the file systems that these lie in.
 *
 * Each file is the node's own where path and digest agree, else a blob. Then one of two ways:
 * - the loader and all of libc are the node's own (or the program is static): it is executed by its own name. Libraries that the node has not come by
 *   LD_LIBRARY_PATH.
 * - they are not: the loader that came is executed, and told by its arguments where the libraries are, so that what the job starts from the node's own disk
 *   has the node's own libc. /proc/self/exe is the loader then.
 *
 * What an interpreter reads once it runs comes as a tree (ssi/rexec/tree.h) where the interpreter is not the node's own file, and is there under its own path.
 * The folder DIR of the job (an absolute path, the caller's to make and to remove, in the file system of the blobs; reachable under the same path in the
 * job's mount namespace, and the blobs' folder too) gets: pin/ with a link to each blob in use, bin/NAME the link that is executed (so comm is what it is at
 * home), lib/ the libraries by name, script/NAME and what lay beside it, main/NAME, over/ with the interpreter of a tree under its own path. DIR is root's alone (0700) while this is done, or a user could lead root's links elsewhere, and
 * the user's to read, not to write, once ssi_unpack_make is done, so that others see nothing of it.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"
#include "libssi/base/hash.h"
#include "ssi/rexec/blobs.h"
#include "ssi/rexec/job.pb-c.h"

struct ssi_unpack;

/*
 * Checks the message (it came over the network) and this machine (-ENOEXEC: it is for another), compares the node's own files, and pins the blobs that are
 * here. The node's files are opened as uid and gid may. program is borrowed and must outlive it, blobs too. -EBADMSG: what cannot be a program.
 */
int ssi_unpack_new(const Ssi__Job__Program *program, struct ssi_blobs *blobs, const char *dir, uid_t uid, gid_t gid,
		   struct ssi_unpack **ret, struct ssi_err *e);
void ssi_unpack_free(struct ssi_unpack *u);            /* leaves DIR as it is */

/*
 * What Need.digests is to be: each that is not whole, in the order in which they are to come. What was partly there of one begins anew. m's array is u's and
 * stays until the next call; m is initialised here. Returns how many.
 */
size_t ssi_unpack_need(struct ssi_unpack *u, Ssi__Job__Need *m);
/* A piece came. 1: now all are here; 0: more is to come, or its file is here already; -EBADMSG: none of its files, or damaged; others: ssi_blobs_write. */
int ssi_unpack_piece(struct ssi_unpack *u, const Ssi__Job__Blob *m, struct ssi_err *e);

/* A folder of the node over which others are to be laid, in the sight of the job alone. */
struct ssi_layer {
	char *target;            /* the folder */
	char *lower;             /* overlayfs's lowerdir, target being the last of it */
};
struct ssi_unpacked {
	char *path;              /* for execve */
	char **argv;             /* NULL at its end */
	char **env;              /* the job's environment with what is added or changed; NULL at its end */
	/*
	 * To be mounted, read-only, before path is executed. A user may have made up what lies there, and programs of the node would believe it: so nothing
	 * that runs in their sight may have more rights than he (no_new_privs), and no process of root's opens files there.
	 */
	struct ssi_layer *layers;
	size_t n_layers;
};
/* All are here: the folder's links, and what to execute. argv and env: the caller's (Spec), n_argv at least 1. */
int ssi_unpack_make(struct ssi_unpack *u, size_t n_argv, const ProtobufCBinaryData *argv, size_t n_env, const ProtobufCBinaryData *env,
	struct ssi_unpacked *ret, struct ssi_err *e);
void ssi_unpacked_free(struct ssi_unpacked *x);
