/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the parts of pack share: pack.c (what a program is), pack-find.c (files, PATH and #! lines), pack-libs.c (libraries), pack-piece.c (sending); and for
 * what an interpreter reads: pack-tree.c (which), pack-walk.c (files), pack-archive.c (made one blob).
 */
#include <sys/stat.h>
#include <sys/utsname.h>
#include <zstd.h>
#include "libssi/base/arena.h"
#include "ssi/rexec/digests.h"
#include "ssi/rexec/elf.h"
#include "ssi/rexec/ldcache.h"
#include "ssi/rexec/pack.h"

/* A file that travels. All but the descriptor lies in the pack's arena. */
struct pack_file {
	const char *path;                    /* absolute, as it was found */
	int fd;
	struct stat st;
	uint8_t digest[SSI_HASH_BYTES];
	Ssi__Job__File message;
	struct ssi_elf elf;
	struct pack_file *by;                /* who asked for it; NULL: the program itself */
	/* sending */
	unsigned tried, shrunk;              /* pieces that were compressed, and those of them that became smaller */
	struct pack_piece { uint8_t *data; uint32_t len; bool zstd; } *pieces;      /* kept ones; NULL: none are yet */
};

struct ssi_pack {
	struct ssi_arena arena;
	struct pack_file **files;
	size_t n_files;
	Ssi__Job__Program program;
	struct pack_file *main, *elf;        /* elf: the one that is executed, for a script its interpreter */
	char *const *env;
	struct ssi_digests *digests;
	const char *trees;                   /* the folder in which archives are kept; NULL: none are */
	struct utsname own;                  /* the machine we are on */
	/* libraries */
	char **folders;
	char *cache_text;
	struct ssi_ldcache cache;
	/* sending */
	bool many;
	size_t kept;
	ZSTD_CCtx *zstd;
	uint8_t raw[SSI_PACK_PIECE];
	uint8_t *packed;
};

/* pack-find.c */
const char *pack_env(char *const *env, const char *name);
/* The command as execvp(3) finds it: an absolute path in the arena. */
int pack_find(struct ssi_pack *p, const char *command, const char **ret, struct ssi_err *e);
/* Opened, looked at, and one of p->files. */
int pack_open(struct ssi_pack *p, const char *path, struct pack_file **ret, struct ssi_err *e);
int pack_digest(struct ssi_pack *p, struct pack_file *f, struct ssi_err *e);
/* The #! line of f, or /bin/sh for a text without one: 1 and path and argument (NULL: none), in the arena; 0: it is an ELF file. */
int pack_script(struct ssi_pack *p, const struct pack_file *f, const char **ret_path, const char **ret_arg, struct ssi_err *e);

/* pack-libs.c: all libraries of p->elf, as files of p from its n_files on. */
int pack_libs(struct ssi_pack *p, struct ssi_err *e);
/* And after these, those of that names, as if p->elf had asked for them; one that is nowhere is nobody's loss here. */
int pack_libs_more(struct ssi_pack *p, const char *const *names, size_t n, struct ssi_err *e);

/* pack-tree.c: what p->elf, if it is an interpreter that is known here, is going to read; script: or NULL. After all libraries. */
int pack_trees(struct ssi_pack *p, const struct pack_file *script, struct ssi_err *e);

/* pack-walk.c: files below a folder, with the paths that they are to have in a tree. All of it lies in the pack's arena. */
struct pack_entry { const char *from, *path; struct stat st; const char *link; };    /* link: NULL, or where a symbolic one points */
struct pack_walk {
	struct ssi_pack *p;
	const char *const *leave;            /* names that are left out, as of fnmatch(3); NULL at its end */
	struct pack_entry **entries;
	size_t n;
	uint64_t cost;
	size_t max;                          /* entries, and bytes: past them it is -E2BIG */
	uint64_t max_cost;
};
/* from and all below it, as path; with the folders above it. What may not be read is left out. */
int pack_walk_add(struct pack_walk *w, const char *from, const char *path, struct ssi_err *e);
/* Sorted, each path once; KEY names what they are now, for files of this machine. */
void pack_walk_end(struct pack_walk *w, char ret_key[SSI_HASH_HEX]);
/* pack-archive.c: made, or found in the user's cache; libs: what the libraries among them need. */
int pack_archive(const struct pack_walk *w, const char key[SSI_HASH_HEX], const char *name, struct pack_file **ret, const char ***ret_libs, size_t *ret_n_libs,
	struct ssi_err *e);

struct pack_file *pack_by_digest(const struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES]);    /* pack-list.c; NULL: none of it */

/* pack-piece.c */
void pack_piece_free(struct pack_file *f);
