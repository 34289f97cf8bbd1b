/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what an inventory looks like on the wire, and what it may look like when it came from there. Called by both sides of JOIN. */
#include <stdlib.h>
#include <string.h>
#include "ssi/boot/text.h"
#include "ssi/membership/inventory.h"
#include "ssi/membership/membership.pb-c.h"

#define PCI_DISPLAY 0x03
#define PCI_VGA 0x0300
#define PCI_COPROCESSOR 0x0b40
#define PCI_ACCELERATOR 0x12

bool ssi_accelerator_is(uint32_t pci_class, uint16_t vendor)
{
	static const uint16_t consoles[] = { 0x1a03, 0x102b, 0x18ca, 0x19e5 };       /* ASPEED, Matrox, XGI, Huawei */
	uint32_t base = pci_class >> 16;

	for (size_t i = 0; pci_class >> 8 == PCI_VGA && i < sizeof(consoles) / sizeof(*consoles); i++)
		if (vendor == consoles[i])
			return false;
	return base == PCI_DISPLAY || base == PCI_ACCELERATOR || pci_class >> 8 == PCI_COPROCESSOR;
}

static void copy_nics(struct ssi_inventory *dst, const Ssi__Membership__Inventory *src)
{
	for (size_t i = 0; i < src->n_nics && dst->n_nics < SSI_INVENTORY_NICS; i++) {
		struct ssi_nic *nic = &dst->nics[dst->n_nics];

		if (ssi_mac_parse(src->nics[i]->mac, nic->mac) < 0)
			continue;
		ssi_text_copy(nic->name, sizeof(nic->name), src->nics[i]->name);
		ssi_text_copy(nic->driver, sizeof(nic->driver), src->nics[i]->driver);
		dst->n_nics++;
	}
}

static void copy_devices(struct ssi_inventory *dst, const Ssi__Membership__Inventory *src)
{
	for (; dst->n_numa < src->n_numa && dst->n_numa < SSI_INVENTORY_NUMA; dst->n_numa++) {
		const Ssi__Membership__Numa *from = src->numa[dst->n_numa];

		dst->numa[dst->n_numa] = (struct ssi_numa){ from->number, from->cpus, from->memory };
	}
	for (; dst->n_accelerators < src->n_accelerators && dst->n_accelerators < SSI_INVENTORY_ACCELERATORS; dst->n_accelerators++) {
		const Ssi__Membership__Accelerator *from = src->accelerators[dst->n_accelerators];
		struct ssi_accelerator *to = &dst->accelerators[dst->n_accelerators];

		to->vendor = (uint16_t)from->vendor;
		to->device = (uint16_t)from->device;
		to->pci_class = from->pci_class & 0xffffff;
		ssi_text_copy(to->address, sizeof(to->address), from->address);
		ssi_text_copy(to->driver, sizeof(to->driver), from->driver);
	}
}

void ssi_inventory_copy(struct ssi_inventory *dst, const struct Ssi__Membership__Inventory *src)
{
	memset(dst, 0, sizeof(*dst));
	dst->cpus = src->cpus;
	dst->memory = src->memory;
	dst->x86_level = src->x86_level;
	ssi_text_copy(dst->cpu_model, sizeof(dst->cpu_model), src->cpu_model);
	ssi_text_copy(dst->kernel, sizeof(dst->kernel), src->kernel);
	ssi_text_copy(dst->arch, sizeof(dst->arch), src->arch);
	copy_nics(dst, src);
	copy_devices(dst, src);
}

/* The message first, then what its lists point to. */
struct message {
	Ssi__Membership__Inventory m;
	Ssi__Membership__Nic nics[SSI_INVENTORY_NICS], *nic_pointers[SSI_INVENTORY_NICS];
	Ssi__Membership__Numa numa[SSI_INVENTORY_NUMA], *numa_pointers[SSI_INVENTORY_NUMA];
	Ssi__Membership__Accelerator accelerators[SSI_INVENTORY_ACCELERATORS], *accelerator_pointers[SSI_INVENTORY_ACCELERATORS];
};

static void message_nics(struct message *to, const struct ssi_inventory *v)
{
	to->m.nics = to->nic_pointers;
	for (; to->m.n_nics < v->n_nics; to->m.n_nics++) {
		const struct ssi_nic *from = &v->nics[to->m.n_nics];
		Ssi__Membership__Nic *m = to->nic_pointers[to->m.n_nics] = &to->nics[to->m.n_nics];

		ssi__membership__nic__init(m);
		m->name = (char *)from->name;
		m->mac = (char *)from->mac;
		m->driver = (char *)from->driver;
	}
}

static void message_numa(struct message *to, const struct ssi_inventory *v)
{
	to->m.numa = to->numa_pointers;
	for (; to->m.n_numa < v->n_numa; to->m.n_numa++) {
		const struct ssi_numa *from = &v->numa[to->m.n_numa];
		Ssi__Membership__Numa *m = to->numa_pointers[to->m.n_numa] = &to->numa[to->m.n_numa];

		ssi__membership__numa__init(m);
		m->number = from->number;
		m->cpus = from->cpus;
		m->memory = from->memory;
	}
}

static void message_accelerators(struct message *to, const struct ssi_inventory *v)
{
	to->m.accelerators = to->accelerator_pointers;
	for (; to->m.n_accelerators < v->n_accelerators; to->m.n_accelerators++) {
		const struct ssi_accelerator *from = &v->accelerators[to->m.n_accelerators];
		Ssi__Membership__Accelerator *m = to->accelerator_pointers[to->m.n_accelerators] = &to->accelerators[to->m.n_accelerators];

		ssi__membership__accelerator__init(m);
		m->address = (char *)from->address;
		m->driver = (char *)from->driver;
		m->vendor = from->vendor;
		m->device = from->device;
		m->pci_class = from->pci_class;
	}
}

struct Ssi__Membership__Inventory *ssi_inventory_message(const struct ssi_inventory *v)
{
	struct message *to = calloc(1, sizeof(*to));

	if (!to)
		return NULL;
	ssi__membership__inventory__init(&to->m);
	to->m.cpus = v->cpus;
	to->m.memory = v->memory;
	to->m.x86_level = v->x86_level;
	to->m.cpu_model = (char *)v->cpu_model;
	to->m.kernel = (char *)v->kernel;
	to->m.arch = (char *)v->arch;
	message_nics(to, v);
	message_numa(to, v);
	message_accelerators(to, v);
	return &to->m;
}
