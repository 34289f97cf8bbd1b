/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Archives in the "newc" format of cpio(5), as the kernel takes them for an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst). */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "libssi/base/err.h"

/*
 * Write the archive in (len bytes) anew to out, so that the same content gives the same bytes: every entry belongs to root and has time
 * mtime, inode numbers count up, and entries whose name matches one of the patterns drop[0..n_drop) (fnmatch(3), '*' matches
 * '/' too) are left out. Entries keep their order.
 * -EBADMSG when in is no such archive, -ENOMEM, or what writing gave.
 */
int cpio_normalise(const char *in, size_t len, uint32_t mtime, const char *const *drop, size_t n_drop, FILE *out, struct ssi_err *e);
/*
 * Write to out what archive more has and base has not, or has with another content or mode: unpacked one after the other, base and that give more. Folders of more all come, files with
 * more than one name as a file each.
 */
int cpio_difference(const char *base, size_t base_len, const char *more, size_t len, FILE *out, struct ssi_err *e);
