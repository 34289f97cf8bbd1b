/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node list": a line for each node. */
#include <string.h>

#include "libssi/base/num.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_node_list_opts[] = {
	{ "system", 0, "NAME", "only the nodes of this system", NULL },
	{ "state", 0, "STATE", "only the nodes in this state", "off booting joined suspect detached fencing failed drained" },
	{ "names", 0, NULL, "the names and nothing else", NULL },
	{ 0 },
};

/* Drained is no state, but asked for like one. */
static bool is_in(const json_t *node, const char *state)
{
	return strcmp(ssi_json_str(node, "state"), state) == 0 || (*state && strcmp(ssi_json_str(node, "hold"), state) == 0);
}

/* Keep those in a state; the server does not know this question. */
static void keep_state(json_t *nodes, const char *state)
{
	for (size_t i = json_array_size(nodes); i-- > 0;)
		if (!is_in(json_array_get(nodes, i), state))
			json_array_remove(nodes, i);
}

static void print_names(const json_t *nodes)
{
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)nodes, i, n)
		printf("%s\n", ssi_json_str(n, "name"));
}

static const char *or_dash(const char *s)
{
	return *s ? s : "-";
}

static void node_row(struct ssi_table *t, const json_t *n)
{
	const char *state = ssi_json_str(n, "state");
	json_int_t cpus = ssi_json_int(n, "cpus"), memory = ssi_json_int(n, "memory");
	char age[24], size[16], text[32];

	ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(n, "name"));
	ssi_table_cell(t, node_color(state), "%s", node_state(text, sizeof(text), n));
	ssi_table_cell(t, SSI_PLAIN, "%s", node_age(age, sizeof(age), ssi_json_int(n, "since")));
	ssi_table_cell(t, SSI_PLAIN, "%s", or_dash(ssi_json_str(n, "address")));
	ssi_table_cell(t, SSI_PLAIN, "%s", or_dash(ssi_json_str(n, "machine")));
	ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)ssi_json_int(n, "incarnation"));
	ssi_table_cell(t, SSI_PLAIN, "%s", or_dash(ssi_json_str(n, "image")));
	if (cpus)
		ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)cpus);
	else
		ssi_table_cell(t, SSI_DIM, "-");
	if (memory)
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_size(size, sizeof(size), (uint64_t)memory));
	else
		ssi_table_cell(t, SSI_DIM, "-");
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(n, "reason"));
}

static void print_table(const json_t *nodes)
{
	static const struct ssi_column columns[] = {
		{ "NODE", false }, { "STATE", false }, { "SINCE", true }, { "ADDRESS", false }, { "MACHINE", false }, { "INC", true },
		{ "IMAGE", false }, { "CPUS", true }, { "MEMORY", true }, { "WHY", false }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)nodes, i, n)
		node_row(t, n);
	ssi_table_print(t, stdout, 0);
}

int verb_node_list(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	const char *state = ssi_cmd_opt(a, "state");
	json_t *nodes;
	int r = ask(a, "node.list", json_pack("{s:s*, s:s*}", "range", argc ? argv[0] : NULL, "system", ssi_cmd_opt(a, "system")),
		    ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	nodes = json_object_get(answer, "data");
	if (state)
		keep_state(nodes, state);
	if (ssi_cmd_json(a))
		return ask_print_json(nodes);
	if (ssi_cmd_opt(a, "names"))
		print_names(nodes);
	else
		print_table(nodes);
	return 0;
}
