/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A machine that took its boot script and was never heard of again: after PATIENCE_MS its boot counts as failed, and an event says so. What
 * fetches a file from us is heard of. */
#include "bootsvc/daemon.h"

#define PATIENCE_MS 180000

struct patience;
int patience_new(struct daemon *d, struct patience **ret);      /* 0 or -errno */
void patience_free(struct patience *p);                         /* NULL is fine */
void patience_begin(struct patience *p, const char *node, uint64_t incarnation);   /* from now; again begins anew */
void patience_end(struct patience *p, const char *node);        /* it was heard of */
