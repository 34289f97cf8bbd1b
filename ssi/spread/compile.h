/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A compiler proper (cc1, cc1plus), as the driver (gcc) starts it. Headers are here, so includes and conditions are done here (-E -fdirectives-only), and the
 * rest on a node (-fpreprocessed -fdirectives-only), from standard input to standard output: it needs no file of the node's. As macros are left for
 * there, what comes out is what one pass would have made, line and column included; the debugging information names one option more.
 */
#include <stdbool.h>

struct compile {
	char **first, **second;      /* the two passes' arguments, [0] included; the words are the caller's argv's or constant */
	const char *out;             /* where the result belongs; "-": standard output */
};

/* Can it be done in two passes? If not (it reads or leaves other files, is asked something, has no memory) it is to run as it is. */
bool compile_plan(int argc, char **argv, struct compile *ret);
void compile_free(struct compile *c);

/*
 * Both passes, the second one by the words of "run", which are followed by the program and its arguments. true: it has succeeded, and the result and what
 * was said are where they belong. false: nothing was said, and all is to be done here: a node that is lost, or a mistake in the source, for which the one pass
 * has the better words.
 */
bool compile_run(const struct compile *c, char *program, char *const *run);
