/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-spread: stands in front of a program in the PATH of "ssi shell --spread", by a link with that program's name, and becomes "ssi run" of it. Whatever
 * cannot be placed runs here, as if this were not there (ssi run --or-here). A compiler proper is placed by compile.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/path.h"
#include "ssi/spread/compile.h"

static bool is_self(const char *path)
{
	struct stat self, st;

	return stat("/proc/self/exe", &self) == 0 && stat(path, &st) == 0 && self.st_dev == st.st_dev && self.st_ino == st.st_ino;
}

/* The next program of this name in the PATH that is not this one. NULL: there is none. */
static char *real_program(const char *name)
{
	for (const char *at = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin"; at;) {
		bool unnamed = strchr(":", *at);     /* the working directory: not for what is placed by itself */
		char *path = ssi_path_search(&at, name);

		if (path && !unnamed && access(path, X_OK) == 0 && !is_self(path))
			return path;
		free(path);
	}
	return NULL;
}

/*
 * A compiler's own program is not in the PATH: its driver finds this link by COMPILER_PATH, and beside it is one that leads to the real program. NULL: no such.
 */
static char *behind(const char *link)
{
	const char *slash = strrchr(link, '/');
	char *path;

	if (!slash || asprintf(&path, "%.*s/.%s", (int)(slash - link), link, slash + 1) < 0)
		return NULL;
	if (access(path, X_OK) == 0 && !is_self(path)) {
		char *real = realpath(path, NULL);

		free(path);
		return real;
	}
	free(path);
	return NULL;
}

static bool is_compiler_proper(const char *name)
{
	return !strcmp(name, "cc1") || !strcmp(name, "cc1plus");
}

/* Where this is installed, that one is. */
static void find_ssi(char *buf, size_t n)
{
	ssize_t k = readlink("/proc/self/exe", buf, n - 32);
	char *slash;

	buf[k > 0 ? k : 0] = '\0';
	slash = strrchr(buf, '/');
	if (slash)
		strcpy(slash, "/../../bin/ssi");
	if (!slash || access(buf, X_OK) < 0)
		snprintf(buf, n, "/usr/bin/ssi");
}

/* "ssi run" by this policy, and whatever is to follow. */
static int run_words(char **words, char *ssi, const char *policy)
{
	int n = 0;

	words[n++] = ssi;
	words[n++] = (char *)"run";
	if (*policy) {
		words[n++] = (char *)"--on";
		words[n++] = (char *)policy;
	}
	return n;
}

/* Returns where it did not come to that. */
static void spread(int argc, char **argv, const char *name, char *program, const char *policy)
{
	char **words = calloc((size_t)argc + 8, sizeof(*words)), ssi[PATH_MAX];
	struct compile c;
	int n;

	if (!words)
		return;
	find_ssi(ssi, sizeof(ssi));
	unsetenv("SSI_SPREAD");              /* what is placed starts what it starts where it is */
	n = run_words(words, ssi, policy);
	if (is_compiler_proper(name)) {
		words[n++] = (char *)"--";
		if (compile_plan(argc, argv, &c) && compile_run(&c, program, words))
			exit(0);
		return;
	}
	words[n++] = (char *)"--or-here";
	words[n++] = (char *)"--";
	words[n++] = program;
	memcpy(words + n, argv + 1, (size_t)argc * sizeof(*words));
	execv(ssi, words);
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc ? argv[0] : "", *policy = getenv("SSI_SPREAD");
	char *program = slash ? behind(argv[0]) : NULL;

	program = program ?: real_program(name);
	if (!program) {
		fprintf(stderr, "ssi-spread: %s: not found\n", name);
		return 127;
	}
	if (policy)
		spread(argc, argv, name, program, policy);
	argv[0] = program;
	execv(program, argv);
	fprintf(stderr, "ssi-spread: %s: %s\n", program, strerror(errno));
	return 126;
}
