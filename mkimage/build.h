/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One build: what its steps share. build.c makes it and runs the plan's operations; each step is a function in a step-*.c. */
#include <stdint.h>
#include "mkimage/aptsources.h"
#include "mkimage/plan.h"
#include "mkimage/progress.h"
#include "mkimage/tmpdir.h"

struct build {
	const struct recipe *recipe;
	const struct inputs *inputs;
	const struct plan *plan;
	const struct aptsources *sources;
	const char *store, *cache;      /* folders */
	const char *programs;           /* where this project is installed */
	bool refresh;                   /* new results take the place of those that are there */
	struct progress progress;

	struct tmpdir work;             /* holds tree/ and logs */
	struct tmpdir result;           /* of root and verity: what will be a result in the cache */
	char *tree;                     /* work/tree */
	char kernel[128];               /* its version: the folder in lib/modules */
	int64_t epoch;                  /* seconds: no file of the image is newer */

	char generation[80];            /* "sha256-...", by publish */
	bool is_new;                    /* it was not in the store before */
};

typedef int build_step(struct build *b, uint64_t *ret_size, struct ssi_err *e);
build_step step_bootstrap, step_unpack, step_initramfs, step_programs, step_overlay, step_services, step_modules, step_clean, step_root,
	step_verity, step_publish;

/* Do what the plan says. On failure nothing has changed but the cache. */
int build_run(struct build *b, struct ssi_err *e);
void build_free(struct build *b);

/* Run a tool of a step with its output in the work folder (LOG.log); when it fails, the log is kept beside the results and named in e.
 * out: its standard output, -1 = into the log. */
int build_tool(struct build *b, char *const argv[], char *const env[], int out, const char *log, struct ssi_err *e);
/* The same with the log at a path. */
int build_tool_log(struct build *b, char *const argv[], char *const env[], int out, const char *log, struct ssi_err *e);
/* A path below the tree; allocated, NULL = out of memory. */
char *build_path(const struct build *b, const char *rel);
