/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Shared file systems of a system: what 'shared' in nodes.d says, and what each is called on its way to the nodes. Pure, and allocates nothing: PID 1
 * uses it. Text: paths, blanks or commas between, each with ":no_root_squash" behind it where a node's root is to be root there too.
 */
#include <stdbool.h>
#include <stddef.h>
#include "libssi/base/err.h"

#define SSI_SHARED_PATH 64               /* bytes of a path with its NUL */
#define SSI_SHARED_NAME (SSI_SHARED_PATH + sizeof("shared"))
#define SSI_SHARED_MAX 8                 /* of one system */
#define SSI_SHARED_TEXT 192              /* bytes of a text for the kernel's command line, with its NUL */

struct ssi_shared {
	char path[SSI_SHARED_PATH];      /* "/srv/data", the same on the master and on the nodes */
	bool root;                       /* a node's root is root there, not nobody */
};

/* The next one of a text that was checked; *text moves on. False at the end, and at what is none. */
bool ssi_shared_next(const char **text, struct ssi_shared *ret);
/* A whole text: absolute paths of plain letters, none that a node has for itself (/dev, /etc, ...), none twice or within another. 0, or -errno and what is wrong. */
int ssi_shared_check(const char *text, struct ssi_err *e);
/* Its paths alone, commas between: what the kernel's command line says. -ENOSPC. */
int ssi_shared_paths(const char *text, char *buf, size_t n);
/* What /srv/data is called in the master's NFSv4 pseudo-root: "shared+srv+data". */
void ssi_shared_name(const char *path, char ret[SSI_SHARED_NAME]);
/* Does a path lie in one of a text's folders, or is one itself? A path that is not in its shortest form ("..") does not. */
bool ssi_shared_holds(const char *text, const char *path);
/* Is this such a name? */
bool ssi_shared_is_name(const char *name);
