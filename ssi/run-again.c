/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "run --restart": where a job goes whose node was lost. Called by run-alone.c and run-many.c. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "libssi/base/cleanup.h"
#include "ssi/run.h"

int run_again(const struct run_all *x, struct ssi_run_place *ret, int *ret_fd, struct ssi_err *e)
{
	struct ssi_run_where where = x->ask->where;
	_cleanup_free_ struct ssi_run_places *places = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	where.count = 1;
	r = ssi_run_ask(x->socket, &where, &places, &fd, e);
	if (r < 0)
		return -EAGAIN;
	if (places->n != 1 || places->place[0].error[0])
		return ssi_errf(e, -EAGAIN, "%s", places->n == 1 ? places->place[0].error : "the policy has no node for it");
	r = ssi_pack_fits(x->pack, places->place[0].arch, places->place[0].x86_level, e);
	if (r < 0)
		return -EAGAIN;
	*ret = places->place[0];
	*ret_fd = TAKE_FD(fd);
	return 0;
}

bool run_ends(int signal)
{
	return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM;
}
