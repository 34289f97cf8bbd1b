/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The processes of all nodes, as the daemon has them: d->procs (ssi/procspace/procs-head.h), which nodes count, and their numbers over a restart. */
#include "bootsvc/daemon.h"

int processes_new(struct daemon *d, struct ssi_procs **ret);     /* before anybody may connect */
int processes_write(struct daemon *d, struct ssi_buf *ret);      /* RUN/view/processes (libssi/model/proctable.h) */
