/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the daemon and saying why it did not work. Called by the verbs. */
#include "ssi/ask.h"

#include <stdio.h>

int ask_failed(const json_t *answer, const struct ssi_err *e)
{
	const json_t *errors = json_object_get(answer, "errors");
	size_t i;
	const json_t *line;

	json_array_foreach((json_t *)errors, i, line)
		fprintf(stderr, "%s\n", json_string_value(line));
	fprintf(stderr, "ssi: %s\n", e->text);
	return 1;
}

int ask(const struct ssi_cmd_args *a, const char *verb, json_t *args, unsigned timeout_ms, json_t **ret_answer)
{
	_cleanup_json_ json_t *answer = NULL;
	struct ssi_err e = { 0 };
	int r;

	if (!args) {
		fprintf(stderr, "ssi: a word is not valid UTF-8\n");
		return 2;
	}
	r = ssi_control_ask(ssi_cmd_opt(a, "socket"), verb, args, timeout_ms, &answer, &e);
	if (r != 0)
		return ask_failed(answer, &e);
	*ret_answer = TAKE_PTR(answer);
	return 0;
}

int ask_print_json(const json_t *data)
{
	json_dumpf(data, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	return 0;
}
