/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node set": changes values of nodes. The daemon checks them with everything else in nodes.d before it changes anything. */
#include <string.h>

#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

/* KEY=VALUE words into an object; NULL after a message. */
static json_t *words_read(int argc, char **argv)
{
	_cleanup_json_ json_t *set = json_object();

	for (int i = 0; i < argc; i++) {
		const char *eq = strchr(argv[i], '=');
		_cleanup_free_ char *key = eq && eq != argv[i] ? strndup(argv[i], (size_t)(eq - argv[i])) : NULL;

		if (!key) {
			fprintf(stderr, "ssi: '%s' is not KEY=VALUE\n", argv[i]);
			return NULL;
		}
		if (json_object_get(set, key)) {
			fprintf(stderr, "ssi: '%s' is given twice\n", key);
			return NULL;
		}
		if (json_object_set_new(set, key, json_string(eq + 1)) < 0) {
			fprintf(stderr, "ssi: '%s' is not valid UTF-8\n", key);
			return NULL;
		}
	}
	return TAKE_PTR(set);
}

int verb_node_set(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	json_t *set = words_read(argc - 1, argv + 1);
	const json_t *list, *n;
	size_t i;
	int r;

	if (!set)
		return 2;
	r = ask(a, "node.set", json_pack("{s:s, s:o}", "range", argv[0], "set", set), ASK_TIMEOUT_MS, &answer);
	if (r != 0)
		return r;
	list = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		ask_print_json(list);
	else
		json_array_foreach((json_t *)list, i, n)
			if (!*ssi_json_str(n, "error"))
				printf("%s: %s\n", ssi_json_str(n, "name"), json_is_true(json_object_get(n, "changed")) ?
				       "changed; counts from its next boot on" : "as it was");
	return node_print_errors(list) ? 1 : 0;
}
