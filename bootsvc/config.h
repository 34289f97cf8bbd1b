/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* nodes.d as files: read in name order into a registry, and two registries compared. */
#include "libssi/base/buf.h"
#include "libssi/base/err.h"
#include "libssi/model/registry.h"

/* Files that are not there yet: read as if DIR/name had this text. A list, sorted by name, ends with a NULL name. */
struct config_draft { const char *name; const char *text; };

/* Every *.ini of dir (names that begin with '.' passed over). drafts may be NULL. On mistakes -EINVAL and all of them in errors, one a line;
 * a directory or file that cannot be read is such a line too. An empty or missing directory is an empty registry. */
int config_read(const char *dir, const struct config_draft *drafts, struct ssi_registry **ret, struct ssi_buf *errors);

/* Where a key of a node was set; the node's own section when it is not among its values. Borrowed. */
const struct ssi_origin *config_origin(const struct ssi_node *n, const char *key);

/* What a new registry changes. The arrays are the caller's (config_diff_free), the nodes borrowed from the registries. */
struct config_diff {
	const struct ssi_node **added, **removed, **changed;   /* removed: of the old one; else of the new one */
	size_t n_added, n_removed, n_changed;
};
/* old may be NULL (everything is added). 0 or -ENOMEM. */
int config_compare(const struct ssi_registry *old, const struct ssi_registry *new_registry, struct config_diff *ret);
void config_diff_free(struct config_diff *d);
