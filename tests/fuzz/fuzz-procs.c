/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node says of its processes: two messages of any bytes, the second on top of the first; what comes of them makes a table that can be read. */
#include <stdlib.h>
#include <string.h>
#include "ssi/procspace/procs-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t wall(void *userdata)
{
	return 1;
}

static enum ssi_procs_known known(const char *node, const char **ret_system, void *userdata)
{
	*ret_system = "demo";
	return SSI_PROCS_SHOWN;
}

static const struct ssi_procs_ops ops = { .wall = wall, .known = known };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ssi_procs_numbers *numbers;
	struct ssi_procs p = { .ops = &ops };
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	struct ssi_proctable t;
	struct procs_node *n;
	size_t cut;

	if (size < 2 || size > 65536)
		return 0;
	if (!numbers)
		numbers = ssi_procs_numbers_new(0);
	p.numbers = numbers;
	n = procs_node_add(&p, 1, "n01", 1);
	cut = 1 + data[0] % (size - 1);
	if (procs_take(&p, n, data + 1, cut - 1) == 0)
		procs_take(&p, n, data + cut, size - cut);
	if (ssi_procs_table(&p, &b) < 0 || ssi_proctable_read(b.data, b.len, &t, NULL) < 0 || t.head->n != n->n)
		abort();
	procs_node_forget(&p, n);
	return 0;
}
