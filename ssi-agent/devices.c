/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what is read of devices below /sys. Called by machine.c and hotplug.c; the folder is a parameter, so that tests read a made-up machine. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi-agent/devices.h"

static DIR *devices_folder(int sys, const char *path)
{
	int fd = openat(sys, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* How many a list of the kernel names, as "0-3,6"; an empty one names none. */
static uint32_t devices_count(const char *list)
{
	const char *at = list;
	uint32_t n = 0;
	char *end;

	while (*at >= '0' && *at <= '9') {
		unsigned long first = strtoul(at, &end, 10), last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		n += last >= first ? (uint32_t)(last - first + 1) : 0;
		if (*end != ',')
			break;
		at = end + 1;
	}
	return n;
}

uint32_t devices_cpus(int sys)
{
	char list[4096];
	uint32_t n = 0;

	if (ssi_file_read_line_at(sys, "devices/system/cpu/online", list, sizeof(list)) >= 0)
		n = devices_count(list);
	return n ? n : 1;
}

/* The name of the driver that holds DEVICE, a path below sys; false if none does. */
static bool devices_driver(int sys, const char *device, char *ret, size_t n)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *name;
	ssize_t len;

	if ((size_t)snprintf(path, sizeof(path), "%s/driver", device) >= sizeof(path))
		return false;
	len = readlinkat(sys, path, link, sizeof(link) - 1);
	if (len <= 0)
		return false;
	link[len] = '\0';
	name = strrchr(link, '/');
	snprintf(ret, n, "%.*s", (int)n - 1, name ? name + 1 : link);
	return true;
}

bool devices_driven(int sys, const char *devpath)
{
	char driver[32];

	return devices_driver(sys, devpath + strspn(devpath, "/"), driver, sizeof(driver));
}

/* An interface that hardware stands behind: it has a driver. */
static void devices_nic(int sys, const char *name, struct ssi_inventory *ret)
{
	struct ssi_nic nic = { 0 };
	char path[NAME_MAX + 32], mac[32];

	if (ret->n_nics == SSI_INVENTORY_NICS || strlen(name) >= sizeof(nic.name))
		return;
	snprintf(path, sizeof(path), "class/net/%s/device", name);
	if (!devices_driver(sys, path, nic.driver, sizeof(nic.driver)))
		return;
	snprintf(path, sizeof(path), "class/net/%s/address", name);
	if (ssi_file_read_line_at(sys, path, mac, sizeof(mac)) < 0 || ssi_mac_parse(mac, nic.mac) < 0)
		return;
	snprintf(nic.name, sizeof(nic.name), "%.15s", name);
	ret->nics[ret->n_nics++] = nic;
}

static void devices_numa(int sys, const char *name, struct ssi_inventory *ret)
{
	struct ssi_numa *numa = &ret->numa[ret->n_numa];
	_cleanup_free_ char *text = NULL;
	char path[NAME_MAX + 64], list[4096];
	uint64_t kib = 0;
	const char *at;
	int used = 0;

	if (ret->n_numa == SSI_INVENTORY_NUMA || sscanf(name, "node%" SCNu32 "%n", &numa->number, &used) != 1 || name[used])
		return;
	snprintf(path, sizeof(path), "devices/system/node/%s/cpulist", name);
	numa->cpus = ssi_file_read_line_at(sys, path, list, sizeof(list)) < 0 ? 0 : devices_count(list);
	snprintf(path, sizeof(path), "devices/system/node/%s/meminfo", name);
	if (ssi_file_read_at(sys, path, 16384, &text, NULL) >= 0 && (at = strstr(text, "MemTotal:")))
		sscanf(at, "MemTotal: %" SCNu64 " kB", &kib);
	numa->memory = kib * 1024;
	ret->n_numa++;
}

static unsigned long devices_hex(int sys, const char *device, const char *file)
{
	char path[NAME_MAX + 64], text[32];

	snprintf(path, sizeof(path), "%s/%s", device, file);
	return ssi_file_read_line_at(sys, path, text, sizeof(text)) < 0 ? 0 : strtoul(text, NULL, 16);
}

static void devices_accelerator(int sys, const char *name, struct ssi_inventory *ret)
{
	struct ssi_accelerator *a = &ret->accelerators[ret->n_accelerators];
	char device[NAME_MAX + 32];

	if (ret->n_accelerators == SSI_INVENTORY_ACCELERATORS || strlen(name) >= sizeof(a->address))
		return;
	snprintf(device, sizeof(device), "bus/pci/devices/%s", name);
	a->pci_class = (uint32_t)devices_hex(sys, device, "class");
	a->vendor = (uint16_t)devices_hex(sys, device, "vendor");
	if (!ssi_accelerator_is(a->pci_class, a->vendor))
		return;
	a->device = (uint16_t)devices_hex(sys, device, "device");
	snprintf(a->address, sizeof(a->address), "%.15s", name);
	if (!devices_driver(sys, device, a->driver, sizeof(a->driver)))
		a->driver[0] = '\0';
	ret->n_accelerators++;
}

static void devices_each(int sys, const char *folder, void (*each)(int sys, const char *name, struct ssi_inventory *ret), struct ssi_inventory *ret)
{
	_cleanup_closedir_ DIR *d = devices_folder(sys, folder);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			each(sys, entry->d_name, ret);
}

static int devices_by_name(const void *a, const void *b)
{
	return strcmp(((const struct ssi_nic *)a)->name, ((const struct ssi_nic *)b)->name);
}

static int devices_by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct ssi_numa *)a)->number, y = ((const struct ssi_numa *)b)->number;

	return x < y ? -1 : x > y;
}

static int devices_by_address(const void *a, const void *b)
{
	return strcmp(((const struct ssi_accelerator *)a)->address, ((const struct ssi_accelerator *)b)->address);
}

void devices_read(int sys, struct ssi_inventory *ret)
{
	devices_each(sys, "class/net", devices_nic, ret);
	devices_each(sys, "devices/system/node", devices_numa, ret);
	devices_each(sys, "bus/pci/devices", devices_accelerator, ret);
	qsort(ret->nics, ret->n_nics, sizeof(*ret->nics), devices_by_name);
	qsort(ret->numa, ret->n_numa, sizeof(*ret->numa), devices_by_number);
	qsort(ret->accelerators, ret->n_accelerators, sizeof(*ret->accelerators), devices_by_address);
}
