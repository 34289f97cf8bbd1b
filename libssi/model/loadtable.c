/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the bytes of RUN/view/nodes: written by the daemon, read by the merged view, which trusts nothing but what it has checked. */
#include "libssi/model/loadtable.h"

#include <errno.h>
#include <string.h>

const char *const ssi_load_meminfo[SSI_LOAD_MEMINFO_KEYS] = {
	"MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive", "Active(anon)", "Inactive(anon)",
	"Active(file)", "Inactive(file)", "Unevictable", "Mlocked", "SwapTotal", "SwapFree", "Dirty", "Writeback", "AnonPages", "Mapped",
	"Shmem", "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "CommitLimit", "Committed_AS", "VmallocUsed",
	"AnonHugePages", "HugePages_Total",
};

static size_t pad8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static bool ends(const char *s, size_t n)
{
	return strnlen(s, n) < n;
}

bool ssi_load_shape_fits(const struct ssi_load_shape *s)
{
	if (s->n_cpus > SSI_LOAD_CPUS_MAX || s->n_disks > SSI_LOAD_DISKS_MAX || s->n_nics > SSI_LOAD_NICS_MAX || s->n_numa > SSI_LOAD_NUMA_MAX)
		return false;
	for (uint32_t i = 0; i < s->n_disks; i++)
		if (!ends(s->disks[i].name, sizeof(s->disks[i].name)))
			return false;
	for (uint32_t i = 0; i < s->n_nics; i++)
		if (!ends(s->nics[i].name, sizeof(s->nics[i].name)))
			return false;
	return ends(s->cpuinfo, SSI_LOAD_CPUINFO_MAX);
}

size_t ssi_load_values(const struct ssi_load_shape *s)
{
	return SSI_LOAD_FIXED + (size_t)s->n_cpus * SSI_LOAD_CPU + (size_t)s->n_disks * SSI_LOAD_DISK + (size_t)s->n_nics * SSI_LOAD_NIC;
}

static bool same(const void *a, const void *b, size_t n)
{
	return !n || memcmp(a, b, n) == 0;
}

bool ssi_load_shape_same(const struct ssi_load_shape *a, const struct ssi_load_shape *b)
{
	return a->n_cpus == b->n_cpus && a->n_disks == b->n_disks && a->n_nics == b->n_nics && a->n_numa == b->n_numa &&
	       same(a->cpus, b->cpus, a->n_cpus * sizeof(*a->cpus)) && same(a->disks, b->disks, a->n_disks * sizeof(*a->disks)) &&
	       same(a->nics, b->nics, a->n_nics * sizeof(*a->nics)) && same(a->numa, b->numa, a->n_numa * sizeof(*a->numa)) &&
	       strcmp(a->cpuinfo, b->cpuinfo) == 0;
}

/* --- writing --- */

void ssi_loadtable_begin(struct ssi_buf *b, uint64_t written_ms)
{
	struct ssi_loadtable_head h = { .magic = SSI_LOADTABLE_MAGIC, .written_ms = written_ms };

	ssi_buf_add(b, &h, sizeof(h));
}

static void add(struct ssi_buf *b, const void *p, size_t n)
{
	if (n)
		ssi_buf_add(b, p, n);
}

void ssi_loadtable_add(struct ssi_buf *b, const struct ssi_loadtable_node *node, const struct ssi_load *l)
{
	static const char zeros[8];
	const struct ssi_load_shape *s = &l->shape;
	size_t at = b->len, text = strlen(s->cpuinfo) + 1;
	struct ssi_loadtable_node n = *node;

	n.n_cpus = s->n_cpus;
	n.n_disks = s->n_disks;
	n.n_nics = s->n_nics;
	n.n_numa = s->n_numa;
	n.n_cpuinfo = (uint32_t)pad8(text);
	n.n_values = (uint32_t)ssi_load_values(s);
	ssi_buf_add(b, &n, sizeof(n));
	add(b, s->cpus, s->n_cpus * sizeof(*s->cpus));
	add(b, s->disks, s->n_disks * sizeof(*s->disks));
	add(b, s->nics, s->n_nics * sizeof(*s->nics));
	add(b, s->numa, s->n_numa * sizeof(*s->numa));
	add(b, s->cpuinfo, text);
	add(b, zeros, n.n_cpuinfo - text);
	add(b, l->values, n.n_values * sizeof(*l->values));
	if (b->err)
		return;
	n.size = (uint32_t)(b->len - at);
	memcpy(b->data + at, &n.size, sizeof(n.size));
	((struct ssi_loadtable_head *)(void *)b->data)->nodes++;
}

int ssi_loadtable_end(struct ssi_buf *b)
{
	if (!b->err)
		((struct ssi_loadtable_head *)(void *)b->data)->size = b->len;
	return b->err;
}

/* --- reading --- */

int ssi_loadtable_open(struct ssi_loadtable *t, const void *p, size_t n)
{
	const struct ssi_loadtable_head *h = p;

	if (n < sizeof(*h) || h->magic != SSI_LOADTABLE_MAGIC || h->size != n)
		return -EBADMSG;
	*t = (struct ssi_loadtable) { p, n, sizeof(*h), h->written_ms, h->nodes };
	return 0;
}

static bool head_ok(const struct ssi_loadtable_node *n)
{
	const struct ssi_load_shape s = { .n_cpus = n->n_cpus, .n_disks = n->n_disks, .n_nics = n->n_nics };
	size_t size;

	if (n->n_cpus > SSI_LOAD_CPUS_MAX || n->n_disks > SSI_LOAD_DISKS_MAX || n->n_nics > SSI_LOAD_NICS_MAX || n->n_numa > SSI_LOAD_NUMA_MAX ||
	    !n->n_cpuinfo || n->n_cpuinfo > SSI_LOAD_CPUINFO_MAX || n->n_cpuinfo % 8 || n->n_values != ssi_load_values(&s))
		return false;
	size = sizeof(*n) + n->n_cpus * sizeof(struct ssi_load_cpu) + n->n_disks * sizeof(struct ssi_load_disk) +
	       n->n_nics * sizeof(struct ssi_load_nic) + n->n_numa * sizeof(struct ssi_load_numa) + n->n_cpuinfo + n->n_values * sizeof(uint64_t);
	return n->size == size && ends(n->name, sizeof(n->name)) && ends(n->system, sizeof(n->system));
}

int ssi_loadtable_next(struct ssi_loadtable *t, const struct ssi_loadtable_node **ret_node, struct ssi_load *ret)
{
	const struct ssi_loadtable_node *n = (const void *)(t->p + t->at);
	const uint8_t *p = t->p + t->at + sizeof(*n);
	struct ssi_load l;

	if (t->at == t->n)
		return 0;
	if (t->n - t->at < sizeof(*n) || n->size > t->n - t->at || !head_ok(n))
		return -EBADMSG;
	l.shape = (struct ssi_load_shape) { .n_cpus = n->n_cpus, .n_disks = n->n_disks, .n_nics = n->n_nics, .n_numa = n->n_numa };
	l.shape.cpus = (const void *)p;
	l.shape.disks = (const void *)(p += n->n_cpus * sizeof(struct ssi_load_cpu));
	l.shape.nics = (const void *)(p += n->n_disks * sizeof(struct ssi_load_disk));
	l.shape.numa = (const void *)(p += n->n_nics * sizeof(struct ssi_load_nic));
	l.shape.cpuinfo = (const void *)(p += n->n_numa * sizeof(struct ssi_load_numa));
	l.values = (const void *)(p += n->n_cpuinfo);
	if (p[-1] || !ssi_load_shape_fits(&l.shape))
		return -EBADMSG;
	t->at += n->size;
	*ret_node = n;
	*ret = l;
	return 1;
}
