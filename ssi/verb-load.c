/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "load": what nodes do, a line each. */
#include <string.h>

#include "libssi/base/num.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

/* A share of something: yellow when it is high, red when it is nearly all. */
static void share_cell(struct ssi_table *t, double share)
{
	ssi_table_cell(t, share >= 0.95 ? SSI_RED : share >= 0.8 ? SSI_YELLOW : SSI_PLAIN, "%.0f %%", share * 100);
}

static void pressure_cell(struct ssi_table *t, const json_t *node, const char *what)
{
	double v = json_number_value(json_object_get(json_object_get(node, "pressure"), what));

	ssi_table_cell(t, v >= 20 ? SSI_RED : v >= 5 ? SSI_YELLOW : SSI_PLAIN, "%.1f", v);
}

static void load_row(struct ssi_table *t, const json_t *n)
{
	const json_t *load = json_object_get(n, "load");
	double memory = (double)ssi_json_int(n, "memory");
	char size[16], age[24], state[32];

	ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(n, "name"));
	ssi_table_cell(t, node_color(ssi_json_str(n, "state")), "%s", node_state(state, sizeof(state), n));
	if (!load) {
		for (int i = 0; i < 9; i++)
			ssi_table_cell(t, SSI_DIM, "-");
		return;
	}
	ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)ssi_json_int(n, "cpus"));
	share_cell(t, json_number_value(json_object_get(n, "busy")));
	ssi_table_cell(t, SSI_PLAIN, "%.2f %.2f %.2f", json_number_value(json_array_get(load, 0)), json_number_value(json_array_get(load, 1)),
		       json_number_value(json_array_get(load, 2)));
	share_cell(t, memory > 0 ? 1 - (double)ssi_json_int(n, "available") / memory : 0);
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_size(size, sizeof(size), (uint64_t)ssi_json_int(n, "available")));
	pressure_cell(t, n, "cpu");
	pressure_cell(t, n, "memory");
	pressure_cell(t, n, "io");
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_ms(age, sizeof(age), (uint64_t)ssi_json_int(n, "age_ms")));
}

static void print_table(const json_t *nodes)
{
	static const struct ssi_column columns[] = {
		{ "NODE", false }, { "STATE", false }, { "CPUS", true }, { "BUSY", true }, { "LOAD", true }, { "MEMORY", true }, { "FREE", true },
		{ "PSI CPU", true }, { "MEM", true }, { "IO", true }, { "AGE", true }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)nodes, i, n)
		load_row(t, n);
	ssi_table_print(t, stdout, 0);
}

int verb_load(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = ask(a, "load", json_pack("{s:s*}", "range", argc ? argv[0] : NULL), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	print_table(json_object_get(answer, "data"));
	return 0;
}
