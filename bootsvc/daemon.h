/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One running ssi-bootsvc: what its parts (a file each) share, and how they reach one another. */
#include "bootsvc/options.h"
#include "libssi/base/err.h"

/* Run until SIGTERM, SIGINT or the verb stop. ready (taken over, may be -1) gets a byte once the daemon serves. */
int daemon_run(const struct bootsvc_options *o, int ready, struct ssi_err *e);
