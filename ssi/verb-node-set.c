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

static void print_changed(const json_t *list)
{
	const json_t *n;
	size_t i;

	json_array_foreach((json_t *)list, i, n)
		if (!*ssi_json_str(n, "error"))
			printf("%s: %s\n", ssi_json_str(n, "name"), json_is_true(json_object_get(n, "changed")) ?
			       "changed; counts from its next boot on" : "as it was");
}

int verb_node_set(struct ssi_cmd_args *a, int argc, char **argv)
{
	json_t *set = words_read(argc - 1, argv + 1);

	return set ? node_command(a, "node.set", json_pack("{s:s, s:o}", "range", argv[0], "set", set), ASK_TIMEOUT_MS, print_changed) : 2;
}
