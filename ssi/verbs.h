/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The verbs of ssi, a file each (verb-NAME.c). main.c has the table. argv: the words behind the verb; the result is the exit status. */
#include "libssi/base/cmd.h"

extern const struct ssi_opt verb_node_list_opts[];
extern const struct ssi_opt verb_exec_opts[];

int verb_status(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_show(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_set(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_power(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_reboot(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_drain(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_detach(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_accept(struct ssi_cmd_args *a, int argc, char **argv);
int verb_machine_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_machine_rm(struct ssi_cmd_args *a, int argc, char **argv);
int verb_exec(struct ssi_cmd_args *a, int argc, char **argv);
