/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The files that came with jobs, by their digest, on a node: a folder in a tmpfs with a file HEXDIGEST (mode 0555, root's) for each. The folder may be
 * searched but not listed (0711): who does not know a digest finds nothing. Bounded: what was not used for longest goes first, and never what a job
 * uses. Any number of processes may use one folder at once (each keeper is one), without a daemon between them: what is used has a second
 * link (a pin, in the job's folder), what is being written has a lock on it, and room is made under a lock of the folder's. So nothing of a
 * killed process stays for ever. Whole is only what has its name: it is written under another, and its digest is compared first. Blocks on the tmpfs alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/base/hash.h"

struct ssi_blobs;
struct ssi_blob_writer;

/* Makes the folder when it is not there. limit: bytes for all of them; 0: a quarter of the machine's memory. */
int ssi_blobs_open(const char *path, uint64_t limit, struct ssi_blobs **ret, struct ssi_err *e);
void ssi_blobs_close(struct ssi_blobs *b);
const char *ssi_blobs_path(const struct ssi_blobs *b);

/*
 * If it is here: make a link to it, DIR/HEXDIGEST, which keeps it as long as that link is there (the caller removes it with the job's folder; dir is in the
 * same file system), and say that it was used now. 1, or 0 if it is not here, or -errno. A pin that is there already is none too many.
 */
int ssi_blobs_pin(struct ssi_blobs *b, const uint8_t digest[SSI_HASH_BYTES], const char *dir, struct ssi_err *e);

/*
 * Begin to write one. -ENOSPC: all is in use (the text says how much there is); -EFBIG: it is more than may be. Room is held for as much again as has come, or a
 * MiB: ssi_blob_add may say -ENOSPC too.
 */
int ssi_blobs_write(struct ssi_blobs *b, const uint8_t digest[SSI_HASH_BYTES], uint64_t size, struct ssi_blob_writer **ret, struct ssi_err *e);
/* The bytes at offset, which is where those before ended. -EBADMSG: they are not, or there are more than size. */
int ssi_blob_add(struct ssi_blob_writer *w, uint64_t offset, const void *p, size_t n, struct ssi_err *e);
uint64_t ssi_blob_have(const struct ssi_blob_writer *w);
/* All were added: compares the digest, gives the file its name and pins it in dir (may be NULL: not). -EBADMSG: it is another file. Frees w in any case. */
int ssi_blob_finish(struct ssi_blob_writer *w, const char *dir, struct ssi_err *e);
void ssi_blob_drop(struct ssi_blob_writer *w);        /* NULL is none */

/*
 * The files of a tree (ssi/rexec/tree.h) whose blob is pinned by the caller, and stays so while they are used: unpacked now, or found as an earlier job left
 * them. They count as a blob does, and stay as long as one. *ret: the folder, readable for everyone who knows its name; the caller's to free.
 */
int ssi_blobs_tree(struct ssi_blobs *b, const uint8_t digest[SSI_HASH_BYTES], uint32_t entries, uint64_t cost, char **ret, struct ssi_err *e);

/* For tests and `ssi node show`: how many there are, and their bytes. */
int ssi_blobs_count(struct ssi_blobs *b, unsigned *ret_n, uint64_t *ret_bytes, struct ssi_err *e);
