/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a good peer feels, shared between processes: round trips in microseconds as one process measures them and another judges them.
 * Also the memory of a process as the kernel counts it.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define GAUGE_MAX (1u << 20)         /* samples; later ones are not kept */

struct gauge {
	_Atomic uint32_t n;          /* samples so far */
	_Atomic uint32_t failed;     /* round trips that ended in an error */
	uint32_t us[GAUGE_MAX];
};

struct gauge_figures { uint32_t n, p50, p99, max; };     /* microseconds */

/* Memory that a forked child shares, zeroed; aborts when there is none. Unmapped with the process. */
void *gauge_shared(size_t n);
uint64_t gauge_now_us(void);
void gauge_add(struct gauge *g, uint64_t us);            /* one writer */
/* Of the samples from number `from` on; all zero when there are none. */
struct gauge_figures gauge_read(struct gauge *g, uint32_t from);
/* Resident memory of a process in KiB, without what it shares; -errno. */
long gauge_memory(pid_t pid);
