/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What an ELF file (System V gABI) says about where it runs and what it needs. Read with pread, never mapped: a file that is cut short meanwhile is an error
 * and no signal. All that it says is bounded before it is followed. 32 and 64 bit, both byte orders.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/arena.h"
#include "libssi/base/err.h"

#define SSI_ELF_NEEDED 256               /* libraries that one file asks for */
#define SSI_ELF_STRINGS (4u << 20)       /* bytes of its dynamic string table */

struct ssi_elf {
	uint16_t machine;                /* EM_… */
	uint16_t type;                   /* ET_EXEC, ET_DYN */
	bool wide, big;                  /* 64 bit; big-endian */
	unsigned x86_level;              /* 0: it does not say; 1 to 4: what its .note.gnu.property asks for */
	const char *interpreter;         /* NULL: static, or a library */
	const char *rpath, *runpath;     /* NULL: none */
	const char **needed;             /* in its order */
	size_t n_needed;
};

/* Is this an ELF file at all? Of the first n bytes of a file. */
bool ssi_elf_is(const void *p, size_t n);
/* The strings lie in a. 0; -ENOEXEC: none, of no kind that is executed or loaded, or damaged (the text says in what; name is for it); -errno of reading. */
int ssi_elf_read(int fd, const char *name, struct ssi_arena *a, struct ssi_elf *ret, struct ssi_err *e);
