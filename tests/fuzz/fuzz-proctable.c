/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/proctable: any bytes as a table of processes; of one that is accepted all is looked at. */
#include <stdlib.h>
#include <string.h>
#include "libssi/model/proctable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t look(const struct ssi_proctable *t)
{
	size_t n = 0;

	for (uint32_t i = 0; i < t->head->n; i++) {
		const struct ssi_proctable_process *p = &t->processes[i];
		const char *words = ssi_proctable_cmdline(t, p);

		for (uint32_t at = 0; at < p->cmdline_len; at += (uint32_t)strlen(words + at) + 1)
			n++;
		n += strlen(p->on_node.comm) + strlen(ssi_proctable_node(t, p)->name);
		if (ssi_proctable_find(t, p->pid) != p)
			abort();
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssi_proctable t;
	void *copy = malloc(size ? size : 1);    /* aligned */

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (ssi_proctable_read(copy, size, &t, NULL) == 0 && look(&t) == SIZE_MAX)
		abort();
	free(copy);
	return 0;
}
