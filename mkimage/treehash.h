/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The digest of a folder's content: what tells whether a step must be done again. The same content gives the same digest wherever it lies. */
#include "libssi/base/err.h"
#include "libssi/base/hash.h"

enum treehash_flags {
	TREEHASH_OWNER = 1,     /* owners and times count, too; the caller's own files count as root's */
};
/* Add all below dir to h: names, kinds, modes, link targets, contents. */
int treehash_add(struct ssi_hash *h, const char *dir, unsigned flags, struct ssi_err *e);
/* Add the content of a file and its mode. */
int treehash_add_file(struct ssi_hash *h, const char *path, struct ssi_err *e);
