/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a job is, as the process that starts it stands here: arguments, environment, working directory, umask, limits, terminal. */
#include <stdbool.h>
#include "libssi/base/err.h"
#include "ssi/rexec/job.pb-c.h"

struct ssi_spec_ask {
	char *const *argv, *const *env;      /* NULL-terminated, borrowed as long as the spec lives; env NULL: environ */
	int input;                           /* the descriptor that standard input is to be read from; -1: none */
	int output, errors;                  /* where both go, to see whether that is one place; -1: they are apart */
	int terminal;                        /* a terminal whose likeness it is to have; -1: none */
	bool files;                          /* a tar stream comes as stream 3 */
	const char *result;                  /* the folder that is to come back as stream 4, or NULL; borrowed */
	uint32_t cpus;
	uint64_t memory, time_ms;
	uint32_t lease_ms;
};
/* *ret is freed with ssi_spec_free. program is the pack's (ssi_pack_program), borrowed. */
int ssi_spec_new(const struct ssi_spec_ask *a, Ssi__Job__Program *program, Ssi__Job__Spec **ret, struct ssi_err *e);
void ssi_spec_free(Ssi__Job__Spec *s);
