/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A load as the master takes it from a node, two messages, and the table of loads as the view maps it: any bytes. What was taken is the same in a table. */
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/procspace/load.h"
#include "ssi/procspace/procspace.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct ssi_load **l, uint64_t **values, const uint8_t *p, size_t n)
{
	Ssi__Procspace__Load *m = ssi__procspace__load__unpack(NULL, n, p);

	if (!m)
		return;
	if (m->shape)
		free(TAKE_PTR(*l));
	if ((!m->shape || ssi_load_take_shape(m, l, values) == 0) && *l)
		ssi_load_take_values(m, *l, *values);
	ssi__procspace__load__free_unpacked(m, NULL);
}

static void in_a_table(const struct ssi_load *l)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	struct ssi_loadtable_node node = { .name = "n" };
	const struct ssi_loadtable_node *o;
	struct ssi_loadtable t;
	struct ssi_load got;

	ssi_loadtable_begin(&b, 1);
	ssi_loadtable_add(&b, &node, l);
	if (ssi_loadtable_end(&b) < 0)
		return;
	if (ssi_loadtable_open(&t, b.data, b.len) < 0 || ssi_loadtable_next(&t, &o, &got) != 1 || !ssi_load_shape_same(&got.shape, &l->shape) ||
	    memcmp(got.values, l->values, ssi_load_values(&l->shape) * sizeof(uint64_t)) != 0 || ssi_loadtable_next(&t, &o, &got) != 0)
		abort();
}

/* Any bytes behind a head that says what is right of it. */
static void as_a_table(const uint8_t *p, size_t n)
{
	struct ssi_loadtable_head h = { .magic = SSI_LOADTABLE_MAGIC, .size = sizeof(h) + n };
	_cleanup_free_ uint8_t *copy = malloc(sizeof(h) + n);
	const struct ssi_loadtable_node *o;
	struct ssi_loadtable t;
	struct ssi_load l;

	if (!copy)
		return;
	memcpy(copy, &h, sizeof(h));
	memcpy(copy + sizeof(h), p, n);
	if (ssi_loadtable_open(&t, copy, sizeof(h) + n) == 0)
		while (ssi_loadtable_next(&t, &o, &l) == 1)
			if (!ssi_load_shape_fits(&l.shape))
				abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct ssi_load *l = NULL;
	uint64_t *values = NULL;
	size_t cut;

	if (size < 2 || size > SSI_LOAD_MESSAGE_MAX)
		return 0;
	as_a_table(data, size);
	cut = 1 + data[0] * (size - 1) / 256;
	take(&l, &values, data + 1, cut - 1);
	take(&l, &values, data + cut, size - cut);
	if (l)
		in_a_table(l);
	return 0;
}
