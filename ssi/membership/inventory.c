/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what an inventory may look like when it came over the wire. Called by the master's JOIN. */
#include <string.h>
#include "ssi/boot/text.h"
#include "ssi/membership/inventory.h"
#include "ssi/membership/membership.pb-c.h"

void ssi_inventory_copy(struct ssi_inventory *dst, const struct Ssi__Membership__Inventory *src)
{
	memset(dst, 0, sizeof(*dst));
	dst->cpus = src->cpus;
	dst->memory = src->memory;
	ssi_text_copy(dst->cpu_model, sizeof(dst->cpu_model), src->cpu_model);
	ssi_text_copy(dst->kernel, sizeof(dst->kernel), src->kernel);
	ssi_text_copy(dst->arch, sizeof(dst->arch), src->arch);
	for (size_t i = 0; i < src->n_nics && dst->n_nics < SSI_INVENTORY_NICS; i++) {
		struct ssi_nic *nic = &dst->nics[dst->n_nics];
		if (ssi_mac_parse(src->nics[i]->mac, nic->mac) < 0)
			continue;
		ssi_text_copy(nic->name, sizeof(nic->name), src->nics[i]->name);
		ssi_text_copy(nic->driver, sizeof(nic->driver), src->nics[i]->driver);
		dst->n_nics++;
	}
}
