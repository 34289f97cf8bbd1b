/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node reboot": an order to nodes that are joined; one that is not cannot be told, only switched off and on. */
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

static void print_ordered(const json_t *list)
{
	const json_t *n;
	size_t i;

	json_array_foreach((json_t *)list, i, n)
		if (!*ssi_json_str(n, "error"))
			printf("%s: ordered to reboot\n", ssi_json_str(n, "name"));
}

int verb_node_reboot(struct ssi_cmd_args *a, int argc, char **argv)
{
	return node_command(a, "node.reboot", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, print_ordered);
}
