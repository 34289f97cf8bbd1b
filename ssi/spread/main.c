/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-spread: stands in front of a program in the PATH of "ssi shell --spread", by a link with that program's name, and becomes "ssi run" of it. Whatever
 * cannot be placed runs here, as if this were not there (ssi run --or-here).
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"

static bool is_self(const char *path)
{
	struct stat self, st;

	return stat("/proc/self/exe", &self) == 0 && stat(path, &st) == 0 && self.st_dev == st.st_dev && self.st_ino == st.st_ino;
}

/* The next program of this name in the PATH that is not this one. NULL: there is none. */
static char *real_program(const char *name)
{
	const char *at = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";
	char *path;

	for (size_t n; *at; at += n + (at[n] == ':')) {
		n = strcspn(at, ":");
		if (!n || asprintf(&path, "%.*s/%s", (int)n, at, name) < 0)
			continue;            /* an empty one is the working directory: not for what is placed by itself */
		if (access(path, X_OK) == 0 && !is_self(path))
			return path;
		free(path);
	}
	return NULL;
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

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc ? argv[0] : "", *policy = getenv("SSI_SPREAD");
	char *program = real_program(name), ssi[PATH_MAX];
	char **words = calloc((size_t)argc + 8, sizeof(*words));
	int n = 0;

	if (!program || !words) {
		fprintf(stderr, "ssi-spread: %s: %s\n", name, program ? "no memory" : "not found");
		return 127;
	}
	if (policy) {
		find_ssi(ssi, sizeof(ssi));
		words[n++] = (char *)"ssi";
		words[n++] = (char *)"run";
		words[n++] = (char *)"--or-here";
		if (*policy) {
			words[n++] = (char *)"--on";
			words[n++] = (char *)policy;
		}
		words[n++] = (char *)"--";
		words[n++] = program;
		memcpy(words + n, argv + 1, (size_t)argc * sizeof(*words));
		execv(ssi, words);
	}
	argv[0] = program;
	execv(program, argv);
	fprintf(stderr, "ssi-spread: %s: %s\n", program, strerror(errno));
	return 126;
}
