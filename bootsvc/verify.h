/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Is a generation what its manifest says, and that what its name says? vmlinuz, initramfs and, where there is one, initramfs-iscsi by size and SHA-256, root.erofs by size (its blocks are verified where they are read).
 * A file is hashed again only when it has changed (inode, size, times), so that asking at every boot is cheap.
 */
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/base/hash.h"

struct verify;
int verify_new(struct verify **ret);                  /* 0 or -ENOMEM */
void verify_free(struct verify *v);                   /* NULL is fine */
/* 0; -ENOENT: a file is missing; -EBADMSG: damaged. e names the file, and what to do. */
int verify_generation(struct verify *v, const char *store, const char *image, const char *generation, struct ssi_err *e);
/* The same, and what the manifest says of one of those three files. */
int verify_file(struct verify *v, const char *store, const char *image, const char *generation, const char *name, uint64_t *ret_size,
		char ret_sha256[SSI_HASH_HEX], struct ssi_err *e);
