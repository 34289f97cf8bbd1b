/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* An image fetched into memory (ssi.root=ram:), for a machine that has the room for it. In a stage's child. */
#include <stdint.h>
#include "libssi/model/bootargs.h"

#define FETCH_RESERVE (96u << 20)        /* bytes that a node needs besides its image */

/* MemAvailable of a /proc/meminfo, in bytes; -ENODATA. */
int fetch_available(const char *meminfo, uint64_t *ret);
/* Is there room for an image of so many bytes, and what a node needs besides? -EFBIG, which no second try changes. */
int fetch_room(uint64_t available, uint64_t size, struct ssi_err *e);
/* Fetch what a->root names. *ret_fd is a file in memory that has the size and the digest of a->root_size and a->root_sha256, and that nobody can change any more
 * (F_SEAL_WRITE of fcntl(2)). -EBADMSG: it is another; -EFBIG: this machine is too small, and nothing was fetched. */
int fetch_image(const struct ssi_bootargs *a, int *ret_fd, struct ssi_err *e);
