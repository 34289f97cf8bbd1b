/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The image store (doc/store.md): images, their generations, and the links "current" and "previous". A generation is used by whoever holds a
 * shared flock(2) on its manifest.json.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/err.h"
#include "mkimage/tmpdir.h"

#define STORE_ID "sha256-"
#define STORE_ID_MAX 80

struct generation {
	char image[65], id[STORE_ID_MAX];
	char *path;             /* STORE/IMAGE/ID */
	int64_t built;          /* when it was published, seconds */
	uint64_t size;          /* of its files */
	bool current, previous, used;
};
struct generations {
	struct generation *all;
	size_t n;
};
#define GENERATIONS_INIT { NULL, 0 }

/* All of them, or of one image (NULL = all): images by name, the newest generation first. A store that is not there is empty; an image that may not be
 * looked at is an error. */
int store_scan(const char *store, const char *image, struct generations *ret, struct ssi_err *e);
/* The one that "IMAGE", "IMAGE/current", "IMAGE/previous" or "IMAGE/sha256-PREFIX" (4 digits or more) names. ret gets exactly one. */
int store_find(const char *store, const char *name, struct generations *ret, struct ssi_err *e);
void store_free(struct generations *g);
#define _cleanup_generations_ SSI_CLEANUP(store_free)

/* t, with a manifest.json of this id in it, becomes a generation of image and its current one. 1 when it is new, 0 when it was there. */
int store_publish(const char *store, const char *image, const char *id, struct tmpdir *t, struct ssi_err *e);
/* Make a generation that is there the current one. */
int store_set_current(const char *store, const char *image, const char *id, struct ssi_err *e);
/* Remove one. -EBUSY when it is used (in e by whom), or when it is current and force is not set. */
int store_remove(const char *store, const struct generation *g, bool force, struct ssi_err *e);
