/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/registry: any bytes as nodes.d; a line of "%%%%" parts two files. What is accepted must be coherent. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check(const struct ssi_registry *r)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		const struct ssi_node *n = r->nodes[i];

		if (ssi_registry_node(r, n->name) != n || n->number != i + 1 || !n->system || !n->image[0] || !n->args)
			abort();
		if ((n->address.s_addr & n->system->netmask.s_addr) != n->system->network.s_addr || !ssi_node_equal(n, n))
			abort();
	}
	for (size_t i = 0; i < r->n_systems; i++)
		if (ssi_registry_system(r, r->systems[i]->name) != r->systems[i] || !r->systems[i]->interface[0])
			abort();
	for (size_t i = 0; i < r->n_machines; i++)
		if (ssi_registry_machine(r, r->machines[i]->mac) != r->machines[i])
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *cut = size ? memmem(text, size, "%%%%\n", 5) : NULL;
	struct ssi_registry_source src[2] = { { "a.ini", text, cut ? (size_t)(cut - text) : size } };
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry *r = NULL;
	int err;

	if (cut)
		src[1] = (struct ssi_registry_source){ "b.ini", cut + 5, text + size - cut - 5 };
	err = ssi_registry_parse(src, cut ? 2 : 1, &r, &errors);
	if (err == 0 ? errors.len != 0 || !r : err != -EINVAL || !errors.len || r)
		abort();
	if (r)
		fuzz_check(r);
	ssi_registry_free(r);
	return 0;
}
