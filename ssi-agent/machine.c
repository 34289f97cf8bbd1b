/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what is read of this machine from /proc and /sys. Called at each JOIN and each heartbeat; nothing is kept between. */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi-agent/agent.h"

#define MACHINE_MEMORY_STEP (16u << 20)   /* less than a memory block of any architecture; a balloon's breathing is not worth telling */

static uint32_t machine_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (uint32_t)n : 1;
}

/* A value of /proc/meminfo, in bytes; 0 if it is not there. */
static uint64_t machine_meminfo(const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	uint64_t kib;

	if (ssi_file_read("/proc/meminfo", 65536, &text, NULL) < 0)
		return 0;
	at = strstr(text, key);
	if (!at || sscanf(at + strlen(key), ": %" SCNu64 " kB", &kib) != 1)
		return 0;
	return kib * 1024;
}

static void machine_cpu_model(char *ret, size_t n)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256], *colon;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10) || !(colon = strchr(line, ':')))
			continue;
		colon[1 + strcspn(colon + 1, "\n")] = '\0';
		snprintf(ret, n, "%s", colon + 1 + strspn(colon + 1, " "));
		return;
	}
}

/* An interface that hardware stands behind: it has a driver. */
static void machine_nic(struct ssi_inventory *inv, const char *name)
{
	struct ssi_nic *nic = &inv->nics[inv->n_nics];
	char path[PATH_MAX], link[PATH_MAX], mac[32];
	const char *driver;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", name);
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0 || strlen(name) >= sizeof(nic->name))
		return;
	link[n] = '\0';
	driver = strrchr(link, '/');
	snprintf(path, sizeof(path), "/sys/class/net/%s/address", name);
	if (ssi_file_read_line(path, mac, sizeof(mac)) < 0 || ssi_mac_parse(mac, nic->mac) < 0)
		return;
	snprintf(nic->name, sizeof(nic->name), "%.15s", name);
	snprintf(nic->driver, sizeof(nic->driver), "%.31s", driver ? driver + 1 : link);
	inv->n_nics++;
}

void machine_inventory(struct ssi_inventory *ret)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/class/net");
	struct utsname u;
	struct dirent *entry;

	memset(ret, 0, sizeof(*ret));
	ret->cpus = machine_cpus();
	ret->memory = machine_meminfo("MemTotal");
	machine_cpu_model(ret->cpu_model, sizeof(ret->cpu_model));
	if (uname(&u) >= 0) {
		snprintf(ret->kernel, sizeof(ret->kernel), "%s", u.release);
		snprintf(ret->arch, sizeof(ret->arch), "%.31s", u.machine);
	}
	while (d && (entry = readdir(d)) && ret->n_nics < SSI_INVENTORY_NICS)
		if (entry->d_name[0] != '.')
			machine_nic(ret, entry->d_name);
}

void machine_vitals(double *ret_load, uint64_t *ret_mem_free)
{
	double load[1];

	*ret_load = getloadavg(load, 1) == 1 ? load[0] : 0;
	*ret_mem_free = machine_meminfo("MemAvailable");
}

bool machine_changed(const struct ssi_inventory *known)
{
	uint64_t memory = machine_meminfo("MemTotal");
	uint64_t by = memory > known->memory ? memory - known->memory : known->memory - memory;

	return machine_cpus() != known->cpus || by >= MACHINE_MEMORY_STEP;
}

/* A node that swaps, starves or runs out of memory is slow; one that is silent is dead. What cannot be had is done without. */
void machine_protect(void)
{
	struct sched_param p = { .sched_priority = 1 };

	mlockall(MCL_CURRENT | MCL_FUTURE);
	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p);
	ssi_file_poke("/proc/self/oom_score_adj", "-1000");
}
