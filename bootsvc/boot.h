/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A machine asks what to boot: it is entered, placed, armed, and answered with a script (doc/boot.md, step 2). */
#include "bootsvc/daemon.h"
#include "libssi/base/buf.h"

/* A file of an image goes to peer: where that is a node on its way up, an event says how far it is, and its name is in ret_node ("" else). */
void boot_fetches(struct daemon *d, struct in_addr peer, const char *file, char ret_node[64]);
/* system: the one it asked in; peer: the address it asked from. All that the answer depends on is stored when this returns 0. */
int boot_answer(struct daemon *d, const struct ssi_system *system, const char *mac, struct in_addr peer, struct ssi_buf *ret, struct ssi_err *e);
