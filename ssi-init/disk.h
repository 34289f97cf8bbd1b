/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Block devices by name, label, UUID or serial number, waited for. */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"

struct disk {
	char device[280];            /* "/dev/vda" */
	const char *type;            /* "erofs", "ext4", "xfs" */
	char label[17];              /* "" if it has none */
	char uuid[37];
};

/* spec: "/dev/vda", "LABEL=x", "UUID=x" or "SERIAL=x" (of the disk itself). Waits for it by the kernel's events; -ENODEV with the devices there are when it does not come. -EMEDIUMTYPE:
 * it holds no file system known here. Another -errno: it is there and cannot be read. */
int disk_wait(const char *spec, struct disk *ret, struct ssi_err *e);
/* What file system the first DISK_PROBE bytes of a device are of: type, label and UUID of ret; -EMEDIUMTYPE. */
#define DISK_PROBE 2048
int disk_identify(const uint8_t p[DISK_PROBE], struct disk *ret);
