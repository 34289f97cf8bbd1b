/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the numbers of remote processes. Called by the master's side of processes. Its table is large (16 MiB) but untouched where no number was ever given. */
#include "ssi/procspace/procs-numbers.h"

#include <errno.h>
#include <stdlib.h>
#include "libssi/model/proctable.h"

struct ssi_procs_numbers {
	uint32_t next;
	uint32_t owners[SSI_PID_END];
};

struct ssi_procs_numbers *ssi_procs_numbers_new(uint32_t first)
{
	struct ssi_procs_numbers *n = calloc(1, sizeof(*n));

	if (n)
		n->next = SSI_PID_REMOTE_FIRST + first % (SSI_PID_END - SSI_PID_REMOTE_FIRST);
	return n;
}

void ssi_procs_numbers_free(struct ssi_procs_numbers *n)
{
	free(n);
}

static uint32_t *owner_of(struct ssi_procs_numbers *n, uint32_t number)
{
	return number && number < SSI_PID_END ? &n->owners[number] : NULL;
}

uint32_t ssi_procs_number_get(struct ssi_procs_numbers *n, uint32_t owner)
{
	for (uint32_t tries = SSI_PID_END - SSI_PID_REMOTE_FIRST; tries; tries--) {
		uint32_t number = n->next++;

		if (n->next == SSI_PID_END)
			n->next = SSI_PID_REMOTE_FIRST;
		if (ssi_procs_number_claim(n, number, owner) == 0)
			return number;
	}
	return 0;
}

int ssi_procs_number_claim(struct ssi_procs_numbers *n, uint32_t number, uint32_t owner)
{
	uint32_t *o = owner_of(n, number);

	if (!o)
		return -ERANGE;
	if (*o)
		return -EEXIST;
	*o = owner;
	return 0;
}

void ssi_procs_number_put(struct ssi_procs_numbers *n, uint32_t number)
{
	uint32_t *o = owner_of(n, number);

	if (o)
		*o = 0;
}

uint32_t ssi_procs_number_owner(const struct ssi_procs_numbers *n, uint32_t number)
{
	const uint32_t *o = owner_of((struct ssi_procs_numbers *)n, number);

	return o ? *o : 0;
}
