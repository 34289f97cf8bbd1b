/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a backend of the exports can do: say what there is, and name the command of a step. */
#include "bootsvc/exports-plan.h"
#include "libssi/base/err.h"

#define EXPORTS_ARGV 12
#define EXPORTS_TEXT 512

/* A command without a shell: words points into text. */
struct export_command { char *argv[EXPORTS_ARGV]; char text[4][EXPORTS_TEXT]; };

struct exports_ops {
	const char *name;
	/* NULL: there is nothing to do, whatever is wanted is ready. */
	int (*actual)(const char *root, struct export_view *ret, struct ssi_err *e);
	/* Fill in the command; makes the folder it needs. 0 or -errno. */
	int (*command)(const struct export_step *s, const char *root, const char *store, struct export_command *ret, struct ssi_err *e);
	/* Note what is exported where the server finds it when it starts before us. 0 or -errno. */
	int (*note)(const struct export_list *wanted, const char *root, struct ssi_err *e);
	const char *watch;           /* a folder in which a change means that others changed the exports, or NULL */
};
extern const struct exports_ops exports_nfsd;
