/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a step left in the cache: files, and a result.json that says their sizes and digests and what else the step learned (kernel,
 * packages, verity). CACHE/KIND-KEY/, KEY being the digest of everything that went into it.
 */
#include <jansson.h>
#include <stdbool.h>
#include "libssi/base/err.h"
#include "mkimage/tmpdir.h"

#define RESULT_KEEP 6           /* results of a kind that are kept, the latest used */

/* Is there such a result? */
bool result_has(const char *cache, const char *kind, const char *key);
char *result_path(const char *cache, const char *kind, const char *key);
/* Add sizes and digests of the named files (NULL at the end) in t to o as "files", write it as result.json, and rename t into place.
 * When one is there already (someone else was faster) it stays, unless replace is set. */
int result_commit(const char *cache, const char *kind, const char *key, bool replace, struct tmpdir *t, json_t *o, const char *const *files,
		  struct ssi_err *e);
/* Read a result.json; a new reference in *ret. */
int result_load(const char *cache, const char *kind, const char *key, json_t **ret, struct ssi_err *e);
/* Note that a result was used now, so that it is kept. */
void result_touch(const char *cache, const char *kind, const char *key);
/* Remove the results of a kind that were not used for longest, all but RESULT_KEEP. */
void result_prune(const char *cache, const char *kind);

/* {"size":N,"sha256":"..."} of a file. */
int result_file(const char *path, json_t **ret, struct ssi_err *e);

static inline void result_decref(json_t **o) { json_decref(*o); }
#define _cleanup_json_ SSI_CLEANUP(result_decref)
