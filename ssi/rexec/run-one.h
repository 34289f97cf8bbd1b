/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One job between descriptors: what ssi run with one node is, and ssi_rexec(). Blocks until it has ended. */
#include "ssi/rexec/run.h"

struct ssi_run_io {
	int in, out, err;                    /* read and written as they are, never made non-blocking: others may have them too. -1: none */
	int files, result;                   /* the tar streams; -1: none */
	int signals;                         /* a signalfd: what comes there goes to the job, SIGWINCH as the size of terminal; -1: none */
	int terminal;                        /* or -1 */
	/* May be NULL. The job was stopped by this signal, and who started it is to be, too; it returns once that goes on. */
	void (*stopped)(int signal, void *userdata);
	/* May be NULL. This process is in the foreground of terminal; called again and again. */
	void (*front)(void *userdata);
	void *userdata;
};
/* As ssi_run_new; *ret is how it ended. The result: 0, or -errno where the job could not be reached, or not any more. */
int ssi_run_one(const char *socket, int fd, const struct ssi_run_place *place, const struct Ssi__Job__Spec *spec, struct ssi_pack *pack,
		const struct ssi_run_io *io, struct ssi_run_exit *ret, struct ssi_err *e);

/*
 * Run a program elsewhere and wait for it: argv[0] is looked for in env's PATH; env NULL: this process's. fds: its standard input, output and error (-1:
 * none), or NULL: 0, 1, 2. where may be NULL. The program need not be there, and nothing else either. -ENOENT, -EACCES, -ENOEXEC: there is no such program
 * here; -EHOSTUNREACH: no node.
 */
int ssi_rexec(const struct ssi_run_where *where, char *const argv[], char *const env[], const int fds[3], struct ssi_run_exit *ret, struct ssi_err *e);
