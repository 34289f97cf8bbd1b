/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What becomes of a machine that is bound to no node, by its system's policy; and bindings that people ask for. */
#include <stdbool.h>
#include "bootsvc/daemon.h"

struct discovery;
int discovery_new(struct discovery **ret);
void discovery_free(struct discovery *v);             /* NULL is fine */
/* Bindings or the registry have changed by other means than the calls below: look again. */
void discovery_forget(struct discovery *v);

/* Within a transaction of the caller. 1: bound, the node's name in ret_node; 0: it waits, and why in text. */
int discovery_place(struct daemon *d, const struct ssi_system *system, const char *mac, bool fresh, char ret_node[64], char *text, size_t n,
		    struct ssi_err *e);
/* Bind node to mac, in its own transaction: whoever played node before, and whatever mac played before, is off. mac NULL: unbind. Says so in an event.
 * 1 = changed, 0 = was so; -EBUSY: somebody who would lose his machine by it may still do harm there (fence.h). */
int discovery_bind(struct daemon *d, const char *node, const char *mac, const char *why, struct ssi_err *e);
/* Would it be let? 0, or -EBUSY as above. */
int discovery_may_bind(struct daemon *d, const char *node, const char *mac, struct ssi_err *e);
