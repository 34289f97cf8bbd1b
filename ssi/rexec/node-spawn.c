/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a child that runs for the master begins: its pipes, environment and program. Called by node.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/spawn.h"
#include "ssi/rexec/node-internal.h"

#define NODE_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Our end is non-blocking, the child's is not. */
static int node_pipe(int *ours, int *theirs, bool we_write)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ours = p[we_write];
	*theirs = p[!we_write];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static bool node_has_path(char *const *env)
{
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return true;
	return false;
}

/* Ours, a PATH if it has none, and the additions. The strings are borrowed. */
static char **node_env(const Ssi__Rexec__Exec *m)
{
	size_t n = 0, k = 0;
	char **env;

	while (environ && environ[n])
		n++;
	env = calloc(n + m->n_env + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (; k < n; k++)
		env[k] = environ[k];
	if (!node_has_path(env))
		env[k++] = (char *)NODE_PATH;
	for (size_t i = 0; i < m->n_env; i++)
		if (strchr(m->env[i], '='))
			env[k++] = m->env[i];
	return env;
}

/* Not waiting for execve: it reads the root, which may be far away just now, and a node that waits for it is silent. */
int node_spawn(struct node_call *call, const Ssi__Rexec__Exec *m, struct ssi_err *e)
{
	_cleanup_close_ int in = -1, out = -1, err = -1;
	_cleanup_free_ char **argv = calloc(m->n_argv + 1, sizeof(*argv)), **env = node_env(m);
	struct ssi_spawn_io io = { .dir = m->dir[0] ? m->dir : "/", .env = env };
	int r;

	call->program = strdup(m->argv[0]);
	if (!argv || !env || !call->program)
		return ssi_errf(e, -ENOMEM, "no memory for a command");
	memcpy(argv, m->argv, m->n_argv * sizeof(*argv));
	r = node_pipe(&call->in.fd, &in, true);
	if (r >= 0)
		r = node_pipe(&call->out[0].fd, &out, false);
	if (r >= 0)
		r = node_pipe(&call->out[1].fd, &err, false);
	if (r < 0)
		return ssi_errno(e, r, "pipes for a command");
	io.in = in;
	io.out = out;
	io.err = err;
	return ssi_spawn_start(argv, &io, SSI_SPAWN_NEWGROUP | SSI_SPAWN_PDEATH | SSI_SPAWN_MORTAL, &call->pid, &call->report, e);
}
