/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a job's node gives to others of the program's files, and takes from them, on the side of who started it. Called by run.c, and by who has many jobs. */
#include <stdlib.h>
#include "ssi/rexec/run-internal.h"

void run_needs(struct ssi_run *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; r->ops->need && i < r->n_need; i++)
		bytes += ssi_pack_bytes(r->pack, r->need[i]);
	r->held = r->ops->need && r->ops->need(r, bytes, r->userdata) && r->n_need;
}

int run_on_gives(struct ssi_run *r, const Ssi__Job__Gives *m)
{
	if (r->ops->gives)
		r->ops->gives(r, m->port <= UINT16_MAX ? m->port : 0, r->userdata);
	return 0;
}

void ssi_run_give(struct ssi_run *r, const uint8_t key[SSI_RUN_KEY])
{
	Ssi__Job__Give m = SSI__JOB__GIVE__INIT;

	m.key = (ProtobufCBinaryData){ SSI_RUN_KEY, (uint8_t *)key };
	m.n_digests = ssi_pack_digests(r->pack, &m.digests);
	run_say(r, SSI_JOB_GIVE, &m.base);
	free(m.digests);
}

void ssi_run_take(struct ssi_run *r, uint64_t from, unsigned port, const uint8_t key[SSI_RUN_KEY])
{
	Ssi__Job__Take m = SSI__JOB__TAKE__INIT;

	m.from = from;
	m.port = port;
	m.key = (ProtobufCBinaryData){ SSI_RUN_KEY, (uint8_t *)key };
	m.digests = calloc(r->n_need + 1, sizeof(*m.digests));
	m.sizes = calloc(r->n_need + 1, sizeof(*m.sizes));
	for (size_t i = 0; m.digests && m.sizes && i < r->n_need; i++) {
		m.digests[m.n_digests++] = (ProtobufCBinaryData){ SSI_HASH_BYTES, r->need[i] };
		m.sizes[m.n_sizes++] = ssi_pack_bytes(r->pack, r->need[i]);
	}
	run_say(r, SSI_JOB_TAKE, &m.base);
	free(m.digests);
	free(m.sizes);
}

void ssi_run_send(struct ssi_run *r)
{
	r->held = false;
	run_send(r);
}
