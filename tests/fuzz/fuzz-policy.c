/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/policy: any text; what is accepted chooses nodes that it does not object to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	_cleanup_policy_ struct ssi_policy *p = NULL;
	struct ssi_policy_node nodes[3] = { { .name = "n01", .number = 1, .cpus = 2 }, { .name = "n02", .number = 2, .cpus = 4, .available = 1 << 30 },
		{ .name = "n03", .objection = "no", .number = 3 } };
	struct ssi_policy_want w = { .count = 1, .cpus = 1, .same_as = "n02" };
	char buf[128];
	struct ssi_err e;
	size_t i;

	if (size > 65536 || ssi_policy_parse("fuzz.ini", (const char *)data, size, &p, &errors) < 0)
		return 0;
	for (int k = 0; k < SSI_METRICS; k++)
		nodes[1].metric[k] = 0.5;
	if (ssi_policy_choose(p, nodes, 3, &w, &i, &e) < 0)
		return 0;
	if (i >= 2 || (!p->full_lowest && ssi_policy_objection(p, &nodes[i], &w, buf, sizeof(buf))))
		abort();
	return 0;
}
