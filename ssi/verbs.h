/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The verbs of ssi, a file each (verb-NAME.c). main.c has the table. argv: the words behind the verb; the result is the exit status. */
#include "libssi/base/cmd.h"

extern const struct ssi_opt verb_node_list_opts[];
extern const struct ssi_opt verb_node_fence_opts[];
extern const struct ssi_opt verb_node_move_opts[];
extern const struct ssi_opt verb_node_state_show_opts[];
extern const struct ssi_opt verb_policy_show_opts[];
extern const struct ssi_opt verb_exec_opts[];
extern const struct ssi_opt verb_shell_opts[];
extern const struct ssi_opt verb_kill_opts[];
extern const struct ssi_opt verb_ps_opts[];
extern const struct ssi_opt verb_top_opts[];
extern const struct ssi_opt verb_run_opts[], verb_jobs_opts[];

int verb_status(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_show(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_set(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_power(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_reboot(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_drain(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_detach(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_fence(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_accept(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_failover(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_move(struct ssi_cmd_args *a, int argc, char **argv);
int verb_machine_accept(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_state_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_state_show(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_state_snapshot(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_state_restore(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_state_rm(struct ssi_cmd_args *a, int argc, char **argv);
int verb_node_state_accept(struct ssi_cmd_args *a, int argc, char **argv);
int verb_machine_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_machine_rm(struct ssi_cmd_args *a, int argc, char **argv);
int verb_kill(struct ssi_cmd_args *a, int argc, char **argv);
int verb_top(struct ssi_cmd_args *a, int argc, char **argv);
int verb_ps(struct ssi_cmd_args *a, int argc, char **argv);
int verb_load(struct ssi_cmd_args *a, int argc, char **argv);
int verb_policy_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_policy_show(struct ssi_cmd_args *a, int argc, char **argv);
int verb_policy_check(struct ssi_cmd_args *a, int argc, char **argv);
int verb_shell(struct ssi_cmd_args *a, int argc, char **argv);
int verb_exec(struct ssi_cmd_args *a, int argc, char **argv);
int verb_run(struct ssi_cmd_args *a, int argc, char **argv);
int verb_jobs(struct ssi_cmd_args *a, int argc, char **argv);
int verb_job_show(struct ssi_cmd_args *a, int argc, char **argv);
int verb_job_kill(struct ssi_cmd_args *a, int argc, char **argv);
int verb_job_signal(struct ssi_cmd_args *a, int argc, char **argv);
