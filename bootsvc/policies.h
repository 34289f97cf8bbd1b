/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The policies there are: those that are shipped, and over them the files of policy.d beside nodes.d (doc/policies.md). Files that change are read at once,
 * where the kernel tells of it, and with the verb reload; with a mistake in one of them, nothing changes. A policy has a number that grows with each change
 * of it, kept in the store.
 */
#include "bootsvc/daemon.h"
#include "libssi/base/buf.h"
#include "libssi/model/policy.h"

#define POLICIES_MAX 256                 /* files */

struct policies_entry {
	char name[72];
	char *file;                      /* where it comes from; NULL: shipped */
	char *text;
	struct ssi_policy *policy;
	uint64_t version;
};
struct policies_shipped { const char *name, *text; };
extern const struct policies_shipped policies_shipped[];   /* made of policy.d at build time; ends with {0} */

struct policies;
int policies_new(struct daemon *d, struct policies **ret, struct ssi_err *e);      /* mistakes are logged, and what is shipped counts */
void policies_free(struct policies *p);
/* Read the files again. -EINVAL: mistakes, a line each in errors; nothing was changed. */
int policies_reload(struct policies *p, struct ssi_buf *errors);
const struct policies_entry *policies_get(const struct policies *p, const char *name);     /* NULL: there is none */
const struct policies_entry *policies_each(const struct policies *p, size_t i);           /* by name; NULL past the last */
