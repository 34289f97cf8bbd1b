/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of a node's hardware, in words. Called by the master for its events, and by the agent to know whether there is anything to tell. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/num.h"
#include "ssi/membership/inventory.h"

static void diff_next(struct ssi_buf *ret, size_t begin)
{
	if (ret->len > begin)
		ssi_buf_adds(ret, "; ");
}

static void diff_number(struct ssi_buf *ret, size_t begin, const char *what, uint64_t was, uint64_t is)
{
	if (was == is)
		return;
	diff_next(ret, begin);
	ssi_buf_addf(ret, "%s %" PRIu64 " to %" PRIu64, what, was, is);
}

static void diff_memory(struct ssi_buf *ret, size_t begin, uint64_t was, uint64_t is)
{
	uint64_t by = was > is ? was - is : is - was;
	char from[16], to[16];

	if (by < SSI_INVENTORY_MEMORY_STEP)
		return;
	diff_next(ret, begin);
	ssi_buf_addf(ret, "memory %s to %s", ssi_num_format_size(from, sizeof(from), was), ssi_num_format_size(to, sizeof(to), is));
}

static bool has_nic(const struct ssi_inventory *v, const struct ssi_nic *nic)
{
	for (size_t i = 0; i < v->n_nics; i++)
		if (!strcmp(v->nics[i].name, nic->name) && !strcmp(v->nics[i].mac, nic->mac) && !strcmp(v->nics[i].driver, nic->driver))
			return true;
	return false;
}

/* The interfaces that one has and the other has not. */
static void diff_nics(struct ssi_buf *ret, size_t begin, const struct ssi_inventory *one, const struct ssi_inventory *other, const char *word)
{
	for (size_t i = 0; i < one->n_nics; i++) {
		const struct ssi_nic *nic = &one->nics[i];

		if (has_nic(other, nic))
			continue;
		diff_next(ret, begin);
		ssi_buf_addf(ret, "NIC %s (%s, %s) %s", nic->name, nic->driver, nic->mac, word);
	}
}

static bool has_accelerator(const struct ssi_inventory *v, const struct ssi_accelerator *a)
{
	for (size_t i = 0; i < v->n_accelerators; i++) {
		const struct ssi_accelerator *b = &v->accelerators[i];

		if (!strcmp(a->address, b->address) && !strcmp(a->driver, b->driver) && a->vendor == b->vendor && a->device == b->device)
			return true;
	}
	return false;
}

static void diff_accelerators(struct ssi_buf *ret, size_t begin, const struct ssi_inventory *one, const struct ssi_inventory *other, const char *word)
{
	for (size_t i = 0; i < one->n_accelerators; i++) {
		const struct ssi_accelerator *a = &one->accelerators[i];

		if (has_accelerator(other, a))
			continue;
		diff_next(ret, begin);
		ssi_buf_addf(ret, "accelerator %s (%04x:%04x%s%s) %s", a->address, a->vendor, a->device, a->driver[0] ? ", " : "", a->driver, word);
	}
}

int ssi_inventory_diff(const struct ssi_inventory *was, const struct ssi_inventory *is, struct ssi_buf *ret)
{
	size_t begin = ret->len;

	diff_number(ret, begin, "processors", was->cpus, is->cpus);
	diff_memory(ret, begin, was->memory, is->memory);
	diff_number(ret, begin, "NUMA nodes", was->n_numa, is->n_numa);
	diff_nics(ret, begin, was, is, "removed");
	diff_nics(ret, begin, is, was, "added");
	diff_accelerators(ret, begin, was, is, "removed");
	diff_accelerators(ret, begin, is, was, "added");
	return ret->err ? ret->err : ret->len > begin;
}
