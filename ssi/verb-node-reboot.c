/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node reboot": an order to nodes that are joined; one that is not cannot be told, only switched off and on. */
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

int verb_node_reboot(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *list, *n;
	size_t i;
	int r = ask(a, "node.reboot", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	list = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		ask_print_json(list);
	else
		json_array_foreach((json_t *)list, i, n)
			if (!*ssi_json_str(n, "error"))
				printf("%s: ordered to reboot\n", ssi_json_str(n, "name"));
	return node_print_errors(list) ? 1 : 0;
}
