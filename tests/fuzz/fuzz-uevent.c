/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Uevents: what is found in a datagram lies in it, and ends in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/uevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *text, const uint8_t *data, size_t size)
{
	const uint8_t *at = (const uint8_t *)text;

	if (*text && (at < data || at + strlen(text) >= data + size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssi_uevent u;

	if (ssi_uevent_parse((const char *)data, size, &u) < 0)
		return 0;
	inside(u.action, data, size);
	inside(u.devpath, data, size);
	inside(u.subsystem, data, size);
	inside(u.modalias, data, size);
	if (!*u.action || *u.devpath != '/')
		abort();
	return 0;
}
