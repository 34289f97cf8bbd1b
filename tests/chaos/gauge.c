/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the samples of gauge.h. Called by the siege and its good peer. It keeps every sample, so it suits runs of minutes, not of days. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "libssi/base/cleanup.h"
#include "tests/chaos/gauge.h"

void *gauge_shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

uint64_t gauge_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void gauge_add(struct gauge *g, uint64_t us)
{
	uint32_t n = atomic_load(&g->n);

	if (n == GAUGE_MAX)
		return;
	g->us[n] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	atomic_store(&g->n, n + 1);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct gauge_figures gauge_read(struct gauge *g, uint32_t from)
{
	uint32_t n = atomic_load(&g->n) - from;
	_cleanup_free_ uint32_t *us = calloc(n + 1, sizeof(*us));

	if (!us)
		abort();
	if (!n)
		return (struct gauge_figures){ 0 };
	memcpy(us, g->us + from, n * sizeof(*us));
	qsort(us, n, sizeof(*us), by_size);
	return (struct gauge_figures){ .n = n, .p50 = us[n / 2], .p99 = us[(uint64_t)n * 99 / 100], .max = us[n - 1] };
}

long gauge_memory(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[128];
	long kib;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld kB", &kib) == 1)
			return kib;
	return -ENODATA;
}
