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
};

/* Take a whole view, or changes to the one that is held. -ESTALE: changes since a view that was never seen; -ENOMEM. */
struct Ssi__Membership__View;
int ssi_view_apply(struct ssi_view *v, const struct Ssi__Membership__View *m);
/* As text: "view N", "nodes N", "cpus N", "memory BYTES", "nics N", "accelerators N", then "member NAME NUMBER STATE ADDRESS CPUS MEMORY NICS
 * ACCELERATORS" for each, with the word "drained" behind it where that is so. */
int ssi_view_format(const struct ssi_view *v, struct ssi_buf *ret);
void ssi_view_free(struct ssi_view *v);
