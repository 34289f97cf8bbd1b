/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Verbs as a table. Usage, --help, completion and the manual's synopsis come from it (see cmd.c).
 * A program's main is: return ssi_cmd_main(&program, argc, argv);
 */
#include <stdbool.h>
#include <stdio.h>

struct ssi_opt {
	const char *name;            /* long name without "--" */
	char letter;                 /* or 0 */
	const char *arg;             /* "FILE", or NULL for a flag */
	const char *help;            /* one line */
	const char *complete;        /* what completion offers for arg: "@file", "@dir", "@node", "@image"; or plain words
				      * ("json text"), and then arg must be one of them; or NULL */
};

struct ssi_cmd_args;             /* the parsed options of one call */

struct ssi_cmd {
	const char *name;            /* "show", "node show" for a verb of two words, "node state show" of three */
	const char *args;            /* synopsis of the positional words, "RANGE KEY=VALUE..." */
	int min, max;                /* how many of them; max -1 = any */
	int (*run)(struct ssi_cmd_args *a, int argc, char **argv);   /* argv: the positional words only; returns the exit status */
	const char *help;            /* one line, no full stop */
	const struct ssi_opt *opts;  /* ends with {0}; NULL = none. -h/--help is always there */
	const char *complete;        /* what positional words complete to, as in ssi_opt (but any word is taken) */
	int raw;                     /* > 0: behind this many words all is words, options too ("exec RANGE COMMAND..."); "--" does so anywhere.
				      * -1: "-" and a capital or a digit begin a word, no option ("kill -9 PID") */
};

struct ssi_program {
	const char *name, *help;     /* "ssi-mkimage", one line */
	const struct ssi_cmd *cmds;  /* ends with {0} */
	const struct ssi_opt *opts;  /* options before or after any verb; ends with {0}; NULL = none. --version is always there */
};

/*
 * The value of an option (borrowed), "" for a flag that was given, NULL when not. The last one given counts. One of the verb's hides the program's of the
 * same name.
 */
const char *ssi_cmd_opt(const struct ssi_cmd_args *a, const char *name);
/* True when "-o json" was given; the program or verb lists SSI_OPT_OUTPUT in its options. */
bool ssi_cmd_json(const struct ssi_cmd_args *a);
#define SSI_OPT_OUTPUT { "output", 'o', "FORMAT", "text (default) or json", "text json" }

/* Find the verb, check its words and options, run it. --help: standard output and 0. A wrong verb, option or number of
 * words: one line on standard error saying what is wrong and where help is, and 2. The hidden words "--complete-table" and
 * "--man-synopsis" print what completion/ and man/ are generated from. */
int ssi_cmd_main(const struct ssi_program *p, int argc, char **argv);
