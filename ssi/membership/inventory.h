/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a node brings into the system. Filled by the agent, carried by JOIN, kept by the master. */
#include <stddef.h>
#include <stdint.h>
#include "libssi/model/mac.h"

#define SSI_INVENTORY_NICS 16

struct ssi_nic { char name[16], mac[SSI_MAC_LEN], driver[32]; };
struct ssi_inventory {
	uint32_t cpus;                   /* online */
	uint64_t memory;                 /* bytes, MemTotal */
	char cpu_model[96], kernel[96], arch[32];
	struct ssi_nic nics[SSI_INVENTORY_NICS]; size_t n_nics;
};

/* A decoded one, bounded and printable; interfaces without an address of their own are left out. */
struct Ssi__Membership__Inventory;
void ssi_inventory_copy(struct ssi_inventory *dst, const struct Ssi__Membership__Inventory *src);
