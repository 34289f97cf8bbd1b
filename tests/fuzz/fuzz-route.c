/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An HTTP request path, as a stranger on the network writes it: what is let through names nothing outside the store. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bootsvc/route.h"
#include "libssi/base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = malloc(size + 1), mac[SSI_MAC_LEN];
	struct route r;

	if (!path)
		return 0;
	memcpy(path, data, size);
	path[size] = '\0';
	if (route_parse(path, &r) == 0 && r.kind == ROUTE_IMAGE) {
		if (!ssi_path_is_name(r.image) || !ssi_path_is_name(r.file) || strlen(r.generation) != 71 || strchr(r.generation, '/'))
			abort();
	} else if (route_parse(path, &r) == 0 && (ssi_mac_parse(r.mac, mac) < 0 || strcmp(mac, r.mac) != 0)) {
		abort();
	}
	free(path);
	return 0;
}
