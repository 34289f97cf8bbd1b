/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Stages: what has to be done, what must have been done before, how long a try may take, how many there are. stages_run() starts
 * every stage whose needs are met, side by side, and ends when all are done or one has failed for good (and those of `finish` have ended too, and tries of
 * those of `settle`).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"

#define STAGES_MAX 16
#define STAGE_BACKOFF_MAX_MS 5000

struct stage {
	const char *name;
	unsigned needs;                                  /* mask: 1 << index of the stages that come first */
	bool (*wanted)(const void *ctx);                 /* NULL: always; a stage that is not wanted counts as done */
	int (*run)(void *ctx, struct ssi_err *e);        /* 0, or -errno and a message; may execve() a helper in a child */
	bool inside;                                     /* in PID 1 itself: nothing in it may block, and it has no bound */
	unsigned bound_ms, tries, backoff_ms;            /* of one try; how many; the first pause between two, doubled each time */
	const char *next;                                /* what a person does about a failure; '@' stands for the master's address */
};

enum stage_state { STAGE_WAITING, STAGE_RUNNING, STAGE_RESTING, STAGE_DONE, STAGE_SKIPPED, STAGE_FAILED };

struct stage_run {
	const struct stage *stage;
	enum stage_state state;
	pid_t pid;
	uint64_t start_ms, end_ms;                       /* CLOCK_BOOTTIME; of the first try's start, of the last one's end */
	uint64_t until_ms;                               /* RUNNING: deadline; RESTING: when the next try begins */
	unsigned tries;                                  /* begun */
	int outcome;                                     /* see outcome.h */
	struct ssi_err err;                              /* of the last try that failed */
};

struct stages {
	struct stage_run runs[STAGES_MAX];
	size_t n;
	void *ctx;
	unsigned finish;                                 /* mask: stages that still go on when another failed (its report needs the network) */
	unsigned settle;                                 /* mask: stages of which a try that runs comes to its end (cut short it leaves what cannot be done again) */
	void (*ended)(const struct stages *s);           /* after each end of a stage (the timeline is written); may be NULL */
};

/* table is borrowed for the life of s. Opens what the run needs, so that stages_run() itself allocates nothing. */
int stages_init(struct stages *s, const struct stage *table, size_t n, void *ctx, struct ssi_err *e);
/* SIGCHLD must be blocked. 0, or the code of the stage that failed for good (*ret_failed; its children are gone by then). Reaps every
 * child of the caller, strangers too. */
int stages_run(struct stages *s, const struct stage_run **ret_failed);
void stages_close(struct stages *s);
