/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The node's machine-id and ssh host key, as its master handed them out (hostkey.h), into its root. init-line leaves them in BOOT_IDENTITY, memory of this boot;
 * the stage "identity" lays them where programs look: what a root or a state volume had there before, of another node, is replaced.
 */
#include "libssi/base/err.h"

#define BOOT_IDENTITY "/run/ssi/identity"
#define IDENTITY_MACHINE_ID "machine-id"
#define IDENTITY_SSH "ssh_host_ed25519_key"

/* From folder `from` into the root `to`. What is so already is not touched. A machine without an identity: nothing to do. */
int identity_lay(const char *from, const char *to, struct ssi_err *e);
