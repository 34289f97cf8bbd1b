/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the parts of unpack share: unpack.c (which files, from where, and what comes), unpack-make.c (the folder, and what is executed), unpack-tree.c (what
 * its interpreter is to find).
 */
#include <stdbool.h>
#include <zstd.h>
#include "libssi/base/arena.h"
#include "ssi/rexec/unpack.h"

struct unpack_file {
	const Ssi__Job__File *m;
	bool own;                    /* the node's file of that path is the same one */
	bool here;                   /* or its blob is here, and pinned */
	bool spare;                  /* asked for by a tree alone, which is the node's own: nobody needs it */
	char hex[SSI_HASH_HEX];
};

struct ssi_unpack {
	struct ssi_arena arena;
	const Ssi__Job__Program *program;
	struct ssi_blobs *blobs;
	const char *dir, *pins;
	uid_t uid;
	gid_t gid;
	struct unpack_file *files;   /* main, script_interpreter, interpreter (those that there are), the libraries, the archives of trees */
	size_t n_files;
	struct unpack_file *main, *elf, *interpreter, *libraries;    /* elf: the one that is executed; interpreter: NULL for a static one */
	struct unpack_file *trees;   /* their archives, in the order of the message */
	char **folders;              /* where loaders look by themselves here */
	bool foreign;                /* its loader and libc are not the node's */
	/* what comes */
	struct ssi_blob_writer *writer;
	ProtobufCBinaryData *need;
	uint8_t *raw;
};

/* unpack-tree.c: all trees that are not the node's own: unpacked, those beside the script laid there, the others in ret's layers. */
int unpack_trees(struct ssi_unpack *u, struct ssi_unpacked *ret, struct ssi_err *e);
const char *unpack_base(const char *path);
int unpack_open(const struct ssi_unpack *u, const char *path);       /* to read, as the user may; -1 */
