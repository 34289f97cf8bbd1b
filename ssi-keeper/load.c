/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the way from a Spec to what is executed. Called by job.c and attach.c. A job without Program runs what the node itself has by that name. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi-keeper/keeper.h"

#define LOAD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void load_need(struct keeper *k)
{
	Ssi__Job__Need m = SSI__JOB__NEED__INIT;

	attach_say(k, SSI_JOB_NEED, &m.base);
}

int load_begin(struct keeper *k, struct ssi_err *e)
{
	load_need(k);
	return 1;
}

int load_blob(struct keeper *k, const uint8_t *body, size_t n, struct ssi_err *e)
{
	return 0;
}

static void load_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static char **load_words(size_t n, const ProtobufCBinaryData *words)
{
	char **list = calloc(n + 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		list[i] = strndup((const char *)words[i].data, words[i].len);
		if (!list[i]) {
			load_free(list);
			return NULL;
		}
	}
	return list;
}

/* As execvp(3) finds it, with the job's own PATH. */
static char *load_find(const char *name, char **env)
{
	_cleanup_free_ char *path = NULL;
	const char *all = LOAD_PATH;
	char *rest, *folder;

	if (strchr(name, '/'))
		return strdup(name);
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			all = *env + 5;
	rest = path = strdup(all);
	while (rest && (folder = strsep(&rest, ":"))) {
		char full[PATH_MAX];

		if (snprintf(full, sizeof(full), "%s/%s", folder[0] ? folder : ".", name) < (int)sizeof(full) && access(full, X_OK) == 0)
			return strdup(full);
	}
	return strdup(name);
}

int load_program(struct keeper *k, struct ssi_err *e)
{
	struct keeper_program *p = &k->program;

	p->argv = load_words(k->spec->n_argv, k->spec->argv);
	p->env = load_words(k->spec->n_env, k->spec->env);
	p->path = p->argv && p->env ? load_find(p->argv[0], p->env) : NULL;
	return p->path ? 0 : ssi_errf(e, -ENOMEM, "no memory for a program's arguments");
}

void load_clear(struct keeper *k)
{
	load_free(k->program.argv);
	load_free(k->program.env);
	free(k->program.path);
	k->program = (struct keeper_program){ 0 };
}
