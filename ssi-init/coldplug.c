/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks /sys/bus/<bus>/devices and /sys/class/net. Called by init-drivers; the directory is a parameter, so that tests walk a made-up machine. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi-init/coldplug.h"

enum coldplug_class coldplug_class_of(const char *alias)
{
	unsigned device;
	const char *bc;

	/* pci:v*d*sv*sd*bcNNscNNiNN: the base class (PCI Code and ID Assignment, 1.1). */
	if (!strncmp(alias, "pci:", 4)) {
		bc = strstr(alias, "bc");
		if (bc && !strncmp(bc, "bc02", 4))
			return COLDPLUG_NETWORK;
		return bc && !strncmp(bc, "bc01", 4) ? COLDPLUG_STORAGE : COLDPLUG_OTHER;
	}
	/* virtio:dNNNNNNNNvNNNNNNNN: the device's number (Virtio 1.1, chapter 5). */
	if (sscanf(alias, "virtio:d%8x", &device) == 1) {
		if (device == 1)
			return COLDPLUG_NETWORK;
		return device == 2 || device == 8 ? COLDPLUG_STORAGE : COLDPLUG_OTHER;
	}
	return COLDPLUG_OTHER;
}

static int coldplug_read(const char *dir, const char *name, struct coldplug_device *ret)
{
	char path[600];

	if ((size_t)snprintf(ret->path, sizeof(ret->path), "%s/%s", dir, name) >= sizeof(ret->path))
		return -ENAMETOOLONG;
	snprintf(path, sizeof(path), "%s/modalias", ret->path);
	if (ssi_file_read_line(path, ret->alias, sizeof(ret->alias)) < 0 || !ret->alias[0])
		return -ENOENT;
	ret->class = coldplug_class_of(ret->alias);
	snprintf(path, sizeof(path), "%s/driver", ret->path);
	ret->driven = access(path, F_OK) == 0;
	return 0;
}

static int coldplug_bus(const char *dir, int (*each)(const struct coldplug_device *d, void *userdata), void *userdata)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct coldplug_device device;
	struct dirent *de;
	int r;

	if (!d)
		return 0;
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || coldplug_read(dir, de->d_name, &device) < 0)
			continue;
		r = each(&device, userdata);
		if (r < 0)
			return r;
	}
	return 0;
}

int coldplug_walk(const char *sys, int (*each)(const struct coldplug_device *d, void *userdata), void *userdata, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *de;
	char dir[512];
	int r;

	snprintf(dir, sizeof(dir), "%s/bus", sys);
	d = opendir(dir);
	if (!d)
		return ssi_errno(e, -errno, "%s", dir);
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || (size_t)snprintf(dir, sizeof(dir), "%s/bus/%s/devices", sys, de->d_name) >= sizeof(dir))
			continue;
		r = coldplug_bus(dir, each, userdata);
		if (r < 0)
			return r;
	}
	return 0;
}

int coldplug_interface(const char *sys, const char *mac, char ret[16])
{
	_cleanup_closedir_ DIR *d = NULL;
	char path[600], address[64];
	struct dirent *de;

	snprintf(path, sizeof(path), "%s/class/net", sys);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "%s/class/net/%s/address", sys, de->d_name);
		if (de->d_name[0] == '.' || ssi_file_read_line(path, address, sizeof(address)) < 0 || strcasecmp(address, mac) != 0)
			continue;
		snprintf(ret, 16, "%.15s", de->d_name);
		return 1;
	}
	return 0;
}

/* FNV-1a, 64 bits: two of a machine's few hundred aliases will not share one. */
static uint64_t coldplug_digest(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h;
}

bool coldplug_seen(struct coldplug_seen *s, const char *alias)
{
	uint64_t h = coldplug_digest(alias);

	for (unsigned i = 0; i < s->n; i++)
		if (s->digests[i] == h)
			return true;
	if (s->n == sizeof(s->digests) / sizeof(s->digests[0]))
		return true;
	s->digests[s->n++] = h;
	return false;
}
