/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/bootargs: any kernel command line; what is accepted is written and read back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/bootargs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = strndup((const char *)data, size), first[2048], second[2048];
	struct ssi_bootargs a, b;
	struct ssi_err e;

	if (line && ssi_bootargs_parse(line, &a, &e) == 0) {
		if (ssi_bootargs_format(&a, first, sizeof(first)) < 0)
			abort();
		if (!strncmp(a.root, "disk:", 5) || strstr(first, "ssi.token="))
			if (ssi_bootargs_parse(first, &b, &e) < 0 || ssi_bootargs_format(&b, second, sizeof(second)) < 0 || strcmp(first, second) != 0)
				abort();
	}
	free(line);
	return 0;
}
