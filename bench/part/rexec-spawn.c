/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rexec-spawn [--far NODE] COUNT PROGRAM [ARGUMENT...]: starts it and waits for it, so many times, here or on a node (ssi_rexec()), and says the microseconds
 * of each. For bench/rexec. A status other than 0 ends it.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include "ssi/rexec/run-one.h"

extern char **environ;

static double spawn_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int spawn_here(char **argv)
{
	pid_t pid;
	int status, r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (r) {
		fprintf(stderr, "rexec-spawn: %s: %s\n", argv[0], strerror(r));
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static int spawn_far(const char *node, char **argv)
{
	const struct ssi_run_where where = { .range = node };
	struct ssi_run_exit how;
	struct ssi_err e;
	int r = ssi_rexec(&where, argv, environ, NULL, &how, &e);

	if (r < 0)
		fprintf(stderr, "rexec-spawn: %s\n", e.text);
	else if (how.text[0])
		fprintf(stderr, "rexec-spawn: %s\n", how.text);
	return r < 0 || how.cause != SSI_RUN_EXITED ? -1 : how.status;
}

int main(int argc, char **argv)
{
	const char *node = NULL;
	long count;

	if (argc > 2 && !strcmp(argv[1], "--far")) {
		node = argv[2];
		argv += 2;
		argc -= 2;
	}
	count = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	if (count < 1) {
		fprintf(stderr, "usage: rexec-spawn [--far NODE] COUNT PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	for (long i = 0; i < count; i++) {
		double begin = spawn_now();

		if (node ? spawn_far(node, argv + 2) : spawn_here(argv + 2))
			return 1;
		printf("%.1f\n", spawn_now() - begin);
	}
	return 0;
}
