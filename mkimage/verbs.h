/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The verbs of ssi-mkimage, each in verb-NAME.c, and what they share. */
#include "libssi/base/cmd.h"
#include "libssi/base/err.h"

int verb_build(struct ssi_cmd_args *a, int argc, char **argv);
int verb_list(struct ssi_cmd_args *a, int argc, char **argv);
int verb_show(struct ssi_cmd_args *a, int argc, char **argv);
int verb_verify(struct ssi_cmd_args *a, int argc, char **argv);
int verb_rm(struct ssi_cmd_args *a, int argc, char **argv);
extern const struct ssi_opt verb_build_opts[], verb_rm_opts[];

/* Where images and results lie: the option, or a place for root or for this user; borrowed, for the program's life. NULL with a message printed. */
const char *verb_store(const struct ssi_cmd_args *a);
const char *verb_cache(const struct ssi_cmd_args *a);
/* Print the error and return the exit status, 1. */
int verb_fail(const struct ssi_err *e);
