/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The verbs of ssi-bootsvc, a file each (verb-NAME.c), and the options that all of them take. main.c has the table.
 */
#include "libssi/base/cmd.h"

/* Where things are: values of the program's options, or the built-in places. Borrowed. */
const char *verb_config_dir(const struct ssi_cmd_args *a);   /* --config: nodes.d */
const char *verb_state_dir(const struct ssi_cmd_args *a);    /* --state */
const char *verb_run_dir(const struct ssi_cmd_args *a);      /* --run: the control socket is bootsvc.sock below it */
const char *verb_store_dir(const struct ssi_cmd_args *a);    /* --store */

extern const struct ssi_opt verb_start_opts[];
int verb_start(struct ssi_cmd_args *a, int argc, char **argv);
extern const struct ssi_opt verb_events_opts[];
int verb_stop(struct ssi_cmd_args *a, int argc, char **argv);
int verb_reload(struct ssi_cmd_args *a, int argc, char **argv);
int verb_status(struct ssi_cmd_args *a, int argc, char **argv);
int verb_events(struct ssi_cmd_args *a, int argc, char **argv);
int verb_check(struct ssi_cmd_args *a, int argc, char **argv);
