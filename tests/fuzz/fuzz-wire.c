/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/wire: any bytes as an identity; what is accepted is written back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), back[128];
	struct ssi_identity id;

	if (text && ssi_identity_parse(text, &id) == 0)
		if (ssi_identity_format(&id, back, sizeof(back)) < 0 || strcmp(back, text) != 0)
			abort();
	free(text);
	return 0;
}
