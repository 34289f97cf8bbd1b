/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "machine list": every machine that was ever seen or named, and whose it is. */
#include <string.h>

#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

static enum ssi_color state_color(const char *state)
{
	return strcmp(state, "failed") == 0 ? SSI_RED : strcmp(state, "waiting") == 0 ? SSI_YELLOW : strcmp(state, "bound") == 0 ? SSI_GREEN : SSI_PLAIN;
}

static void machine_row(struct ssi_table *t, const json_t *m)
{
	const char *node = ssi_json_str(m, "node"), *address = ssi_json_str(m, "address");
	char first[24], last[24];

	ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(m, "mac"));
	ssi_table_cell(t, state_color(ssi_json_str(m, "state")), "%s", ssi_json_str(m, "state"));
	ssi_table_cell(t, SSI_PLAIN, "%s", *node ? node : "-");
	ssi_table_cell(t, SSI_PLAIN, "%s", *address ? address : "-");
	ssi_table_cell(t, SSI_PLAIN, "%s", node_age(first, sizeof(first), ssi_json_int(m, "first_seen")));
	ssi_table_cell(t, SSI_PLAIN, "%s", node_age(last, sizeof(last), ssi_json_int(m, "last_seen")));
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(m, "reason"));
}

int verb_machine_list(struct ssi_cmd_args *a, int argc, char **argv)
{
	static const struct ssi_column columns[] = {
		{ "MACHINE", false }, { "STATE", false }, { "NODE", false }, { "ADDRESS", false }, { "FIRST SEEN", true }, { "LAST SEEN", true },
		{ "", false }, { NULL, false },
	};
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *list, *m;
	int r = ask(a, "machine.list", json_object(), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	list = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		return ask_print_json(list);
	json_array_foreach((json_t *)list, i, m)
		machine_row(t, m);
	ssi_table_print(t, stdout, 0);
	return 0;
}
