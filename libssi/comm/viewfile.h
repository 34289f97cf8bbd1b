/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A file of RUN/view as its reader has it: wanted for as long as this is open, so that the daemon writes it anew each second, and mapped. Readers need no
 * right but to read.
 */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/err.h"

struct ssi_viewfile;
/* folder NULL: $SSI_VIEW_DIR, else SSI_RUNDIR/view. name: "processes" or "nodes". Nothing is mapped yet. -ENOENT: there is no daemon; -EACCES: one may not. */
int ssi_viewfile_open(const char *folder, const char *name, struct ssi_viewfile **ret, struct ssi_err *e);
void ssi_viewfile_close(struct ssi_viewfile *f);                 /* NULL is fine */
static inline void ssi_viewfile_closep(struct ssi_viewfile **f) { ssi_viewfile_close(*f); }
#define _cleanup_viewfile_ SSI_CLEANUP(ssi_viewfile_closep)
/*
 * The file as it is now: 1 if it is another one than before (the mapping before is gone then), 0 if it is the same. newer_ms > 0: if it was written before
 * that time (wall clock), wait for the next one, for at most wait_ms; then what there is is taken. *ret stays until the next call. -ENOENT: it was not
 * written in that time.
 */
int ssi_viewfile_map(struct ssi_viewfile *f, uint64_t newer_ms, unsigned wait_ms, const void **ret, size_t *ret_n, struct ssi_err *e);
