/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of the daemon's part of jobs. Called by daemon.c and members.c; what goes on in between is in the other jobs-*.c. */
#include <errno.h>
#include "bootsvc/jobs-internal.h"

int jobs_new(struct daemon *d, struct jobs **ret, struct ssi_err *e)
{
	struct jobs *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return ssi_errf(e, -ENOMEM, "jobs");
	j->d = d;
	j->fd = -1;
	TAILQ_INIT(&j->active);
	TAILQ_INIT(&j->kept);
	TAILQ_INIT(&j->unsaved);
	r = deputies_new(j);
	if (r >= 0)
		r = jobs_node_register(j);
	r = r < 0 ? ssi_errno(e, r, "jobs") : jobs_table_load(j, e);
	if (r < 0) {
		jobs_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

int jobs_listen(struct jobs *j, struct ssi_err *e)
{
	int r;

	state_value_get(j->d->state, "master:incarnation", &j->life, NULL);
	r = jobs_client_listen(j, e);
	if (r == 0) {
		again_numbers(j);
		again_all(j);
	}
	return r;
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	jobs_client_free_all(j);
	jobs_table_free(j);
	free(j);
}
