/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the nodes do: as they told it last, for the verb load, for placing jobs, and for the merged view. */
#include <jansson.h>
#include "bootsvc/daemon.h"
#include "libssi/base/buf.h"
#include "ssi/procspace/load-head.h"

int loads_start(struct daemon *d, struct ssi_err *e);      /* makes d->loads */
void loads_left(struct daemon *d, const char *node);       /* it is a member no more */
/* Of a node that is a member and has told something; else NULL. Borrowed, until the loop goes on. */
const struct ssi_load_of *loads_of(const struct daemon *d, const struct ssi_head_node *n);
int loads_write(struct daemon *d, struct ssi_buf *ret);    /* RUN/view/nodes (libssi/model/loadtable.h) */
json_t *loads_json(const struct ssi_load_of *l);           /* as the verb load has it, without the node's name */
