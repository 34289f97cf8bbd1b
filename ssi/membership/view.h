/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The merged system as a node was told of it: its members and their sums. Zero-initialise; ssi_view_free at the end. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"

struct ssi_view_member {
	uint32_t number, cpus, nics, accelerators;
	char name[64], state[16];
	bool drained;                    /* nothing new is to be placed there */
	struct in_addr address;
	uint64_t memory, incarnation;
};
struct ssi_view {
	uint64_t number;
	struct ssi_view_member *members; size_t n, cap;   /* by number */
	uint64_t cpus, memory, nics, accelerators;        /* sums */
	uint64_t digest;                 /* sum of the members' ssi_view_share */
};

/*
 * A number for a member's facts, never 0, and its share in the digest of a view. Two whose sums of these are the same have the same view: a
 * node that comes back says its sum, and the master, restarted or not, need not tell it what it knows. (FNV-1a; against accident, not
 * against malice: who lies about its own view gets a wrong one.)
 */
uint64_t ssi_view_facts(const struct ssi_view_member *m);          /* all but its state */
static inline uint64_t ssi_view_share(uint64_t facts, bool suspect) { return suspect ? facts * 3 : facts; }

/* Take a whole view, or changes to the one that is held. -ESTALE: changes since a view that was never seen; -ENOMEM. */
struct Ssi__Membership__View;
int ssi_view_apply(struct ssi_view *v, const struct Ssi__Membership__View *m);
/* As text: "view N", "nodes N", "cpus N", "memory BYTES", "nics N", "accelerators N", then "member NAME NUMBER STATE ADDRESS CPUS MEMORY NICS
 * ACCELERATORS" for each, with the word "drained" behind it where that is so. */
int ssi_view_format(const struct ssi_view *v, struct ssi_buf *ret);
void ssi_view_free(struct ssi_view *v);
