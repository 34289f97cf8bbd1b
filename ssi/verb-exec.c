/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "exec": a command on nodes, its output as it comes. Ended (Ctrl-C), the daemon ends the commands too. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libssi/base/base64.h"
#include "libssi/model/nodelist.h"
#include "ssi/ask.h"
#include "ssi/output.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_exec_opts[] = {
	{ "input", 'i', NULL, "give standard input to the command, on every node; without it there is none", NULL },
	{ "no-prefix", 'N', NULL, "no 'n01: ' in front of lines", NULL },
	{ 0 },
};

static int on_event(const json_t *event, void *userdata)
{
	_cleanup_free_ char *data = NULL;
	size_t n;
	int r = ssi_base64_decode(ssi_json_str(event, "data"), &data, &n);

	return r < 0 ? r : output_add(userdata, ssi_json_str(event, "node"), (int)ssi_json_int(event, "fd"), data, n);
}

/* Say which nodes failed; how many. */
static size_t print_failures(const json_t *list)
{
	size_t i, failed = 0;
	const json_t *n;

	json_array_foreach((json_t *)list, i, n) {
		const char *error = ssi_json_str(n, "error"), *name = ssi_json_str(n, "name");
		json_int_t status = ssi_json_int(n, "status");

		if (*error)
			fprintf(stderr, "ssi: %s: %s\n", name, error);
		else if (status > 128)
			fprintf(stderr, "ssi: %s: ended by signal %lld\n", name, (long long)status - 128);
		else if (status)
			fprintf(stderr, "ssi: %s: exit status %lld\n", name, (long long)status);
		failed += *error || status;
	}
	return failed;
}

static void print_gathered(json_t *list, const struct output *o)
{
	size_t i;
	json_t *n;

	json_array_foreach(list, i, n) {
		json_object_set_new(n, "stdout", output_text(o, ssi_json_str(n, "name"), 1));
		json_object_set_new(n, "stderr", output_text(o, ssi_json_str(n, "name"), 2));
	}
	ask_print_json(list);
}

/* The request: the range and the words. NULL when a word is not UTF-8. */
static json_t *request(int argc, char **argv, bool input)
{
	json_t *words = json_array();

	for (int i = 1; i < argc; i++)
		if (json_array_append_new(words, json_string(argv[i])) < 0) {
			json_decref(words);
			return NULL;
		}
	return json_pack("{s:s, s:o, s:o*}", "range", argv[0], "argv", words, "input", input ? json_true() : NULL);
}

static int run(const char *socket, json_t *args, bool input, struct output *o, bool json)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	_cleanup_json_ json_t *answer = NULL;
	struct ssi_err e = { 0 };
	json_t *list;
	int r = ssi_control_open(socket, &c, &e);

	if (r == 0)
		r = input ? ssi_control_call_input(c, "exec", args, STDIN_FILENO, on_event, o, &answer, &e) :
			    ssi_control_call(c, "exec", args, 0, on_event, o, &answer, &e);
	output_flush(o);
	if (r != 0)
		return ask_failed(answer, &e);
	list = json_object_get(answer, "data");
	if (json)
		print_gathered(list, o);
	return print_failures(list) ? 1 : 0;
}

int verb_exec(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_nodelist_ struct ssi_nodelist *nodes = NULL;
	_cleanup_json_ json_t *args = NULL;
	struct ssi_err e = { 0 };
	struct output *o;
	bool prefix, input;
	int r;

	if (strcmp(argv[1], "--") == 0) {        /* people write it, though words behind RANGE are the command's already */
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	if (argc < 2) {
		fprintf(stderr, "ssi: exec: a command is missing. See 'ssi exec --help'\n");
		return 2;
	}
	input = ssi_cmd_opt(a, "input");
	args = request(argc, argv, input);
	if (!args) {
		fprintf(stderr, "ssi: a word is not valid UTF-8\n");
		return 2;
	}
	if (ssi_nodelist_parse(argv[0], &nodes, &e) < 0) {
		fprintf(stderr, "ssi: %s\n", e.text);
		return 2;
	}
	prefix = nodes->n > 1 && !ssi_cmd_opt(a, "no-prefix");
	o = output_new(ssi_cmd_json(a) ? OUTPUT_GATHER : prefix ? OUTPUT_PREFIX : OUTPUT_RAW);
	if (!o)
		return 1;
	r = run(ssi_cmd_opt(a, "socket"), args, input, o, ssi_cmd_json(a));
	output_free(o);
	return r;
}
