/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the running daemon and saying why it did not work. Called by the verbs, not by the daemon. */
#include "bootsvc/verb-ask.h"

#include <stdio.h>

#include "bootsvc/verbs.h"
#include "libssi/base/path.h"

char *verb_socket(const struct ssi_cmd_args *a)
{
	return ssi_cmd_opt(a, "run") ? ssi_path_join(verb_run_dir(a), "bootsvc.sock") : NULL;
}

int verb_ask_failed(const json_t *answer, const struct ssi_err *e)
{
	const json_t *errors = json_object_get(answer, "errors");
	size_t i;
	const json_t *line;

	json_array_foreach((json_t *)errors, i, line)
		fprintf(stderr, "%s\n", json_string_value(line));
	fprintf(stderr, "ssi-bootsvc: %s\n", e->text);
	return 1;
}

int verb_ask(const struct ssi_cmd_args *a, const char *verb, json_t *args, json_t **ret_answer)
{
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_free_ char *path = verb_socket(a);
	struct ssi_err e = { 0 };
	int r = ssi_control_ask(path, verb, args, ASK_TIMEOUT_MS, &answer, &e);

	if (r != 0)
		return verb_ask_failed(answer, &e);
	*ret_answer = TAKE_PTR(answer);
	return 0;
}

int verb_print_json(const json_t *data)
{
	json_dumpf(data, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	return 0;
}
