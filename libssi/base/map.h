/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A hash table from strings to pointers; keys and values are borrowed and must outlive it. Zero-initialise. Not for hostile keys. */
#include <stddef.h>
#include "libssi/base/cleanup.h"

struct ssi_map {
	struct ssi_map_slot { const char *key; void *value; } *slots;    /* key NULL: free */
	size_t n, cap;
};

size_t ssi_map_hash(const char *s);      /* FNV-1a, folded so that a few of its bits will do */
/* 0, -EEXIST (the old value stays), -ENOMEM. */
int ssi_map_put(struct ssi_map *m, const char *key, void *value);
/* The value, or NULL if there is none. */
void *ssi_map_get(const struct ssi_map *m, const char *key);
void ssi_map_free(struct ssi_map *m);
#define _cleanup_map_ SSI_CLEANUP(ssi_map_free)
