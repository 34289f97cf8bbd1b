/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a build will do, before anything is touched: a list of typed operations. Pure: it is given the recipe, the digests of all that the
 * recipe refers to, and which results are there already. '--dry-run' prints it, build.c does it, tests compare it.
 */
#include <stdbool.h>
#include <stdio.h>
#include "libssi/base/hash.h"
#include "mkimage/recipe.h"

enum op_type {
	OP_BOOTSTRAP,           /* source -> tree.tar.zst, by mmdebstrap */
	OP_UNPACK,              /* the tree, in a temporary folder */
	OP_INITRAMFS,           /* kernel and initramfs, from the tree as it is now */
	OP_PROGRAMS,            /* this project's programs into the tree */
	OP_OVERLAY,             /* overlay folders over the tree */
	OP_SERVICES,            /* systemd units enabled, disabled, masked */
	OP_MODULES,             /* kernel modules that nodes have no use for */
	OP_CLEAN,               /* paths that the image does without */
	OP_ROOT,                /* tree -> root.erofs */
	OP_VERITY,              /* root.erofs -> root.verity and its root hash */
	OP_PUBLISH,             /* the manifest, and the generation into the store */
	OPS
};

/* Digests of what the recipe refers to; "" = it refers to none. */
struct inputs {
	char source[SSI_HASH_HEX];      /* apt sources, or the directory's content */
	char programs[SSI_HASH_HEX];
	char overlay[SSI_HASH_HEX];
	char init[SSI_HASH_HEX];        /* ssi-init with its libraries, busybox, the dracut module */
	char root_tool[64], init_tool[64];      /* versions of mkfs.erofs and dracut */
	char epoch[24];                 /* SOURCE_DATE_EPOCH, a number of seconds, or "" */
};

struct op {
	enum op_type type;
	bool cached;            /* its result is there */
	char what[160];         /* for people */
};

struct plan {
	struct op ops[OPS];
	size_t n;
	/* Digests of all that goes into a result: its name in the cache. Of a directory there is no bootstrap result, only the key. */
	char bootstrap[SSI_HASH_HEX], initramfs[SSI_HASH_HEX], root[SSI_HASH_HEX];
};

/* Names of results in the cache. */
#define RESULT_BOOTSTRAP "bootstrap"
#define RESULT_INITRAMFS "initramfs"
#define RESULT_ROOT "root"

/* has(kind, key, userdata): is that result there? 0 or -ENOMEM. */
int plan_make(const struct recipe *r, const struct inputs *in, bool (*has)(const char *kind, const char *key, void *userdata), void *userdata,
	      struct plan *ret);
const char *op_name(enum op_type t);    /* "bootstrap", "unpack", ... */
bool plan_needs_tree(const struct plan *p);
void plan_print(const struct plan *p, FILE *to);
json_t *plan_json(const struct plan *p);
