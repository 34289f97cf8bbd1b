/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node fence": make sure that the machines of nodes do no harm any more, or say that they do not; by way of the daemon. */
#include <string.h>

#include "libssi/comm/json.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

#define FENCE_TIMEOUT_MS 3600000     /* the daemon bounds each step; many machines' power takes turns */

const struct ssi_opt verb_node_fence_opts[] = {
	{ "confirm", 0, NULL, "end a fence that could not be confirmed: the machines are off for certain", NULL },
	{ 0 },
};

static void print_table(const json_t *list)
{
	static const struct ssi_column columns[] = { { "NODE", false }, { "MACHINE", false }, { "FENCE", false }, { "PROVED", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)list, i, n) {
		const json_t *fence = json_object_get(n, "fence");
		const char *machine = ssi_json_str(fence, "machine");
		char steps[80];
		bool failed = *ssi_json_str(n, "error");

		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(n, "name"));
		ssi_table_cell(t, SSI_PLAIN, "%s", *machine ? machine : "-");
		ssi_table_cell(t, failed ? SSI_RED : SSI_GREEN, "%s", failed ? "not confirmed" : "confirmed");
		ssi_table_cell(t, SSI_PLAIN, "%s", *node_fence_steps(steps, sizeof(steps), fence, true) ? steps : "-");
	}
	ssi_table_print(t, stdout, 0);
}

int verb_node_fence(struct ssi_cmd_args *a, int argc, char **argv)
{
	json_t *args = json_pack("{s:s}", "range", argv[0]);

	if (ssi_cmd_opt(a, "confirm"))
		json_object_set_new(args, "confirm", json_true());
	return node_command(a, "node.fence", args, FENCE_TIMEOUT_MS, print_table);
}
