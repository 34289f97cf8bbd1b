/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/nodelist: any text; what is accepted names the same nodes after it was written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/nodelist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size), *once = NULL, *twice = NULL;
	_cleanup_nodelist_ struct ssi_nodelist *l = NULL, *back = NULL;
	struct ssi_err e;

	if (!text || ssi_nodelist_parse(text, &l, &e) < 0)
		return 0;
	once = ssi_nodelist_format(l->names, l->n);
	if (!once || ssi_nodelist_parse(once, &back, &e) < 0 || back->n != l->n)
		abort();
	twice = ssi_nodelist_format(back->names, back->n);
	if (!twice || strcmp(once, twice) != 0)
		abort();
	return 0;
}
