/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Between cmd.c (reads a command line) and cmd-help.c (prints what the tables say). */
#include <stdio.h>
#include "libssi/base/cmd.h"

/* All verbs, or those whose name begins with group when it is not NULL ("node"). */
void ssi_cmd_help_program(const struct ssi_program *p, const char *group, FILE *to);
void ssi_cmd_help_verb(const struct ssi_program *p, const struct ssi_cmd *c, FILE *to);
void ssi_cmd_complete_table(const struct ssi_program *p, FILE *to);
void ssi_cmd_man_synopsis(const struct ssi_program *p, FILE *to);
/* Is name "GROUP word"? */
bool ssi_cmd_in_group(const struct ssi_cmd *c, const char *group);
