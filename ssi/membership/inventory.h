/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a node brings into the system. Filled by the agent, carried by JOIN, kept by the master. Everything but cpus, memory and the texts is a list of bounded length. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/model/mac.h"

#define SSI_INVENTORY_NICS 16
#define SSI_INVENTORY_NUMA 32
#define SSI_INVENTORY_ACCELERATORS 16
#define SSI_INVENTORY_MEMORY_STEP (16u << 20)   /* bytes: less than a memory block of any architecture; a balloon's breathing is not worth telling */

struct ssi_nic { char name[16], mac[SSI_MAC_LEN], driver[32]; };
struct ssi_numa { uint32_t number, cpus; uint64_t memory; };      /* cpus online; bytes */
struct ssi_accelerator {
	char address[16], driver[32];    /* "0000:01:00.0"; "" = no driver holds it */
	uint16_t vendor, device;
	uint32_t pci_class;              /* 24 bits: base class, sub-class, interface (PCI Code and ID Assignment, 1.1) */
};
struct ssi_inventory {
	uint32_t cpus;                   /* online */
	uint64_t memory;                 /* bytes, MemTotal */
	char cpu_model[96], kernel[96], arch[32];
	uint32_t x86_level;              /* of x86-64: 1 to 4; 0: another architecture, or not known */
	struct ssi_nic nics[SSI_INVENTORY_NICS]; size_t n_nics;
	struct ssi_numa numa[SSI_INVENTORY_NUMA]; size_t n_numa;
	struct ssi_accelerator accelerators[SSI_INVENTORY_ACCELERATORS]; size_t n_accelerators;
};

/* Is a PCI device an accelerator? Display controllers (03), co-processors (0b40) and processing accelerators (12) are; the picture of a server's
 * management controller (a VGA controller of those who make these) is not. */
bool ssi_accelerator_is(uint32_t pci_class, uint16_t vendor);

/* What became of a node's hardware, as text for people: "processors 1 to 2; NIC ens7 (virtio_net, 52:54:…) added". Nothing is added to ret where both
 * are the same; memory counts from SSI_INVENTORY_MEMORY_STEP on, kernel and model do not. 1 if something was added, 0, or -ENOMEM. */
int ssi_inventory_diff(const struct ssi_inventory *was, const struct ssi_inventory *is, struct ssi_buf *ret);

/* A decoded one, bounded and printable; interfaces without an address of their own are left out. */
struct Ssi__Membership__Inventory;
void ssi_inventory_copy(struct ssi_inventory *dst, const struct Ssi__Membership__Inventory *src);
/* The message of one, in one piece for free(); it borrows v's texts. NULL: out of memory. */
struct Ssi__Membership__Inventory *ssi_inventory_message(const struct ssi_inventory *v);
