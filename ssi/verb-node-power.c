/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node power": the power of the machines that nodes are bound to, by way of the daemon and its fence agents. */
#include <string.h>

#include "libssi/comm/json.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

#define POWER_TIMEOUT_MS 3600000     /* the daemon bounds each machine; many of them take turns */

static enum ssi_color power_color(const char *power)
{
	return strcmp(power, "on") == 0 ? SSI_GREEN : SSI_DIM;
}

static void print_table(const json_t *list)
{
	static const struct ssi_column columns[] = { { "NODE", false }, { "MACHINE", false }, { "POWER", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)list, i, n) {
		const char *power = ssi_json_str(n, "power"), *machine = ssi_json_str(n, "machine");
		bool failed = *ssi_json_str(n, "error");

		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(n, "name"));
		ssi_table_cell(t, SSI_PLAIN, "%s", *machine ? machine : "-");
		ssi_table_cell(t, failed ? SSI_RED : power_color(power), "%s", failed ? "failed" : *power ? power : "unknown");
	}
	ssi_table_print(t, stdout, 0);
}

int verb_node_power(struct ssi_cmd_args *a, int argc, char **argv)
{
	static const char *const actions[] = { "on", "off", "cycle", "status" };
	bool known = false;

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		known |= strcmp(argv[1], actions[i]) == 0;
	if (!known) {
		fprintf(stderr, "ssi: node power: '%s' is none of on, off, cycle, status\n", argv[1]);
		return 2;
	}
	return node_command(a, "node.power", json_pack("{s:s, s:s}", "range", argv[0], "action", argv[1]), POWER_TIMEOUT_MS, print_table);
}
