/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a person sees of a build, on standard error: a line a step, which on a terminal counts seconds and bytes while the step runs.
 * One step at a time.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *to;
	bool tty;
	const char *step;       /* borrowed, of the step that runs */
	char what[128];
	const char *watch;      /* a file whose size grows with the step; borrowed, may be NULL */
	uint64_t start, shown;  /* ms */
};

void progress_init(struct progress *p, FILE *to);
void progress_begin(struct progress *p, const char *step, const char *what, const char *watch);
/* Call now and then while a step runs: draws at most ten times a second. */
void progress_tick(struct progress *p);
/* size 0 = has none. */
void progress_end(struct progress *p, uint64_t size);
void progress_cached(struct progress *p, const char *step, const char *what);
void progress_fail(struct progress *p);
