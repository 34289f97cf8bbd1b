/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A recipe: what an image is made of, read from an ini text (format: man ssi-recipe(5)). Pure but for recipe_load(), which reads the
 * file and looks whether the folders it names are there.
 */
#include <jansson.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"
#include "mkimage/list.h"

enum recipe_source { RECIPE_DEBIAN, RECIPE_DIRECTORY };

struct recipe {
	char *file;                     /* as given by the caller: for messages */
	char *dir;                      /* the folder it lies in; relative paths in it start there */
	char *name;
	enum recipe_source source;
	char *suite, *mirror;           /* debian; mirror NULL = the host's own apt sources */
	char *path;                     /* directory, absolute or below dir */
	unsigned path_line;
	char *kernel;                   /* debian: a package */
	char *programs;                 /* "node", "master" or "none" */
	char *init;                     /* "ssi" or "systemd" */
	struct list packages;
	struct list drop;               /* below lib/modules/VERSION/kernel */
	struct list drivers, modules;   /* of the initramfs */
	bool iscsi;                     /* a second initramfs with what a node needs to log in to an iSCSI target */
	bool trim;                      /* its modules without trace events, type information and signatures: they load three times as fast */
	struct list overlays;           /* folders, absolute or below dir; the later one wins */
	struct list remove;             /* glob(7) patterns below the tree */
	struct list enable, disable, mask;
};

/* Parse a text; file is its name in messages. On mistakes: -EINVAL and every one of them in errors, one a line. The caller frees *ret. */
int recipe_parse(const char *file, const char *text, size_t len, struct recipe **ret, struct ssi_buf *errors);
/* The same from a file, and the folders it names must exist. A file that cannot be read is a line in errors, too. */
int recipe_load(const char *file, struct recipe **ret, struct ssi_buf *errors);
void recipe_free(struct recipe *r);
static inline void recipe_freep(struct recipe **r) { recipe_free(*r); }
#define _cleanup_recipe_ SSI_CLEANUP(recipe_freep)

/* What counts of it, as JSON for the manifest: no paths of this machine. A new reference, NULL = out of memory. */
json_t *recipe_json(const struct recipe *r);
/* A path of the recipe made absolute or relative to the caller; allocated. */
char *recipe_path(const struct recipe *r, const char *path);
/* Fill e with "FILE:LINE: ..." and return -EINVAL: for mistakes that only show when the tree is there. */
int recipe_mistake(const struct recipe *r, unsigned line, struct ssi_err *e, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
