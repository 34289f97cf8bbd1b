/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The image store (doc/store.md) as the daemon sees it: which generation is an image's current one, whether it is whole, its files. It watches what
 * the registry and running nodes use and says image-missing and image-back; a change makes the exports follow.
 */
#include "bootsvc/daemon.h"
#include "libssi/base/hash.h"

#define IMAGES_GENERATION 80     /* bytes for a generation's name with its NUL */

struct images;
int images_new(struct daemon *d, struct images **ret, struct ssi_err *e);
void images_free(struct images *im);                  /* NULL is fine */
/* The registry or what nodes run has changed: look at what is used now, watch it, say what is missing or back. */
void images_look(struct images *im);
void images_look_soon(struct images *im);             /* the same, once for many calls */

/* The current generation, looked up now. -ENOENT when there is none or files of it are missing; e says which. */
int images_current(struct images *im, const char *image, char ret[IMAGES_GENERATION], struct ssi_err *e);
/* An open descriptor of a file of a generation, or -errno. The names are already checked (route.h). */
int images_open_file(struct images *im, const char *image, const char *generation, const char *file);
/* What the manifest says of a file of a generation: its size and its SHA-256. -ENOENT, -EBADMSG as images_check(). */
int images_file(struct images *im, const char *image, const char *generation, const char *file, uint64_t *ret_size, char ret_sha256[SSI_HASH_HEX],
		struct ssi_err *e);
/* Is the generation whole, by its manifest? 0, -ENOENT, -EBADMSG; e says which file and why (verify.h). */
int images_check(struct images *im, const char *image, const char *generation, struct ssi_err *e);

/* What is used, and over which kind of root: the current generation of each system's images, and what nodes that are not off run. */
typedef void (*images_used_fn)(const char *image, const char *generation, const char *root, const struct ssi_system *system, void *userdata);
void images_used(struct images *im, images_used_fn fn, void *userdata);
void images_running(struct images *im, images_used_fn fn, void *userdata);      /* only what nodes that are not off run */
