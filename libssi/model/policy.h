/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Where programs are placed, as files: policy.d/NAME.ini (doc/policies.md). Filters leave nodes out, weights make a score of what is left, and a
 * chooser takes one. Pure: it is given the text, and what each node does.
 *
 *     [policy]
 *     help = WORDS                     what "ssi policy list" says of it
 *     choose = lowest                  score; or highest, round-robin, same-as (the node of another job), local (nowhere: where it is asked for)
 *     full = refuse                    what is done when no node passes the filters: refuse, or lowest: the node of the lowest score all the same
 *     [filter]                         each bounds a metric from above; nodes = RANGE names those that count, min_memory = SIZE what must be available
 *     load = 4
 *     [weight]                         the score is the sum of weight * metric; 0 where none is said
 *     load = 1
 *
 * Metrics: load (processes that want to run, and what was placed there in the last moments, on each processor), average (load average of 1 minute
 * on each processor), busy, memory (shares of 1: processor time, memory that is not available), jobs (on each processor), pressure_cpu, pressure_memory,
 * pressure_io (shares of the last 10 s that somebody waited for it).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"
#include "libssi/model/nodelist.h"

enum ssi_policy_metric { SSI_METRIC_LOAD, SSI_METRIC_AVERAGE, SSI_METRIC_BUSY, SSI_METRIC_MEMORY, SSI_METRIC_JOBS, SSI_METRIC_PRESSURE_CPU,
	SSI_METRIC_PRESSURE_MEMORY, SSI_METRIC_PRESSURE_IO, SSI_METRICS };
enum ssi_policy_chooser { SSI_CHOOSE_LOWEST, SSI_CHOOSE_HIGHEST, SSI_CHOOSE_ROUND_ROBIN, SSI_CHOOSE_SAME_AS, SSI_CHOOSE_LOCAL, SSI_CHOOSERS };
extern const char *const ssi_policy_metrics[SSI_METRICS];
extern const char *const ssi_policy_choosers[SSI_CHOOSERS];

struct ssi_policy {
	char help[256];
	enum ssi_policy_chooser choose;
	bool full_lowest;
	struct ssi_nodelist *nodes;      /* NULL: any */
	uint64_t min_memory;             /* bytes */
	double at_most[SSI_METRICS];     /* < 0: not bounded */
	double weight[SSI_METRICS];
};
/* Read a text; file is its name in messages, a line for each mistake to errors. 0, -EINVAL when there was a mistake, -ENOMEM. The caller frees *ret. */
int ssi_policy_parse(const char *file, const char *text, size_t len, struct ssi_policy **ret, struct ssi_buf *errors);
void ssi_policy_free(struct ssi_policy *p);
static inline void ssi_policy_freep(struct ssi_policy **p) { ssi_policy_free(*p); }
#define _cleanup_policy_ SSI_CLEANUP(ssi_policy_freep)

/* A node that may be taken. */
struct ssi_policy_node {
	const char *name;
	const char *objection;           /* why it is not, whatever the policy: "it is drained"; NULL: none */
	uint32_t number, cpus;
	uint64_t available;              /* bytes of memory */
	double metric[SSI_METRICS];
};
struct ssi_policy_want {
	unsigned count;                  /* how many nodes, each another one */
	uint32_t cpus;                   /* what each must have; 0: no matter */
	uint64_t memory;
	uint32_t after;                  /* round-robin: the number of the node that had the last turn; 0: nobody */
	const char *same_as;             /* same-as: the node; NULL: nobody knows */
};
double ssi_policy_score(const struct ssi_policy *p, const struct ssi_policy_node *n);
/* Why a node cannot be taken, in buf ("2 of the 4 processors asked for"), or NULL if it can. */
const char *ssi_policy_objection(const struct ssi_policy *p, const struct ssi_policy_node *n, const struct ssi_policy_want *w, char *buf, size_t size);
/*
 * Choose want->count of n nodes: their indexes to ret. The same numbers give the same choice; of equal ones the lower number is taken. Never called for local.
 * -ENOSPC: there are not so many; e says why each is not.
 */
int ssi_policy_choose(const struct ssi_policy *p, const struct ssi_policy_node *nodes, size_t n, const struct ssi_policy_want *want, size_t *ret,
		      struct ssi_err *e);
