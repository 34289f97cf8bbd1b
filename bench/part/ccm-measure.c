/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the measuring: for each size the ways of an experiment take turns, a block each, beginning with another one every time, so that whatever else the
 * machine does hits all of them. Medians, and the ratio to the first way as the median over the blocks: of two that ran right after each other.
 * Called by ccm-ends. Times with clock_gettime, some 20 ns of it in each act.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bench/part/ccm-ends.h"
#include "libssi/base/cleanup.h"

/* One way of a plan, and what was measured of it at the size at hand. */
struct entry {
	const struct bench_way *way;
	void *end;
	double *acts;            /* µs of each act; of one-way acts, each block's mean */
	size_t n_acts;
	double *blocks;          /* µs an act, each block's median */
	size_t n_blocks;
	double cpu;              /* µs of this end's processor time, all blocks */
};

struct course {
	const struct bench_plan *plan;
	struct entry entries[8];
	size_t n_entries;
	uint8_t *out, *in;
	double *scratch;
	uint32_t blocks;         /* that were begun */
};

static double now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which this part of them lies; sorts them. */
static double quantile(double *v, size_t n, double part)
{
	qsort(v, n, sizeof(*v), compare);
	return v[(size_t)(part * (double)(n - 1) + 0.5)];
}

/* What comes back must be what went. */
static int block_check(const struct course *c, const struct entry *n, size_t size, struct ssi_err *e)
{
	if (c->plan->experiment->one_way || memcmp(c->in, c->out, size) == 0)
		return 0;
	return ssi_errf(e, -EPROTO, "%s: other bytes came back", n->way->name);
}

static int block_round_trips(struct course *c, struct entry *n, size_t size, unsigned count, struct ssi_err *e)
{
	double *us = n->acts + n->n_acts;

	for (unsigned i = 0; i < count; i++) {
		double began = now_us(CLOCK_MONOTONIC);
		int r = n->way->act(n->end, c->out, c->in, size, e);
		if (r < 0)
			return r;
		us[i] = now_us(CLOCK_MONOTONIC) - began;
	}
	n->n_acts += count;
	memcpy(c->scratch, us, count * sizeof(*us));
	n->blocks[n->n_blocks++] = quantile(c->scratch, count, 0.5);
	return 0;
}

static int block_one_way(struct course *c, struct entry *n, size_t size, unsigned count, struct ssi_err *e)
{
	double began = now_us(CLOCK_MONOTONIC);
	int r = 0;

	for (unsigned i = 0; i < count && r == 0; i++)
		r = n->way->act(n->end, c->out, c->in, size, e);
	if (r == 0)
		r = n->way->settle(n->end, e);
	if (r < 0)
		return r;
	n->acts[n->n_acts++] = (now_us(CLOCK_MONOTONIC) - began) / count;
	n->blocks[n->n_blocks++] = n->acts[n->n_acts - 1];
	return 0;
}

static int block(struct course *c, struct entry *n, size_t size, unsigned count, struct ssi_err *e)
{
	double began;
	int r;

	/* Another content each time: 4 bytes of it are enough to tell two blocks apart. */
	for (size_t i = 0; i < size; i++)
		c->out[i] = (uint8_t)((c->blocks >> i % 4 * 8) ^ i);
	c->blocks++;
	memset(c->in, 0, size);
	r = n->way->begin ? n->way->begin(n->end, size, count, e) : 0;
	if (r < 0)
		return r;
	began = now_us(CLOCK_PROCESS_CPUTIME_ID);
	r = c->plan->experiment->one_way ? block_one_way(c, n, size, count, e) : block_round_trips(c, n, size, count, e);
	n->cpu += now_us(CLOCK_PROCESS_CPUTIME_ID) - began;
	return r < 0 ? r : block_check(c, n, size, e);
}

static void report(struct course *c, size_t size)
{
	for (struct entry *n = c->entries; n < c->entries + c->n_entries; n++) {
		double ratio, median = quantile(n->acts, n->n_acts, 0.5);

		for (size_t i = 0; i < n->n_blocks; i++)
			c->scratch[i] = n->blocks[i] / c->entries[0].blocks[i];
		ratio = quantile(c->scratch, n->n_blocks, 0.5);
		printf("%s,%s,%zu,%u,%.3f,%.3f,%.3f,%.3f,%.4f\n", c->plan->experiment->name, n->way->name, size, c->plan->count, median,
		       quantile(n->acts, n->n_acts, 0.1), quantile(n->acts, n->n_acts, 0.9), n->cpu / c->plan->count, ratio);
	}
	fflush(stdout);
}

static int measure_size(struct course *c, size_t size, struct ssi_err *e)
{
	unsigned left = c->plan->count;

	for (struct entry *n = c->entries; n < c->entries + c->n_entries; n++) {
		n->n_acts = n->n_blocks = 0;
		/* Once unmeasured: memory, windows and caches that the first few find cold. */
		int r = block(c, n, size, c->plan->block < left ? c->plan->block : left, e);
		if (r < 0)
			return r;
		n->n_acts = n->n_blocks = 0;
		n->cpu = 0;
	}
	for (size_t turn = 0; left > 0; turn++) {
		unsigned count = c->plan->block < left ? c->plan->block : left;
		for (size_t i = 0; i < c->n_entries; i++) {
			int r = block(c, &c->entries[(turn + i) % c->n_entries], size, count, e);
			if (r < 0)
				return r;
		}
		left -= count;
	}
	report(c, size);
	return 0;
}

static bool wanted(const char *ways, const char *name)
{
	for (size_t n; ways && *ways; ways += n + (ways[n] == ',')) {
		n = strcspn(ways, ",");
		if (n == strlen(name) && strncmp(ways, name, n) == 0)
			return true;
	}
	return !ways;
}

static int course_open(struct course *c, struct ssi_err *e)
{
	const struct bench_experiment *x = c->plan->experiment;

	for (const struct bench_way *w = x->ways; w < x->ways + x->n_ways; w++) {
		struct entry *n = &c->entries[c->n_entries];
		int r;

		if (!wanted(c->plan->ways, w->name) || (w->transport->loopback && !bench_is_loopback(&c->plan->peer)))
			continue;
		r = w->transport->open(&c->plan->peer, &n->end, e);
		if (r < 0)
			return r;
		c->n_entries++;
		n->way = w;
		n->acts = calloc(c->plan->count, sizeof(double));
		n->blocks = calloc(c->plan->count, sizeof(double));
		if (!n->acts || !n->blocks)
			return ssi_errf(e, -ENOMEM, "no memory");
	}
	c->out = bench_body();
	c->in = bench_body();
	c->scratch = calloc(c->plan->count, sizeof(double));
	if (!c->out || !c->in || !c->scratch)
		return ssi_errf(e, -ENOMEM, "no memory");
	return c->n_entries > 0 ? 0 : ssi_errf(e, -EINVAL, "no such way in '%s'", x->name);
}

static void course_close(struct course *c)
{
	for (struct entry *n = c->entries; n < c->entries + c->n_entries; n++) {
		n->way->transport->close(n->end);
		free(n->acts);
		free(n->blocks);
	}
	free(c->out);
	free(c->in);
	free(c->scratch);
}

int bench_measure(const struct bench_plan *plan, struct ssi_err *e)
{
	SSI_CLEANUP(course_close) struct course c = { .plan = plan };
	int r = course_open(&c, e);

	if (r == 0)
		printf("experiment,way,size,count,median_us,p10_us,p90_us,cpu_us,ratio\n");
	for (size_t i = 0; i < plan->n_sizes && r == 0; i++)
		r = measure_size(&c, plan->sizes[i], e);
	return r;
}
