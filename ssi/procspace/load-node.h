/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Telling the master what this machine does (doc/wire.md, module 5), the node's side. */
#include "libssi/comm/ccm.h"
#include "libssi/model/loadtable.h"

/* What was told last. Zero-initialise. */
struct ssi_load_teller { struct ssi_load *load; uint64_t sequence; unsigned since_whole; };
/* What has changed, or now and then the whole. 0; -EAGAIN: there is no room for it, the next one says it too; -errno of ssi_ccm_send. */
int ssi_load_tell(struct ssi_load_teller *t, struct ssi_ccm_conn *c, const struct ssi_load *now);
/* Nothing was told: in a new session, and at the end. */
void ssi_load_forget(struct ssi_load_teller *t);
