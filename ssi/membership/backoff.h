/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * When a node that has lost its master tries again. The first try is at once: one connection that broke is nobody's crowd. From then on the time
 * doubles, 100 ms to 2 s, with jitter. Where nobody listens at all the master is down, and every node of the system waits for it: then
 * they spread over as many half milliseconds as the system has members, so that the one who comes back is not asked by all of them at once. (It gives
 * them as long, and longer: SSI_HEAD_GRACE_MS.) Zero-initialise.
 */
#include <stddef.h>

struct ssi_backoff { unsigned ms; };

/* How long to wait until the next try, in ms. why: the -errno of what just failed; members: of the view that the node knows. */
unsigned ssi_backoff_next(struct ssi_backoff *b, int why, size_t members);
/* It is joined. */
void ssi_backoff_reset(struct ssi_backoff *b);
