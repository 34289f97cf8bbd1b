/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The programs that do a step's work: run with the display going on, their output kept, ended with us. */
#include "libssi/base/err.h"
#include "mkimage/progress.h"

/* SIGINT, SIGTERM and SIGHUP from now on only make tool_interrupted() true (and end the tool that runs). */
void tool_catch_signals(void);
/* The signal that came, or 0. */
int tool_interrupted(void);

struct tool {
	char *const *argv;
	char *const *env;       /* added to ours, "NAME=VALUE", NULL at the end; may be NULL */
	int in, out;            /* standard input and output; -1 = none, into the log */
	const char *log;        /* where output goes; its last lines are in the error text */
};
/* Run to its end. -EINTR when we were interrupted, -EIO with its last words in e when it failed. */
int tool_run(const struct tool *t, struct progress *p, struct ssi_err *e);
/* The first line that "TOOL ARG" prints, in buf; for versions. */
int tool_version(const char *tool, const char *arg, char *buf, size_t n, struct ssi_err *e);
