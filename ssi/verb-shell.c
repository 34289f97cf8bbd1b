/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "shell": becomes ssi-view, the setuid program that may mount. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ssi/spread.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_shell_opts[] = {
	{ "command", 'c', "COMMAND", "run this by the shell, and end", NULL },
	{ "login", 'l', NULL, "a login shell", NULL },
	{ "spread", 0, NULL, "place programs that are worth it on nodes, by a policy, without anybody naming one", NULL },
	{ "only", 0, "NAMES", "with --spread: place these, commas between (compilers and compressors, where nothing is said)", NULL },
	{ "on", 0, "POLICY", "with --spread: by this policy (see 'ssi policy list')", NULL },
	{ "local", 0, NULL, "this machine alone again", NULL },
	{ 0 },
};

/* Where this program is installed, that one is. */
static const char *find_program(char *buf, size_t n)
{
	ssize_t k = readlink("/proc/self/exe", buf, n - 64);
	char *slash;

	if (k > 0) {
		buf[k] = '\0';
		slash = strrchr(buf, '/');
		if (slash) {
			strcpy(slash, "/../libexec/ssi/ssi-view");
			if (access(buf, X_OK) == 0)
				return buf;
		}
	}
	return SSI_LIBEXECDIR "/ssi-view";
}

int verb_shell(struct ssi_cmd_args *a, int argc, char **argv)
{
	char path[PATH_MAX + 64];
	const char *program = find_program(path, sizeof(path)), *command = ssi_cmd_opt(a, "command");
	char **words = calloc((size_t)argc + 8, sizeof(*words));
	struct ssi_err e;
	int n = 0;

	if (!words)
		return 1;
	if (ssi_cmd_opt(a, "spread") && spread_begin(ssi_cmd_opt(a, "only"), ssi_cmd_opt(a, "on"), &e) < 0) {
		fprintf(stderr, "ssi: shell: %s\n", e.text);
		return 1;
	}
	words[n++] = (char *)"ssi-view";
	if (ssi_cmd_opt(a, "login"))
		words[n++] = (char *)"--login";
	if (ssi_cmd_opt(a, "local"))
		words[n++] = (char *)"--local";
	if (command) {
		words[n++] = (char *)"-c";
		words[n++] = (char *)command;
	}
	words[n++] = (char *)"--";
	for (int i = 0; i < argc; i++)
		words[n++] = argv[i];
	execv(program, words);
	fprintf(stderr, "ssi: %s: %s\n", program, strerror(errno));
	free(words);
	return 127;
}
