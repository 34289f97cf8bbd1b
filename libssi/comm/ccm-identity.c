/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns who is connected how often: a node may have CCM_SAME_MAX connections (it needs one, and a second while the first is half open),
 * so that no key, lost or misused, takes all there are. Called by ccm-conn.c. Names come from the registry, not from strangers: a plain hash does.
 */
#include <errno.h>
#include <string.h>
#include "libssi/base/map.h"
#include "libssi/comm/ccm-internal.h"

static struct conn_same *identity_bucket(struct ssi_ccm *m, const struct ssi_identity *id)
{
	return &m->named[ssi_map_hash(id->who) % CCM_NAMED];
}

void identity_enter(struct ssi_ccm_conn *c)
{
	struct conn_same *bucket = identity_bucket(c->m, &c->id);
	struct ssi_ccm_conn *other, *oldest = NULL;
	unsigned n = 0;
	struct ssi_err e;

	LIST_FOREACH(other, bucket, same)
		if (other->id.kind == c->id.kind && !strcmp(other->id.who, c->id.who)) {
			oldest = other;      /* the newest stands first */
			n++;
		}
	LIST_INSERT_HEAD(bucket, c, same);
	c->entered = true;
	if (n >= CCM_SAME_MAX) {
		ssi_errf(&e, -EUSERS, "%s has %u newer connections", c->id.who, n);
		identity_leave(oldest);
		conn_fail(oldest, &e);
	}
}

void identity_leave(struct ssi_ccm_conn *c)
{
	if (c->entered)
		LIST_REMOVE(c, same);
	c->entered = false;
}
