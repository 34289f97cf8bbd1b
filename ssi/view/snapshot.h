/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the daemon knows of the nodes, as it was last written: RUN/view/processes (libssi/model/proctable.h) and RUN/view/nodes
 * (libssi/model/loadtable.h), mapped. Nothing here asks anybody. Without a file, or with one that is broken, there are no nodes.
 *
 * Processors are counted through: the local ones first, then those of each node in the order of the file. The same with NUMA nodes.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/model/loadtable.h"
#include "libssi/model/proctable.h"

/* A node of the load table, and where its processors and NUMA nodes begin. Borrowed from the mapping. */
struct snapshot_node {
	const struct ssi_loadtable_node *node;
	struct ssi_load load;
	uint32_t first_cpu, first_numa;
};
struct snapshot_map { void *p; size_t n; dev_t dev; ino_t ino; };
struct snapshot {
	char *dir;
	int wanted;                              /* RUN/view/wanted with a shared lock; -1 */
	uint64_t checked_ms;
	uint64_t taken;                          /* how many new files there were */
	struct snapshot_map processes, nodes;
	struct ssi_proctable table;              /* head NULL: none */
	struct snapshot_node *node;
	size_t n_nodes;
	uint32_t cpus, numa;                     /* local ones and all nodes' together */
	uint32_t local_cpus, local_numa;
};

/* dir: RUN/view. 0 or -ENOMEM. */
int snapshot_open(struct snapshot *s, const char *dir, uint32_t local_cpus, uint32_t local_numa);
void snapshot_close(struct snapshot *s);
/* Take up new files, if there are any; looks at most every 50 ms. What was borrowed before is gone. */
void snapshot_refresh(struct snapshot *s);
const struct ssi_proctable_process *snapshot_process(const struct snapshot *s, uint32_t pid);   /* NULL: none */
const struct snapshot_node *snapshot_node(const struct snapshot *s, uint32_t number);           /* NULL: none */
const struct snapshot_node *snapshot_node_of_cpu(const struct snapshot *s, uint32_t cpu);       /* NULL: a local one, or none */
/* The number here of a node's own processor. */
uint32_t snapshot_cpu(const struct snapshot *s, uint32_t node, uint32_t processor);
/* Milliseconds since the older of the two files was written; UINT64_MAX: there is none. */
uint64_t snapshot_age_ms(const struct snapshot *s);
/* How many NUMA nodes a node counts for: one at least. */
static inline uint32_t snapshot_numa(const struct snapshot_node *n) { return n->load.shape.n_numa ? n->load.shape.n_numa : 1; }
