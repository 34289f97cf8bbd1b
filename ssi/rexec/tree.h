/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Many small files as one blob: what an interpreter reads once it runs (doc/jobs.md). Made by who starts a job, unpacked on the node by root, whoever it came
 * from. One zstd frame; in it, little-endian:
 *
 *     "ssitree1"
 *     for each entry: u8 type, u8 0, u16 length of its path, u32 0, u64 size, i64 time; the path; size bytes
 *
 * type: 1 folder, 2 file, 3 file that may be executed, 4 symbolic link (its target is the bytes); 0 ends it, with all else 0. Paths are relative, of plain
 * components ("." and ".." are none); a folder comes before what is in it, and no path comes twice. time: of the last change, in seconds (Python compares it
 * with what a compiled file says). Owners and other permissions do not travel: folders become 0755, files 0444 and 0555, root's.
 */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"

#define SSI_TREE_MAGIC "ssitree1"
#define SSI_TREE_HEAD 24                 /* bytes of an entry before its path */
#define SSI_TREE_PATH 1024
#define SSI_TREE_ENTRIES 20000
#define SSI_TREE_BYTES ((uint64_t)128 << 20)     /* as ssi_tree_cost counts them */
#define SSI_TREE_WINDOW 21               /* log2 of zstd's window: the memory that unpacking needs */

enum ssi_tree_type { SSI_TREE_END, SSI_TREE_FOLDER, SSI_TREE_FILE, SSI_TREE_PROGRAM, SSI_TREE_LINK };

/* The memory that an entry of so many bytes takes in a tmpfs, about. */
static inline uint64_t ssi_tree_cost(uint64_t size) { return 1024 + (size + 4095) / 4096 * 4096; }

/* --- making one --- */
struct ssi_tree_writer;
int ssi_tree_write(int fd, struct ssi_tree_writer **ret, struct ssi_err *e);         /* fd is borrowed, and written from where it stands */
int ssi_tree_entry(struct ssi_tree_writer *w, enum ssi_tree_type type, const char *path, uint64_t size, int64_t time, struct ssi_err *e);
int ssi_tree_bytes(struct ssi_tree_writer *w, const void *p, size_t n, struct ssi_err *e);    /* of the last entry */
int ssi_tree_end(struct ssi_tree_writer *w, struct ssi_err *e);                      /* frees w in any case */
void ssi_tree_drop(struct ssi_tree_writer *w);                                       /* NULL is none */

/* --- unpacking one --- */
/*
 * What is in fd, from its beginning, into the empty folder dir. At most so many entries, that cost at most so much; links are made and never followed.
 * -EBADMSG: it is no tree, or a larger one; others: of writing.
 */
int ssi_tree_unpack(int fd, int dir, uint32_t entries, uint64_t cost, struct ssi_err *e);
/* The same of what is decompressed already, in pieces of any size; for ssi_tree_unpack, and tests. */
struct ssi_tree_reader;
int ssi_tree_read(int dir, uint32_t entries, uint64_t cost, struct ssi_tree_reader **ret, struct ssi_err *e);
int ssi_tree_feed(struct ssi_tree_reader *r, const uint8_t *p, size_t n, struct ssi_err *e);
int ssi_tree_read_end(struct ssi_tree_reader *r, struct ssi_err *e);                 /* -EBADMSG: it is not whole. Frees r in any case; NULL is fine */
