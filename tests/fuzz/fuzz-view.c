/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The view as a node takes it from its master: two messages, the second on top of the first. */
#include <stdlib.h>
#include <string.h>
#include "ssi/membership/membership.pb-c.h"
#include "ssi/membership/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct ssi_view *v, const uint8_t *p, size_t n)
{
	Ssi__Membership__View *m = ssi__membership__view__unpack(NULL, n, p);
	uint64_t cpus = 0, digest = 0;

	if (!m)
		return;
	ssi_view_apply(v, m);
	ssi__membership__view__free_unpacked(m, NULL);
	for (size_t i = 0; i < v->n; i++) {
		const struct ssi_view_member *o = &v->members[i];

		cpus += o->cpus;
		digest += ssi_view_share(ssi_view_facts(o), !strcmp(o->state, "suspect"));
		if (i && v->members[i - 1].number >= v->members[i].number)
			abort();
	}
	if (cpus != v->cpus || digest != v->digest)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;
	struct ssi_view v = { 0 };
	size_t cut;

	if (size < 2 || size > 65536)
		return 0;
	cut = 1 + data[0] % (size - 1);
	take(&v, data + 1, cut - 1);
	take(&v, data + cut, size - cut);
	ssi_view_format(&v, &text);
	ssi_view_free(&v);
	return 0;
}
