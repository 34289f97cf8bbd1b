/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which devices this machine has, and what they are, by the modaliases in sysfs. Pure but for reading below the directory it is given. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/model/mac.h"

#define COLDPLUG_ALIAS_MAX 512

enum coldplug_class { COLDPLUG_OTHER, COLDPLUG_NETWORK, COLDPLUG_STORAGE };

struct coldplug_device {
	char path[512];                          /* its directory, below the sysfs that was walked */
	char alias[COLDPLUG_ALIAS_MAX];          /* "pci:v00001AF4d00001000..." */
	enum coldplug_class class;
	bool driven;                             /* a driver holds it already */
};

/* What a modalias stands for: the class of a PCI function, the device number of a virtio device. */
enum coldplug_class coldplug_class_of(const char *alias);

/* Every device of SYS/bus/BUS/devices that has a modalias, once; each() returns < 0 to end the walk with it. Devices come and go during a walk: one
 * that cannot be read is passed over. */
int coldplug_walk(const char *sys, int (*each)(const struct coldplug_device *d, void *userdata), void *userdata, struct ssi_err *e);

/* The interface of SYS/class/net with this address: 1 with its name in ret (16 bytes), 0 if there is none. */
int coldplug_interface(const char *sys, const char *mac, char ret[16]);

/* Aliases that were seen: false the first time. Keeps 64-bit digests in a fixed table; when that is full everything counts as seen. */
struct coldplug_seen { uint64_t digests[4096]; unsigned n; };
bool coldplug_seen(struct coldplug_seen *s, const char *alias);
