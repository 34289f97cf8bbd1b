/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inventories into JSON and back. Called by members.c and the control verbs. Names of devices are a node's own words: any bytes. */
#include <stdio.h>
#include <stdlib.h>
#include "bootsvc/inventory.h"
#include "libssi/comm/control.h"

static json_t *nics_json(const struct ssi_inventory *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->n_nics; i++)
		json_array_append_new(a, json_pack("{s:o, s:s, s:o}", "name", ssi_control_text(v->nics[i].name), "mac", v->nics[i].mac,
						   "driver", ssi_control_text(v->nics[i].driver)));
	return a;
}

static json_t *numa_json(const struct ssi_inventory *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->n_numa; i++)
		json_array_append_new(a, json_pack("{s:I, s:I, s:I}", "number", (json_int_t)v->numa[i].number, "cpus", (json_int_t)v->numa[i].cpus,
						   "memory", (json_int_t)v->numa[i].memory));
	return a;
}

/* Numbers of PCI as everyone writes them: hexadecimal, of fixed width. */
static json_t *accelerators_json(const struct ssi_inventory *v)
{
	char vendor[5], device[5], class[7];
	json_t *a = json_array();

	for (size_t i = 0; i < v->n_accelerators; i++) {
		const struct ssi_accelerator *x = &v->accelerators[i];

		snprintf(vendor, sizeof(vendor), "%04x", x->vendor);
		snprintf(device, sizeof(device), "%04x", x->device);
		snprintf(class, sizeof(class), "%06x", x->pci_class & 0xffffff);
		json_array_append_new(a, json_pack("{s:o, s:s, s:s, s:s, s:o}", "address", ssi_control_text(x->address), "class", class, "vendor", vendor,
						   "device", device, "driver", ssi_control_text(x->driver)));
	}
	return a;
}

json_t *inventory_json(const struct ssi_inventory *v)
{
	return json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "cpus", (json_int_t)v->cpus, "cpu_model", ssi_control_text(v->cpu_model),
			 "memory", (json_int_t)v->memory, "kernel", ssi_control_text(v->kernel), "arch", ssi_control_text(v->arch),
			 "numa", numa_json(v), "nics", nics_json(v), "accelerators", accelerators_json(v));
}

char *inventory_format(const struct ssi_inventory *v)
{
	_cleanup_json_ json_t *j = inventory_json(v);

	return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

#define COPY(to, o, key) snprintf(to, sizeof(to), "%s", ssi_json_str(o, key))

static void parse_nics(const json_t *list, struct ssi_inventory *ret)
{
	const json_t *nic;
	size_t i;

	json_array_foreach((json_t *)list, i, nic) {
		if (i == SSI_INVENTORY_NICS)
			break;
		COPY(ret->nics[i].name, nic, "name");
		COPY(ret->nics[i].mac, nic, "mac");
		COPY(ret->nics[i].driver, nic, "driver");
		ret->n_nics = i + 1;
	}
}

static void parse_numa(const json_t *list, struct ssi_inventory *ret)
{
	const json_t *numa;
	size_t i;

	json_array_foreach((json_t *)list, i, numa) {
		if (i == SSI_INVENTORY_NUMA)
			break;
		ret->numa[i].number = (uint32_t)ssi_json_int(numa, "number");
		ret->numa[i].cpus = (uint32_t)ssi_json_int(numa, "cpus");
		ret->numa[i].memory = (uint64_t)ssi_json_int(numa, "memory");
		ret->n_numa = i + 1;
	}
}

static void parse_accelerators(const json_t *list, struct ssi_inventory *ret)
{
	const json_t *x;
	size_t i;

	json_array_foreach((json_t *)list, i, x) {
		if (i == SSI_INVENTORY_ACCELERATORS)
			break;
		COPY(ret->accelerators[i].address, x, "address");
		COPY(ret->accelerators[i].driver, x, "driver");
		ret->accelerators[i].pci_class = (uint32_t)strtoul(ssi_json_str(x, "class"), NULL, 16);
		ret->accelerators[i].vendor = (uint16_t)strtoul(ssi_json_str(x, "vendor"), NULL, 16);
		ret->accelerators[i].device = (uint16_t)strtoul(ssi_json_str(x, "device"), NULL, 16);
		ret->n_accelerators = i + 1;
	}
}

void inventory_parse(const char *text, struct ssi_inventory *ret)
{
	_cleanup_json_ json_t *j = text ? json_loads(text, 0, NULL) : NULL;

	*ret = (struct ssi_inventory) { .cpus = (uint32_t)ssi_json_int(j, "cpus"), .memory = (uint64_t)ssi_json_int(j, "memory") };
	COPY(ret->cpu_model, j, "cpu_model");
	COPY(ret->kernel, j, "kernel");
	COPY(ret->arch, j, "arch");
	parse_nics(json_object_get(j, "nics"), ret);
	parse_numa(json_object_get(j, "numa"), ret);
	parse_accelerators(json_object_get(j, "accelerators"), ret);
}
