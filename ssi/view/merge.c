/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local text of a file of /proc, line by line, with the nodes' values added where they are known; other lines stay as they are. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ssi/view/merge.h"

/* The next line without its end; false: there is none. */
static bool next_line(const char **at, const char **ret, size_t *ret_n)
{
	const char *end;

	if (!**at)
		return false;
	end = strchrnul(*at, '\n');
	*ret = *at;
	*ret_n = (size_t)(end - *at);
	*at = *end ? end + 1 : end;
	return true;
}

static bool begins(const char *line, size_t n, const char *word)
{
	size_t k = strlen(word);

	return n > k && !strncmp(line, word, k) && strchr(" :\t", line[k]);
}

static uint64_t sum(const struct snapshot *s, unsigned value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		v += s->node[i].load.values[value];
	return v;
}

/* --- stat --- */
static void cpu_columns(const uint64_t *c, struct ssi_buf *b)
{
	for (int i = 0; i < SSI_LOAD_CPU; i++)
		ssi_buf_addf(b, " %" PRIu64, c[i]);
	ssi_buf_adds(b, "\n");
}

static void cpu_total(const struct snapshot *s, const char *line, struct ssi_buf *b)
{
	uint64_t c[SSI_LOAD_CPU] = { 0 };

	sscanf(line, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9]);
	for (size_t i = 0; i < s->n_nodes; i++)
		for (uint32_t k = 0; k < s->node[i].load.shape.n_cpus; k++)
			for (int j = 0; j < SSI_LOAD_CPU; j++)
				c[j] += ssi_load_cpu(&s->node[i].load, k)[j];
	ssi_buf_adds(b, "cpu ");
	cpu_columns(c, b);
}

static void node_cpus(const struct snapshot *s, struct ssi_buf *b)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		for (uint32_t k = 0; k < s->node[i].load.shape.n_cpus; k++) {
			ssi_buf_addf(b, "cpu%" PRIu32, s->node[i].first_cpu + k);
			cpu_columns(ssi_load_cpu(&s->node[i].load, k), b);
		}
}

/* "WORD NUMBER REST" with more added to the number. False: the line does not begin so. */
static bool add_first(const char *line, size_t n, const char *word, uint64_t more, struct ssi_buf *b)
{
	uint64_t v;
	int used = 0;

	if (!begins(line, n, word) || sscanf(line + strlen(word), " %" SCNu64 "%n", &v, &used) < 1)
		return false;
	used += (int)strlen(word);
	ssi_buf_addf(b, "%s %" PRIu64 "%.*s\n", word, v + more, (int)n - used, line + used);
	return true;
}

static bool stat_line(const struct snapshot *s, const char *line, size_t n, struct ssi_buf *b)
{
	static const struct { const char *word; enum ssi_load_value value; } sums[] = {
		{ "intr", SSI_LOAD_INTR }, { "ctxt", SSI_LOAD_CTXT }, { "processes", SSI_LOAD_FORKS }, { "procs_running", SSI_LOAD_PROCS_RUNNING },
		{ "procs_blocked", SSI_LOAD_PROCS_BLOCKED }, { "softirq", SSI_LOAD_SOFTIRQ },
	};

	for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++)
		if (add_first(line, n, sums[i].word, sum(s, sums[i].value), b))
			return true;
	return false;
}

void merge_stat(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	bool told = false;
	const char *line;
	size_t n;

	while (next_line(&local, &line, &n)) {
		if (begins(line, n, "cpu")) {
			cpu_total(s, line, b);
			continue;
		}
		if (!told && strncmp(line, "cpu", 3) != 0) {
			node_cpus(s, b);
			told = true;
		}
		if (!stat_line(s, line, n, b))
			ssi_buf_addf(b, "%.*s\n", (int)n, line);
	}
}

/* --- cpuinfo --- */
static void cpu_block(const struct snapshot_node *node, uint32_t k, struct ssi_buf *b)
{
	const struct ssi_load_cpu *c = &node->load.shape.cpus[k];
	const char *at = node->load.shape.cpuinfo, *line;
	size_t n;

	ssi_buf_addf(b, "processor\t: %" PRIu32 "\n", node->first_cpu + k);
	while (next_line(&at, &line, &n))
		if (begins(line, n, "physical id"))
			ssi_buf_addf(b, "physical id\t: %" PRIu32 "\n", node->first_cpu + c->package);
		else if (begins(line, n, "core id"))
			ssi_buf_addf(b, "core id\t\t: %" PRIu32 "\n", c->core);
		else if (n && !begins(line, n, "processor"))
			ssi_buf_addf(b, "%.*s\n", (int)n, line);
	ssi_buf_addf(b, "node\t\t: %s\n\n", node->node->name);
}

void merge_cpuinfo(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	ssi_buf_adds(b, local);
	for (size_t i = 0; i < s->n_nodes; i++)
		for (uint32_t k = 0; k < s->node[i].load.shape.n_cpus; k++)
			cpu_block(&s->node[i], k, b);
}

/* --- meminfo, vmstat --- */
/* "KEY:  NUMBER REST" with what the nodes have of it added, as wide as it was. */
static bool add_meminfo(const struct snapshot *s, const char *line, size_t n, struct ssi_buf *b)
{
	for (unsigned i = 0; i < SSI_LOAD_MEMINFO_KEYS; i++) {
		const char *key = ssi_load_meminfo[i];
		int k = (int)strlen(key) + 1, used = 0;
		uint64_t v;

		if (!begins(line, n, key) || line[k - 1] != ':' || sscanf(line + k, " %" SCNu64 "%n", &v, &used) < 1)
			continue;
		ssi_buf_addf(b, "%s:%*" PRIu64 "%.*s\n", key, used, v + sum(s, SSI_LOAD_MEMINFO + i), (int)n - k - used, line + k + used);
		return true;
	}
	return false;
}

void merge_meminfo(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	const char *line;
	size_t n;

	while (next_line(&local, &line, &n))
		if (!add_meminfo(s, line, n, b))
			ssi_buf_addf(b, "%.*s\n", (int)n, line);
}

void merge_vmstat(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	static const char *const keys[] = { "pgpgin", "pgpgout", "pswpin", "pswpout" };
	const char *line;
	size_t n, i;

	while (next_line(&local, &line, &n)) {
		for (i = 0; i < 4; i++)
			if (add_first(line, n, keys[i], sum(s, SSI_LOAD_PGPGIN + (unsigned)i), b))
				break;
		if (i == 4)
			ssi_buf_addf(b, "%.*s\n", (int)n, line);
	}
}

/* --- loadavg, uptime --- */
static uint64_t hundredths(double v)
{
	return v > 0 ? (uint64_t)(v * 100 + 0.5) : 0;
}

void merge_loadavg(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	uint64_t running, tasks, last, v[3];
	double load[3];

	if (sscanf(local, "%lf %lf %lf %" SCNu64 "/%" SCNu64 " %" SCNu64, &load[0], &load[1], &load[2], &running, &tasks, &last) != 6) {
		ssi_buf_adds(b, local);
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		v[i] = hundredths(load[i]) + sum(s, SSI_LOAD_1 + i);
		ssi_buf_addf(b, "%" PRIu64 ".%02" PRIu64 " ", v[i] / 100, v[i] % 100);
	}
	ssi_buf_addf(b, "%" PRIu64 "/%" PRIu64 " %" PRIu64 "\n", running + sum(s, SSI_LOAD_RUNNING), tasks + sum(s, SSI_LOAD_TASKS), last);
}

void merge_uptime(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	double up, idle;
	uint64_t v;

	if (sscanf(local, "%lf %lf", &up, &idle) != 2) {
		ssi_buf_adds(b, local);
		return;
	}
	v = hundredths(idle) + sum(s, SSI_LOAD_IDLE);
	ssi_buf_addf(b, "%.2f %" PRIu64 ".%02" PRIu64 "\n", up, v / 100, v % 100);
}

/* --- diskstats, net/dev --- */
void merge_diskstats(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	ssi_buf_adds(b, local);
	for (size_t i = 0; i < s->n_nodes; i++)
		for (uint32_t k = 0; k < s->node[i].load.shape.n_disks; k++) {
			const struct ssi_load_disk *d = &s->node[i].load.shape.disks[k];
			const uint64_t *v = ssi_load_disk(&s->node[i].load, k);

			ssi_buf_addf(b, "%4" PRIu32 " %7" PRIu32 " %s.%s", d->major, d->minor, s->node[i].node->name, d->name);
			for (int j = 0; j < SSI_LOAD_DISK; j++)
				ssi_buf_addf(b, " %" PRIu64, v[j]);
			ssi_buf_adds(b, "\n");
		}
}

void merge_netdev(const struct snapshot *s, const char *local, struct ssi_buf *b)
{
	ssi_buf_adds(b, local);
	for (size_t i = 0; i < s->n_nodes; i++)
		for (uint32_t k = 0; k < s->node[i].load.shape.n_nics; k++) {
			const uint64_t *v = ssi_load_nic(&s->node[i].load, k);

			ssi_buf_addf(b, "%s.%s:", s->node[i].node->name, s->node[i].load.shape.nics[k].name);
			for (int j = 0; j < SSI_LOAD_NIC; j++)
				ssi_buf_addf(b, " %" PRIu64, v[j]);
			ssi_buf_adds(b, "\n");
		}
}
