/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Asking the daemon, as every verb of ssi does it. */
#include "libssi/base/cmd.h"
#include "libssi/comm/control.h"

#define ASK_TIMEOUT_MS 30000         /* for what the daemon answers at once */

/* args is taken over; NULL: it could not be made (words that are not UTF-8). 0: *ret_answer is an answer with "ok" true, the caller's. Else the reason was printed and the result is the exit status. */
int ask(const struct ssi_cmd_args *a, const char *verb, json_t *args, unsigned timeout_ms, json_t **ret_answer);
/* Print why a call failed: answer (may be NULL) with its "errors", a line each, else e. Returns the exit status. */
int ask_failed(const json_t *answer, const struct ssi_err *e);
/* Data as -o json has it. Returns the exit status 0. */
int ask_print_json(const json_t *data);
