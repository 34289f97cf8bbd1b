/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What hardware a machine has, by its sysfs, which is held open as sys: no path begins at /. Devices come and go meanwhile: one that cannot be read is left out. */
#include <stdint.h>
#include "ssi/membership/inventory.h"

uint32_t devices_cpus(int sys);                                /* online; 1 where sysfs does not say */
/* NICs (by name), NUMA nodes (by number) and accelerators (by address) into ret, whose lists are empty. */
void devices_read(int sys, struct ssi_inventory *ret);
/* Has the device at a uevent's devpath a driver? */
bool devices_driven(int sys, const char *devpath);
