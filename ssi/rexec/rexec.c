/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi_rexec(): a program elsewhere, for who wants no more than that. Called by programs that link the library. */
#include <errno.h>
#include "libssi/base/cleanup.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run-one.h"
#include "ssi/rexec/run-spec.h"

static void pack_freep(struct ssi_pack **p) { ssi_pack_free(*p); }
static void spec_freep(Ssi__Job__Spec **s) { ssi_spec_free(*s); }

int ssi_rexec(const struct ssi_run_where *where, char *const argv[], char *const env[], const int fds[3], struct ssi_run_exit *ret, struct ssi_err *e)
{
	static const struct ssi_run_where anywhere = { 0 };
	static const int own[3] = { 0, 1, 2 };
	_cleanup_free_ char *digests = ssi_pack_digests_path();
	_cleanup_free_ struct ssi_run_places *places = NULL;
	const struct ssi_pack_ask ask = { .command = argv[0], .env = env, .digests = digests };
	SSI_CLEANUP(pack_freep) struct ssi_pack *pack = NULL;
	SSI_CLEANUP(spec_freep) Ssi__Job__Spec *spec = NULL;
	const int *fd = fds ? fds : own;
	const struct ssi_spec_ask how = { .argv = argv, .env = env, .input = fd[0], .output = fd[1], .errors = fd[2], .terminal = -1 };
	const struct ssi_run_io io = { .in = fd[0], .out = fd[1], .err = fd[2], .files = -1, .result = -1, .signals = -1, .terminal = -1 };
	_cleanup_close_ int conn = -1;
	int r = ssi_pack_new(&ask, &pack, e);

	if (r == 0)
		r = ssi_spec_new(&how, ssi_pack_program(pack), &spec, e);
	if (r == 0)
		r = ssi_run_ask(NULL, where ? where : &anywhere, &places, &conn, e);
	if (r < 0)
		return r;
	if (places->n != 1)
		return ssi_errf(e, -EINVAL, "%zu nodes: one is meant", places->n);
	if (places->place[0].error[0])
		return ssi_errf(e, -EHOSTUNREACH, "%s: %s", places->place[0].node, places->place[0].error);
	r = ssi_pack_fits(pack, places->place[0].arch, places->place[0].x86_level, e);
	return r < 0 ? r : ssi_run_one(NULL, TAKE_FD(conn), &places->place[0], spec, pack, &io, ret, e);
}
