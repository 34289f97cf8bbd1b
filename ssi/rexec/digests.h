/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Digests of files that were read before, so that a program's libraries are not read through each time it is started. A file of fixed size, a table of
 * slots; what is in a slot counts only for a file of the same device, inode, size and times, to the nanosecond, and a file that was changed within the last
 * seconds is not remembered: its times could stay the same at the next change. Any number of processes may use one; a slot half written is none. Who may
 * write it decides what the digests are: so it is a user's own, or root's.
 */
#include <stdint.h>
#include <sys/stat.h>
#include "libssi/base/err.h"
#include "libssi/base/hash.h"

#define SSI_DIGESTS_SLOTS 4096

struct ssi_digests;
/* Opened, or made with its folder (0700, the file 0600). NULL: it cannot be, or path is NULL: nothing is remembered then. */
struct ssi_digests *ssi_digests_open(const char *path);
void ssi_digests_close(struct ssi_digests *d);
/*
 * The SHA-256 of the regular file open as fd (its offset stays), *st being what fstat says of it. d may be NULL. 0; -ESTALE: it changed meanwhile; -errno of
 * reading.
 */
int ssi_digests_of(struct ssi_digests *d, int fd, const struct stat *st, uint8_t ret[SSI_HASH_BYTES]);
