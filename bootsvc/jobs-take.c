/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAKE: a node is to take blobs from another one (doc/jobs.md, "To many nodes"). Where that is, the daemon alone says: who started the jobs names the other by its
 * job, which must be his own and on a node of the same system. Called by jobs-client.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/cleanup.h"
#include "ssi/rexec/job.pb-c.h"

/* "": nobody may be asked; then the node asks for all of it again, as it does when nobody answers. */
static void take_address(const struct job_client *c, uint64_t from, char ret[INET_ADDRSTRLEN])
{
	const struct job *giver = job_find(c->jobs, from), *taker = c->job;
	const struct ssi_head_node *a = giver ? ssi_head_node(c->jobs->d->head, giver->s.node) : NULL;
	const struct ssi_head_node *b = ssi_head_node(c->jobs->d->head, taker->s.node);
	struct in_addr addr;

	ret[0] = '\0';
	if (!a || !b || !giver->conn || giver->s.uid != taker->s.uid || giver == taker || strcmp(a->system, b->system) != 0)
		return;
	addr = ssi_ccm_address(giver->conn);
	inet_ntop(AF_INET, &addr, ret, INET_ADDRSTRLEN);
}

int jobs_on_take(struct job_client *c, const uint8_t *body, size_t n)
{
	Ssi__Job__Take *m = ssi__job__take__unpack(NULL, n, body);
	_cleanup_free_ uint8_t *p = NULL;
	char address[INET_ADDRSTRLEN], *said;
	int r;

	if (!m)
		return -EBADMSG;
	take_address(c, m->from, address);
	said = m->address;
	m->address = address;
	p = malloc(ssi__job__take__get_packed_size(m) + 1);
	r = p ? job_to_node(c->job, SSI_JOB_TAKE, p, ssi__job__take__pack(m, p)) : -ENOMEM;
	m->address = said;
	ssi__job__take__free_unpacked(m, NULL);
	return r;
}
