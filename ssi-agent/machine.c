/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what is read of this machine from /proc and /sys (of devices: devices.c). Called at each JOIN and each heartbeat. Both folders are held open: a path from / asks
 * the root file system, whose server may be away, and a heartbeat waits for nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "ssi-agent/agent.h"
#include "ssi-agent/devices.h"
#include "ssi/rexec/platform.h"

static int machine_proc = -1, machine_sys = -1;

int machine_open(const struct agent *a, struct ssi_err *e)
{
	if (chdir(a->run_dir) < 0)
		return ssi_errno(e, -errno, "%s", a->run_dir);
	machine_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (machine_proc < 0)
		return ssi_errno(e, -errno, "/proc");
	machine_sys = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return machine_sys < 0 ? ssi_errno(e, -errno, "/sys") : 0;
}

/* A value of /proc/meminfo, in bytes; 0 if it is not there. */
static uint64_t machine_meminfo(const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	uint64_t kib;

	if (ssi_file_read_at(machine_proc, "meminfo", 65536, &text, NULL) < 0)
		return 0;
	at = strstr(text, key);
	if (!at || sscanf(at + strlen(key), ": %" SCNu64 " kB", &kib) != 1)
		return 0;
	return kib * 1024;
}

/* Of the first processor; what all of them say is long. */
static void machine_cpu_model(char *ret, size_t n)
{
	_cleanup_close_ int fd = openat(machine_proc, "cpuinfo", O_RDONLY | O_CLOEXEC);
	char text[4096], *at;
	ssize_t got = fd < 0 ? -1 : ssi_fd_read_full(fd, text, sizeof(text) - 1);

	text[got < 0 ? 0 : got] = '\0';
	at = strstr(text, "model name");
	at = at ? strchr(at, ':') : NULL;
	if (!at)
		return;
	at += 1 + strspn(at + 1, " ");
	snprintf(ret, n, "%.*s", (int)strcspn(at, "\n"), at);
}

int machine_procfs(void)
{
	return machine_proc;
}

int machine_sysfs(void)
{
	return machine_sys;
}

void machine_inventory(struct ssi_inventory *ret)
{
	struct utsname u;

	memset(ret, 0, sizeof(*ret));
	ret->cpus = devices_cpus(machine_sys);
	ret->memory = machine_meminfo("MemTotal");
	ret->x86_level = ssi_platform_level();
	machine_cpu_model(ret->cpu_model, sizeof(ret->cpu_model));
	if (uname(&u) >= 0) {
		snprintf(ret->kernel, sizeof(ret->kernel), "%s", u.release);
		snprintf(ret->arch, sizeof(ret->arch), "%.31s", u.machine);
	}
	devices_read(machine_sys, ret);
}

void machine_vitals(double *ret_load, uint64_t *ret_mem_free)
{
	char line[128];

	if (ssi_file_read_line_at(machine_proc, "loadavg", line, sizeof(line)) < 0 || sscanf(line, "%lf", ret_load) != 1)
		*ret_load = 0;
	*ret_mem_free = machine_meminfo("MemAvailable");
}

bool machine_changed(const struct ssi_inventory *known)
{
	uint64_t memory = machine_meminfo("MemTotal");
	uint64_t by = memory > known->memory ? memory - known->memory : known->memory - memory;

	return devices_cpus(machine_sys) != known->cpus || by >= SSI_INVENTORY_MEMORY_STEP;
}

/* A node that swaps, starves or runs out of memory is slow; one that is silent is dead. What cannot be had is done without. */
void machine_protect(void)
{
	struct sched_param p = { .sched_priority = 1 };

	/* What comes yet, when it is used: else each buffer would be filled with zeros as a whole. */
	if (mlockall(MCL_CURRENT) == 0)
		mlockall(MCL_FUTURE | MCL_ONFAULT);
	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p);
	ssi_file_poke("/proc/self/oom_score_adj", "-1000");
}
