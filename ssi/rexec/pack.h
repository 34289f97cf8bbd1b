/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A program that is going to travel, on the side of who starts it: found as execvp(3) finds it, with the interpreter and the libraries that the
 * loader would take (ld.so(8)), each by its digest. The files stay open from here on, so one whose path vanishes still travels; one that changes
 * while it is sent is an error. One pack serves any number of nodes, and compresses each piece once. Not thread-safe. It blocks on the file
 * systems the files lie in. Digests are remembered in a file of the user's own (ssi/rexec/digests.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"
#include "libssi/base/hash.h"
#include "ssi/rexec/job.pb-c.h"

#define SSI_PACK_LIBRARIES 512        /* more than so many no program has */
#define SSI_PACK_PIECE (64u << 10)    /* bytes of a file in one BLOB before compression: as SSI_JOBFRAME_PIECE */

struct ssi_pack;

struct ssi_pack_ask {
	const char *command;         /* argv[0] as it was typed: with a '/' a path, else looked for in env's PATH */
	char *const *env;            /* the job's environment: PATH and LD_LIBRARY_PATH are read from it; NULL: environ */
	const char *digests;         /* file in which digests are remembered; NULL: none are */
	bool many;                   /* for more than one node: what was compressed is kept for the next one, in memory, to 64 MiB */
};

/*
 * -ENOENT there is no such program; -EACCES it may not be run, or not be read (then it cannot travel); -ENOEXEC no program, or a damaged one;
 * -ELIBACC a library of its is nowhere; -E2BIG more than the bounds. The text names the file, and what to do.
 */
int ssi_pack_new(const struct ssi_pack_ask *ask, struct ssi_pack **ret, struct ssi_err *e);
void ssi_pack_free(struct ssi_pack *p);

/* What Spec.program is to be; the pack's own, as long as it lives. */
Ssi__Job__Program *ssi_pack_program(const struct ssi_pack *p);
/* All bytes of its files, as if none of them were on the node. */
uint64_t ssi_pack_size(const struct ssi_pack *p);

/*
 * Could a node run it, whose uname -m is arch and whose x86-64 level is x86_level (0: not known, then it is not compared)?
 * 0, or -ENOEXEC and a text that says what it is and what the node is. Before anything is sent.
 */
int ssi_pack_fits(const struct ssi_pack *p, const char *arch, unsigned x86_level, struct ssi_err *e);

/*
 * The next piece of a blob that a node said it needs: of the file with that digest, from offset on (a multiple of SSI_PACK_PIECE, or where the piece before
 * ended). *ret is filled; what it points to is the pack's and stays until the next call. Returns how many bytes of the file the piece stands for
 * (ret->data.len is what is sent): the next one begins there; ret->offset + that == ret->size: it was the last. A file of no bytes has one piece of none.
 * -ENOENT no file of this program has that digest; -ESTALE the file has changed, -EIO and others: it cannot be read. The text names it.
 */
ssize_t ssi_pack_piece(struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES], uint64_t offset, Ssi__Job__Blob *ret, struct ssi_err *e);

/* How many bytes the file with that digest has; 0: there is none. */
uint64_t ssi_pack_bytes(const struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES]);
/* The digests of all files: the array is the caller's to free, what it points to the pack's. */
size_t ssi_pack_digests(const struct ssi_pack *p, ProtobufCBinaryData **ret);

/* Where digests are remembered for the user who calls: $XDG_CACHE_HOME or ~/.cache, /ssi/digests. NULL: nowhere. The caller's to free. */
char *ssi_pack_digests_path(void);
