/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The files that come with a job (--input) and go back from it (--output), as a tar stream (POSIX pax; libarchive). Both block, and work where they are: for a child process
 * of who is in a loop. Owners do not travel, modes and times do; holes and links do. Nothing is unpacked outside of the working directory: no absolute path, no "..",
 * and no way through a symbolic link (-EBADMSG or as the kernel says).
 */
#include "libssi/base/err.h"

/* path: a folder, whose contents go by their names in it; or a file, which goes by its base name. Written to fd. */
int ssi_files_pack(const char *path, int fd, struct ssi_err *e);
/* The stream on fd, into the working directory. */
int ssi_files_unpack(int fd, struct ssi_err *e);
