/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Many small things with one lifetime: taken one by one, given back all at once. Zero-initialise. Once memory was out,
 * failed is set and every further call gives NULL: one check at the end suffices.
 */
#include <stdbool.h>
#include <stddef.h>
#include "libssi/base/cleanup.h"

struct ssi_arena {
	struct ssi_arena_block *blocks;      /* the newest first */
	size_t left;                         /* free bytes at the end of the newest */
	bool failed;
};

void *ssi_arena_alloc(struct ssi_arena *a, size_t n);                /* zeroed, aligned for anything */
char *ssi_arena_strdup(struct ssi_arena *a, const char *s);
char *ssi_arena_printf(struct ssi_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Append to an array of *n pointers that lies in the arena (NULL at first); 0 or -ENOMEM. */
int ssi_arena_push(struct ssi_arena *a, void *array, size_t *n, const void *item);
void ssi_arena_free(struct ssi_arena *a);
#define _cleanup_arena_ SSI_CLEANUP(ssi_arena_free)
