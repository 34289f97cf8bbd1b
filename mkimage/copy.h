/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Copying into a tree that is to be an image. A path in the tree is resolved as it would be with the tree as the root: an absolute link
 * in it never leads out. Files and new folders belong to the caller (root) and have the mode of their source; folders that are there stay.
 */
#include "libssi/base/err.h"

/* Copy a file, a link, or a folder with all in it, from src to rel in the tree. What stands there already is replaced. */
int copy_into(int tree_fd, const char *rel, const char *src, struct ssi_err *e);
/* The content of one file to a path of the caller's, as a file of its own (sharing blocks where the file system can). */
int copy_file(const char *from, const char *to, unsigned mode, struct ssi_err *e);
