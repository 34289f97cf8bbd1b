/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns how a load is said: what has changed, as pairs of how many have not and by how much. Called by load-node.c and load-head.c. */
#include "ssi/procspace/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "ssi/procspace/procspace.pb-c.h"

static void *place(uint8_t **at, const void *p, size_t n)
{
	void *here = *at;

	if (n && p)
		memcpy(here, p, n);
	*at += (n + 7) & ~(size_t)7;
	return here;
}

struct ssi_load *ssi_load_new(const struct ssi_load_shape *s, uint64_t **ret_values)
{
	size_t cpus = s->n_cpus * sizeof(*s->cpus), disks = s->n_disks * sizeof(*s->disks), nics = s->n_nics * sizeof(*s->nics);
	size_t numa = s->n_numa * sizeof(*s->numa), text = strlen(s->cpuinfo) + 1, values = ssi_load_values(s) * sizeof(uint64_t);
	struct ssi_load *l = calloc(1, sizeof(*l) + cpus + disks + nics + numa + text + values + 8);
	uint8_t *at = (uint8_t *)(l + 1);

	if (!l)
		return NULL;
	l->shape = *s;
	l->values = *ret_values = place(&at, NULL, values);
	l->shape.cpus = place(&at, s->cpus, cpus);
	l->shape.disks = place(&at, s->disks, disks);
	l->shape.nics = place(&at, s->nics, nics);
	l->shape.numa = place(&at, s->numa, numa);
	l->shape.cpuinfo = place(&at, s->cpuinfo, text);
	return l;
}

/* --- saying it --- */

/* The parts of a shape as a message has them, borrowed from it. */
struct said {
	Ssi__Procspace__Shape shape;
	Ssi__Procspace__Cpu *cpus, **cpu;
	Ssi__Procspace__Disk *disks, **disk;
	Ssi__Procspace__NumaMemory *nodes, **node;
	char **nics;
};

static void said_free(struct said *d)
{
	free(d->cpus);
	free(d->cpu);
	free(d->disks);
	free(d->disk);
	free(d->nodes);
	free(d->node);
	free(d->nics);
}

static int said_room(struct said *d, const struct ssi_load_shape *s)
{
	ssi__procspace__shape__init(&d->shape);
	d->cpus = calloc(s->n_cpus + 1, sizeof(*d->cpus));
	d->cpu = calloc(s->n_cpus + 1, sizeof(*d->cpu));
	d->disks = calloc(s->n_disks + 1, sizeof(*d->disks));
	d->disk = calloc(s->n_disks + 1, sizeof(*d->disk));
	d->nodes = calloc(s->n_numa + 1, sizeof(*d->nodes));
	d->node = calloc(s->n_numa + 1, sizeof(*d->node));
	d->nics = calloc(s->n_nics + 1, sizeof(*d->nics));
	return d->cpus && d->cpu && d->disks && d->disk && d->nodes && d->node && d->nics ? 0 : -ENOMEM;
}

static int say_shape(struct said *d, const struct ssi_load_shape *s)
{
	if (said_room(d, s) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_cpus; i++) {
		ssi__procspace__cpu__init(d->cpu[i] = &d->cpus[i]);
		d->cpus[i].number = s->cpus[i].number;
		d->cpus[i].package = s->cpus[i].package;
		d->cpus[i].core = s->cpus[i].core;
		d->cpus[i].numa = s->cpus[i].numa;
	}
	for (uint32_t i = 0; i < s->n_disks; i++) {
		ssi__procspace__disk__init(d->disk[i] = &d->disks[i]);
		d->disks[i].major = s->disks[i].major;
		d->disks[i].minor = s->disks[i].minor;
		d->disks[i].name = (char *)s->disks[i].name;
	}
	for (uint32_t i = 0; i < s->n_numa; i++) {
		ssi__procspace__numa_memory__init(d->node[i] = &d->nodes[i]);
		d->nodes[i].number = s->numa[i].number;
		d->nodes[i].memory = s->numa[i].memory;
	}
	for (uint32_t i = 0; i < s->n_nics; i++)
		d->nics[i] = (char *)s->nics[i].name;
	d->shape.cpus = d->cpu;
	d->shape.disks = d->disk;
	d->shape.numa = d->node;
	d->shape.nics = d->nics;
	d->shape.n_cpus = s->n_cpus;
	d->shape.n_disks = s->n_disks;
	d->shape.n_numa = s->n_numa;
	d->shape.n_nics = s->n_nics;
	d->shape.cpuinfo = (char *)s->cpuinfo;
	return 0;
}

static void say_changes(Ssi__Procspace__Load *m, const uint64_t *before, const uint64_t *now, size_t n)
{
	size_t last = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t change = now[i] - (before ? before[i] : 0);

		if (!change)
			continue;
		m->skip[m->n_skip++] = (uint32_t)(i - last);
		m->change[m->n_change++] = (int64_t)change;
		last = i + 1;
	}
}

int ssi_load_pack(const struct ssi_load *before, const struct ssi_load *now, struct ssi_buf *ret)
{
	size_t n = ssi_load_values(&now->shape), size;
	_cleanup_free_ uint32_t *skip = calloc(n, sizeof(*skip));
	_cleanup_free_ int64_t *change = calloc(n, sizeof(*change));
	SSI_CLEANUP(said_free) struct said d = { 0 };
	Ssi__Procspace__Load m = SSI__PROCSPACE__LOAD__INIT;
	char *room;

	if (!skip || !change || (!before && say_shape(&d, &now->shape) < 0))
		return -ENOMEM;
	m.shape = before ? NULL : &d.shape;
	m.skip = skip;
	m.change = change;
	say_changes(&m, before ? before->values : NULL, now->values, n);
	size = ssi__procspace__load__get_packed_size(&m);
	if (size > SSI_LOAD_MESSAGE_MAX)
		return -EMSGSIZE;
	room = ssi_buf_reserve(ret, size);
	if (!room)
		return -ENOMEM;
	ret->len += ssi__procspace__load__pack(&m, (uint8_t *)room);
	return 0;
}

/* --- hearing it --- */

/* Arrays of one shape that is being read; what does not fit is -EBADMSG. */
struct heard {
	struct ssi_load_cpu *cpus;
	struct ssi_load_disk *disks;
	struct ssi_load_nic *nics;
	struct ssi_load_numa *numa;
};

static void heard_free(struct heard *h)
{
	free(h->cpus);
	free(h->disks);
	free(h->nics);
	free(h->numa);
}

static int heard_names(struct heard *h, const Ssi__Procspace__Shape *m)
{
	for (size_t i = 0; i < m->n_disks; i++) {
		const Ssi__Procspace__Disk *k = m->disks[i];

		h->disks[i].major = k->major;
		h->disks[i].minor = k->minor;
		if (snprintf(h->disks[i].name, sizeof(h->disks[i].name), "%s", k->name) >= (int)sizeof(h->disks[i].name))
			return -EBADMSG;
	}
	for (size_t i = 0; i < m->n_nics; i++)
		if (snprintf(h->nics[i].name, sizeof(h->nics[i].name), "%s", m->nics[i]) >= (int)sizeof(h->nics[i].name))
			return -EBADMSG;
	return 0;
}

int ssi_load_take_shape(const Ssi__Procspace__Load *lm, struct ssi_load **ret, uint64_t **ret_values)
{
	const Ssi__Procspace__Shape *m = lm->shape;
	SSI_CLEANUP(heard_free) struct heard h = { 0 };
	struct ssi_load_shape s;

	if (m->n_cpus > SSI_LOAD_CPUS_MAX || m->n_disks > SSI_LOAD_DISKS_MAX || m->n_nics > SSI_LOAD_NICS_MAX || m->n_numa > SSI_LOAD_NUMA_MAX ||
	    strlen(m->cpuinfo) >= SSI_LOAD_CPUINFO_MAX)
		return -EBADMSG;
	h.cpus = calloc(m->n_cpus + 1, sizeof(*h.cpus));
	h.disks = calloc(m->n_disks + 1, sizeof(*h.disks));
	h.nics = calloc(m->n_nics + 1, sizeof(*h.nics));
	h.numa = calloc(m->n_numa + 1, sizeof(*h.numa));
	if (!h.cpus || !h.disks || !h.nics || !h.numa)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_cpus; i++)
		h.cpus[i] = (struct ssi_load_cpu) { m->cpus[i]->number, m->cpus[i]->package, m->cpus[i]->core, m->cpus[i]->numa };
	for (size_t i = 0; i < m->n_numa; i++)
		h.numa[i] = (struct ssi_load_numa) { m->numa[i]->number, 0, m->numa[i]->memory };
	if (heard_names(&h, m) < 0)
		return -EBADMSG;
	s = (struct ssi_load_shape) { (uint32_t)m->n_cpus, (uint32_t)m->n_disks, (uint32_t)m->n_nics, (uint32_t)m->n_numa, h.cpus, h.disks, h.nics,
		h.numa, m->cpuinfo };
	*ret = ssi_load_new(&s, ret_values);
	return *ret ? 0 : -ENOMEM;
}

int ssi_load_take_values(const Ssi__Procspace__Load *m, const struct ssi_load *l, uint64_t *values)
{
	size_t n = ssi_load_values(&l->shape), at = 0;

	if (m->n_skip != m->n_change)
		return -EBADMSG;
	for (size_t i = 0; i < m->n_skip; i++) {
		at += m->skip[i];
		if (at >= n)
			return -EBADMSG;
		values[at++] += (uint64_t)m->change[i];
	}
	return 0;
}
