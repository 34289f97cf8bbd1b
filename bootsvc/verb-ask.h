/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Asking the running daemon, as the verbs of ssi-bootsvc do it. */
#include "libssi/base/cmd.h"
#include "libssi/comm/control.h"

#define ASK_TIMEOUT_MS 30000

/* The control socket of a daemon with this --run, NULL (the built-in place) without the option; the caller's. */
char *verb_socket(const struct ssi_cmd_args *a);
/* args (may be NULL) is taken over. 0: *ret_answer is an answer with "ok" true, the caller's. Else the reason was printed, and the result is the exit status. */
int verb_ask(const struct ssi_cmd_args *a, const char *verb, json_t *args, json_t **ret_answer);
/* Print why a call failed; answer may be NULL. Returns the exit status. */
int verb_ask_failed(const json_t *answer, const struct ssi_err *e);
int verb_print_json(const json_t *data);             /* returns the exit status 0 */
