/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the open files of /proc and the last reading. Called once a second. Disks that never did anything (loop and ram devices, mostly) are left
 * out. Which core a processor is on is asked when processors come and go, and not else.
 */
#include "ssi-agent/load-read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"

#define LOAD_TEXT 65536              /* to begin with; it grows */
#define LOAD_TEXT_MAX (1u << 20)

enum { FILE_STAT, FILE_LOADAVG, FILE_UPTIME, FILE_MEMINFO, FILE_VMSTAT, FILE_DISKS, FILE_NICS, FILE_CPU, FILE_MEMORY, FILE_IO, FILES };
static const char *const load_files[FILES] = { "stat", "loadavg", "uptime", "meminfo", "vmstat", "diskstats", "net/dev", "pressure/cpu",
	"pressure/memory", "pressure/io" };

struct load_reader {
	int proc, sys, files[FILES];
	char *text;                          /* of the file that is being read */
	size_t room;
	struct ssi_load load;
	struct ssi_load_cpu cpus[SSI_LOAD_CPUS_MAX];
	struct ssi_load_disk disks[SSI_LOAD_DISKS_MAX];
	struct ssi_load_nic nics[SSI_LOAD_NICS_MAX];
	struct ssi_load_numa numa[SSI_LOAD_NUMA_MAX];
	char cpuinfo[SSI_LOAD_CPUINFO_MAX];
	uint32_t known[SSI_LOAD_CPUS_MAX], n_known;     /* the processors whose place was asked for */
	uint64_t values[SSI_LOAD_FIXED + SSI_LOAD_CPUS_MAX * SSI_LOAD_CPU + SSI_LOAD_DISKS_MAX * SSI_LOAD_DISK + SSI_LOAD_NICS_MAX * SSI_LOAD_NIC];
};

int load_reader_new(int proc, int sys, struct load_reader **ret)
{
	struct load_reader *r = calloc(1, sizeof(*r));

	if (r)
		r->text = malloc(LOAD_TEXT);
	if (!r || !r->text) {
		free(r);
		return -ENOMEM;
	}
	r->proc = proc;
	r->sys = sys;
	r->room = LOAD_TEXT;
	for (int i = 0; i < FILES; i++)
		r->files[i] = openat(proc, load_files[i], O_RDONLY | O_CLOEXEC);
	r->load.shape = (struct ssi_load_shape) { .cpus = r->cpus, .disks = r->disks, .nics = r->nics, .numa = r->numa, .cpuinfo = r->cpuinfo };
	r->load.values = r->values;
	*ret = r;
	return 0;
}

void load_reader_free(struct load_reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < FILES; i++)
		if (r->files[i] >= 0)
			close(r->files[i]);
	free(r->text);
	free(r);
}

/* The whole of a file as text, "" if it is not there. */
static char *read_text(struct load_reader *r, int file)
{
	size_t n = 0;
	ssize_t got;

	r->text[0] = '\0';
	if (r->files[file] < 0)
		return r->text;
	while ((got = pread(r->files[file], r->text + n, r->room - 1 - n, (off_t)n)) > 0) {
		char *more;

		n += (size_t)got;
		if (n < r->room - 1 || r->room >= LOAD_TEXT_MAX)
			continue;
		more = realloc(r->text, 2 * r->room);
		if (!more)
			break;
		r->text = more;
		r->room *= 2;
	}
	r->text[n] = '\0';
	return r->text;
}

/* The line behind this one, or NULL. */
static char *next_line(char *s)
{
	s = strchr(s, '\n');
	return s && s[1] ? s + 1 : NULL;
}

/* Up to n numbers from s on. */
static unsigned numbers(const char *s, uint64_t *ret, unsigned n)
{
	unsigned i;
	char *end;

	for (i = 0; i < n; i++, s = end) {
		ret[i] = strtoull(s, &end, 10);
		if (end == s)
			break;
	}
	return i;
}

/* "12.34" as 1234. */
static uint64_t hundredths(const char *s)
{
	unsigned long long whole = 0;
	unsigned part = 0;

	sscanf(s, "%llu.%2u", &whole, &part);
	return whole * 100 + part;
}

static const char *behind(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 ? line + n : NULL;
}

/* --- files of named values --- */

static void read_loadavg(struct load_reader *r)
{
	unsigned long long running, tasks, last;
	char one[16], five[16], fifteen[16];

	if (sscanf(read_text(r, FILE_LOADAVG), "%15s %15s %15s %llu/%llu %llu", one, five, fifteen, &running, &tasks, &last) != 6)
		return;
	r->values[SSI_LOAD_1] = hundredths(one);
	r->values[SSI_LOAD_5] = hundredths(five);
	r->values[SSI_LOAD_15] = hundredths(fifteen);
	r->values[SSI_LOAD_RUNNING] = running;
	r->values[SSI_LOAD_TASKS] = tasks;
	r->values[SSI_LOAD_LAST_PID] = last;
}

static void read_uptime(struct load_reader *r)
{
	char up[32], idle[32];

	if (sscanf(read_text(r, FILE_UPTIME), "%31s %31s", up, idle) != 2)
		return;
	r->values[SSI_LOAD_UPTIME] = hundredths(up);
	r->values[SSI_LOAD_IDLE] = hundredths(idle);
}

static void read_meminfo(struct load_reader *r)
{
	for (char *line = read_text(r, FILE_MEMINFO); line; line = next_line(line)) {
		size_t n = strcspn(line, ":\n");

		for (unsigned k = 0; k < SSI_LOAD_MEMINFO_KEYS; k++)
			if (strncmp(line, ssi_load_meminfo[k], n) == 0 && !ssi_load_meminfo[k][n] && line[n] == ':') {
				numbers(line + n + 1, &r->values[SSI_LOAD_MEMINFO + k], 1);
				break;
			}
	}
}

static void read_vmstat(struct load_reader *r)
{
	static const struct { const char *word; unsigned value; } wanted[] = { { "pgpgin ", SSI_LOAD_PGPGIN }, { "pgpgout ", SSI_LOAD_PGPGOUT },
		{ "pswpin ", SSI_LOAD_PSWPIN }, { "pswpout ", SSI_LOAD_PSWPOUT } };

	for (char *line = read_text(r, FILE_VMSTAT); line; line = next_line(line))
		for (size_t k = 0; line[0] == 'p' && k < sizeof(wanted) / sizeof(*wanted); k++) {
			const char *at = behind(line, wanted[k].word);

			if (at)
				numbers(at, &r->values[wanted[k].value], 1);
		}
}

/* Three values from first on: those of the line that begins with word. */
static void read_pressure(struct load_reader *r, int file, const char *word, unsigned first)
{
	for (char *line = read_text(r, file); line; line = next_line(line)) {
		const char *at = behind(line, word), *avg60 = at ? strstr(at, "avg60=") : NULL, *total = at ? strstr(at, "total=") : NULL;

		if (!at || !avg60 || !total)
			continue;
		r->values[first] = hundredths(at + strlen(" avg10="));
		r->values[first + 1] = hundredths(avg60 + strlen("avg60="));
		numbers(total + strlen("total="), &r->values[first + 2], 1);
		return;
	}
}

/* --- what the shape is of --- */

static void read_stat(struct load_reader *r)
{
	static const struct { const char *word; unsigned value; } wanted[] = { { "intr ", SSI_LOAD_INTR }, { "ctxt ", SSI_LOAD_CTXT },
		{ "btime ", SSI_LOAD_BTIME }, { "processes ", SSI_LOAD_FORKS }, { "procs_running ", SSI_LOAD_PROCS_RUNNING },
		{ "procs_blocked ", SSI_LOAD_PROCS_BLOCKED }, { "softirq ", SSI_LOAD_SOFTIRQ } };
	uint64_t *at = r->values + SSI_LOAD_FIXED;
	uint32_t n = 0;

	for (char *line = read_text(r, FILE_STAT); line; line = next_line(line)) {
		char *end = line + 3;

		if (strncmp(line, "cpu", 3) == 0 && line[3] != ' ' && n < SSI_LOAD_CPUS_MAX) {
			r->cpus[n].number = (uint32_t)strtoul(line + 3, &end, 10);
			numbers(end, at + (size_t)n++ * SSI_LOAD_CPU, SSI_LOAD_CPU);
			continue;
		}
		for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++) {
			const char *value = behind(line, wanted[k].word);

			if (value)
				numbers(value, &r->values[wanted[k].value], 1);
		}
	}
	r->load.shape.n_cpus = n;
}

static void read_disks(struct load_reader *r)
{
	uint64_t *at = r->values + SSI_LOAD_FIXED + (size_t)r->load.shape.n_cpus * SSI_LOAD_CPU;
	uint32_t n = 0;

	for (char *line = read_text(r, FILE_DISKS); line && n < SSI_LOAD_DISKS_MAX; line = next_line(line)) {
		uint64_t *v = at + (size_t)n * SSI_LOAD_DISK, any = 0;
		struct ssi_load_disk *d = &r->disks[n];
		int behind_name = 0;

		memset(d, 0, sizeof(*d));
		if (sscanf(line, "%u %u %31s%n", &d->major, &d->minor, d->name, &behind_name) != 3)
			continue;
		memset(v, 0, SSI_LOAD_DISK * sizeof(*v));
		numbers(line + behind_name, v, SSI_LOAD_DISK);
		for (int k = 0; k < SSI_LOAD_DISK; k++)
			any |= v[k];
		n += any != 0;
	}
	r->load.shape.n_disks = n;
}

static void read_nics(struct load_reader *r)
{
	uint64_t *at = (uint64_t *)ssi_load_nic(&r->load, 0);
	uint32_t n = 0;

	for (char *line = read_text(r, FILE_NICS); line && n < SSI_LOAD_NICS_MAX; line = next_line(line)) {
		const char *name = line + strspn(line, " ");
		size_t len = strcspn(name, ":\n");

		if (name[len] != ':' || len >= sizeof(r->nics[n].name))
			continue;            /* the two lines above the columns */
		memset(&r->nics[n], 0, sizeof(r->nics[n]));
		memcpy(r->nics[n].name, name, len);
		memset(at + (size_t)n * SSI_LOAD_NIC, 0, SSI_LOAD_NIC * sizeof(*at));
		numbers(name + len + 1, at + (size_t)n * SSI_LOAD_NIC, SSI_LOAD_NIC);
		n++;
	}
	r->load.shape.n_nics = n;
}

/* --- what seldom changes --- */

static uint32_t topology(const struct load_reader *r, uint32_t cpu, const char *what)
{
	char path[96], line[32];
	uint32_t v = 0;

	snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/topology/%s", cpu, what);
	if (ssi_file_read_line_at(r->sys, path, line, sizeof(line)) < 0 || ssi_num_u32(line, 0, UINT32_MAX, &v) < 0)
		return 0;
	return v;
}

static uint32_t numa_of(const struct load_reader *r, uint32_t cpu)
{
	char path[96];

	for (uint32_t i = 0; i < r->load.shape.n_numa; i++) {
		snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/node%u", cpu, r->numa[i].number);
		if (faccessat(r->sys, path, F_OK, 0) == 0)
			return r->numa[i].number;
	}
	return 0;
}

static void read_cpuinfo(struct load_reader *r)
{
	int fd = openat(r->proc, "cpuinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : ssi_fd_read_full(fd, r->cpuinfo, sizeof(r->cpuinfo) - 1);
	char *end;

	memset(r->cpuinfo + (n > 0 ? n : 0), 0, sizeof(r->cpuinfo) - (size_t)(n > 0 ? n : 0));
	end = strstr(r->cpuinfo, "\n\n");
	if (end)
		end[1] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Where the processors are, unless that is known already. */
static void read_places(struct load_reader *r)
{
	uint32_t n = r->load.shape.n_cpus, i = 0;

	while (i < n && n == r->n_known && r->cpus[i].number == r->known[i])
		i++;
	if (n && i == n)
		return;
	for (i = 0; i < n; i++) {
		struct ssi_load_cpu *c = &r->cpus[i];

		r->known[i] = c->number;
		c->package = topology(r, c->number, "physical_package_id");
		c->core = topology(r, c->number, "core_id");
		c->numa = numa_of(r, c->number);
	}
	r->n_known = n;
	read_cpuinfo(r);
}

int load_read(struct load_reader *r, const struct ssi_inventory *inventory, const struct ssi_load **ret)
{
	memset(r->values, 0, (SSI_LOAD_FIXED + (size_t)r->load.shape.n_cpus * SSI_LOAD_CPU) * sizeof(*r->values));
	r->load.shape.n_numa = 0;
	for (size_t i = 0; i < inventory->n_numa && i < SSI_LOAD_NUMA_MAX; i++)
		r->numa[r->load.shape.n_numa++] = (struct ssi_load_numa) { inventory->numa[i].number, 0, inventory->numa[i].memory / 1024 };
	read_stat(r);
	if (!r->load.shape.n_cpus)
		return -ENODATA;
	read_disks(r);
	read_nics(r);
	read_places(r);
	read_loadavg(r);
	read_uptime(r);
	read_meminfo(r);
	read_vmstat(r);
	read_pressure(r, FILE_CPU, "some", SSI_LOAD_CPU_SOME10);
	read_pressure(r, FILE_MEMORY, "some", SSI_LOAD_MEM_SOME10);
	read_pressure(r, FILE_MEMORY, "full", SSI_LOAD_MEM_FULL10);
	read_pressure(r, FILE_IO, "some", SSI_LOAD_IO_SOME10);
	read_pressure(r, FILE_IO, "full", SSI_LOAD_IO_FULL10);
	*ret = &r->load;
	return 0;
}
