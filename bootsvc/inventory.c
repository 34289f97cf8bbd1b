/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inventories into JSON and back. Called by members.c and the control verbs. */
#include <stdio.h>
#include "bootsvc/inventory.h"
#include "libssi/comm/json.h"

json_t *inventory_json(const struct ssi_inventory *v)
{
	json_t *nics = json_array();

	for (size_t i = 0; i < v->n_nics; i++)
		json_array_append_new(nics, json_pack("{s:s, s:s, s:s}", "name", v->nics[i].name, "mac", v->nics[i].mac, "driver", v->nics[i].driver));
	return json_pack("{s:I, s:s, s:I, s:s, s:s, s:o}", "cpus", (json_int_t)v->cpus, "cpu_model", v->cpu_model, "memory", (json_int_t)v->memory,
			 "kernel", v->kernel, "arch", v->arch, "nics", nics);
}

char *inventory_format(const struct ssi_inventory *v)
{
	_cleanup_json_ json_t *j = inventory_json(v);

	return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

#define COPY(to, o, key) snprintf(to, sizeof(to), "%s", ssi_json_str(o, key))

void inventory_parse(const char *text, struct ssi_inventory *ret)
{
	_cleanup_json_ json_t *j = text ? json_loads(text, 0, NULL) : NULL;
	json_t *nic;
	size_t i;

	*ret = (struct ssi_inventory) { .cpus = (uint32_t)ssi_json_int(j, "cpus"), .memory = (uint64_t)ssi_json_int(j, "memory") };
	COPY(ret->cpu_model, j, "cpu_model");
	COPY(ret->kernel, j, "kernel");
	COPY(ret->arch, j, "arch");
	json_array_foreach(json_object_get(j, "nics"), i, nic) {
		if (i == SSI_INVENTORY_NICS)
			break;
		COPY(ret->nics[i].name, nic, "name");
		COPY(ret->nics[i].mac, nic, "mac");
		COPY(ret->nics[i].driver, nic, "driver");
		ret->n_nics = i + 1;
	}
}
