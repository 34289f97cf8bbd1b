/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Ranges of names: "n[01-03,7],login,gpu[1-2]" (the hostlist notation of pdsh and Slurm: zero padding is kept, ranges and
 * commas inside brackets, commas outside). Bounded: at most SSI_NODELIST_MAX names, each at most 63 bytes.
 */
#include <stddef.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/err.h"

#define SSI_NODELIST_MAX 65536

struct ssi_nodelist {
	char **names;      /* in the order written, each once */
	size_t n;
};
/* -EINVAL with the place of the mistake in e, -E2BIG past the bound. On success the caller frees *ret. */
int ssi_nodelist_parse(const char *s, struct ssi_nodelist **ret, struct ssi_err *e);
/* The shortest notation for names (sorted by number where they have one); allocated, the caller's; NULL = out of memory. */
char *ssi_nodelist_format(char *const *names, size_t n);
void ssi_nodelist_free(struct ssi_nodelist *l);
static inline void ssi_nodelist_freep(struct ssi_nodelist **l) { ssi_nodelist_free(*l); }
#define _cleanup_nodelist_ SSI_CLEANUP(ssi_nodelist_freep)
