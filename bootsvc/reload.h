/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* nodes.d into the running daemon: read whole, compared with what runs, and only the difference applied. Also at start. */
#include "bootsvc/config.h"
#include "bootsvc/daemon.h"

struct reload_stats { size_t added, removed, changed; uint64_t ms; };
/* -EINVAL with every mistake in errors: nothing has changed then. */
int reload_run(struct daemon *d, struct reload_stats *ret, struct ssi_buf *errors);
/* Bind a node to the machine that nodes.d fixes, which was refused while the last one might still do harm (fence.h). */
void reload_binding(struct daemon *d, const char *node);
/* What reload_run would say of drafts, and the registry there would be (the caller's), without applying anything. */
int reload_try(struct daemon *d, const struct config_draft *drafts, struct ssi_registry **ret, struct ssi_buf *errors);
