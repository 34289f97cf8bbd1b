/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "status": the merged systems at a glance, and which nodes are not well and why. Two questions: the totals, and the nodes. */
#include <string.h>

#include "libssi/base/num.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

/* The states that want somebody's attention, the worst first. */
static const char *const unwell[] = { "failed", "detached", "fencing", "suspect" };

static bool is_unwell(const json_t *node)
{
	for (size_t i = 0; i < sizeof(unwell) / sizeof(*unwell); i++)
		if (strcmp(ssi_json_str(node, "state"), unwell[i]) == 0)
			return true;
	return false;
}

static void system_row(struct ssi_table *t, const json_t *s, enum ssi_color name_color)
{
	json_int_t nodes = ssi_json_int(s, "nodes"), joined = ssi_json_int(s, "joined"), bad = ssi_json_int(s, "suspect") +
		   ssi_json_int(s, "detached") + ssi_json_int(s, "fencing") + ssi_json_int(s, "failed");
	char size[16];

	ssi_table_cell(t, name_color, "%s", ssi_json_str(s, "name"));
	ssi_table_cell(t, joined && joined == nodes ? SSI_GREEN : SSI_PLAIN, "%lld/%lld", (long long)joined, (long long)nodes);
	ssi_table_cell(t, ssi_json_int(s, "booting") ? SSI_CYAN : SSI_DIM, "%lld", (long long)ssi_json_int(s, "booting"));
	ssi_table_cell(t, SSI_DIM, "%lld", (long long)ssi_json_int(s, "off"));
	ssi_table_cell(t, bad ? SSI_RED : SSI_DIM, "%lld", (long long)bad);
	ssi_table_cell(t, SSI_BOLD, "%lld", (long long)ssi_json_int(s, "cpus"));
	ssi_table_cell(t, SSI_BOLD, "%s", ssi_num_format_size(size, sizeof(size), (uint64_t)ssi_json_int(s, "memory")));
	ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)ssi_json_int(s, "nics"));
	ssi_table_cell(t, ssi_json_int(s, "accelerators") ? SSI_PLAIN : SSI_DIM, "%lld", (long long)ssi_json_int(s, "accelerators"));
}

static json_t *totals(const json_t *systems)
{
	static const char *const sums[] = { "nodes", "joined", "booting", "off", "suspect", "detached", "fencing", "failed", "drained", "cpus", "memory", "nics", "accelerators" };
	json_t *all = json_pack("{s:s}", "name", "all");
	size_t i;
	const json_t *s;

	for (size_t k = 0; all && k < sizeof(sums) / sizeof(*sums); k++) {
		json_int_t sum = 0;

		json_array_foreach((json_t *)systems, i, s)
			sum += ssi_json_int(s, sums[k]);
		json_object_set_new(all, sums[k], json_integer(sum));
	}
	return all;
}

static void print_systems(const json_t *systems)
{
	static const struct ssi_column columns[] = {
		{ "SYSTEM", false }, { "JOINED", true }, { "BOOTING", true }, { "OFF", true }, { "NOT WELL", true },
		{ "PROCESSORS", true }, { "MEMORY", true }, { "NICS", true }, { "ACCELERATORS", true }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *s;

	json_array_foreach((json_t *)systems, i, s)
		system_row(t, s, SSI_BOLD);
	if (json_array_size(systems) > 1) {
		_cleanup_json_ json_t *all = totals(systems);

		system_row(t, all, SSI_PLAIN);
	}
	ssi_table_print(t, stdout, 0);
}

/* Nodes of one state by their reasons: {"reason": [node…]}, in the order of the nodes. */
static json_t *by_reason(const json_t *nodes, const char *state)
{
	json_t *groups = json_object(), *n;
	size_t i;

	json_array_foreach((json_t *)nodes, i, n) {
		const char *reason = ssi_json_str(n, "reason");

		if (strcmp(ssi_json_str(n, "state"), state) != 0)
			continue;
		if (!json_object_get(groups, reason))
			json_object_set_new(groups, reason, json_array());
		json_array_append(json_object_get(groups, reason), n);
	}
	return groups;
}

/* When the first of them came into its state. */
static json_int_t oldest(const json_t *nodes)
{
	json_int_t first = 0;
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)nodes, i, n) {
		json_int_t since = ssi_json_int(n, "since");

		if (since && (!first || since < first))
			first = since;
	}
	return first;
}

static bool print_state(struct ssi_table *t, const json_t *nodes, const char *state, bool ages)
{
	_cleanup_json_ json_t *groups = by_reason(nodes, state);
	const char *reason;
	json_t *group;
	char age[24];

	json_object_foreach(groups, reason, group) {
		_cleanup_free_ char *range = node_range(group, state);

		ssi_table_cell(t, node_color(state), "%s", state);
		ssi_table_cell(t, SSI_PLAIN, "%s", range ? range : "");
		ssi_table_cell(t, SSI_DIM, "%s", ages ? node_age(age, sizeof(age), oldest(group)) : "");
		ssi_table_cell(t, SSI_PLAIN, "%s", reason);
	}
	return json_object_size(groups) > 0;
}

static bool print_drained(struct ssi_table *t, const json_t *nodes)
{
	_cleanup_json_ json_t *drained = json_array();
	_cleanup_free_ char *range = NULL;
	size_t i;
	json_t *n;

	json_array_foreach((json_t *)nodes, i, n)
		if (strcmp(ssi_json_str(n, "hold"), "drained") == 0)
			json_array_append(drained, n);
	range = node_range(drained, NULL);
	if (!range || !*range)
		return false;
	ssi_table_cell(t, SSI_YELLOW, "drained");
	ssi_table_cell(t, SSI_PLAIN, "%s", range);
	ssi_table_cell(t, SSI_DIM, "%s", "");
	ssi_table_cell(t, SSI_PLAIN, "%s", "");
	return true;
}

/* What is not simply joined: a line for each state and reason, the worst first. */
static void print_attention(const json_t *nodes)
{
	static const struct ssi_column columns[] = { { "", false }, { "", false }, { "", true }, { "", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	bool any = false;

	for (size_t k = 0; k < sizeof(unwell) / sizeof(*unwell); k++)
		any |= print_state(t, nodes, unwell[k], true);
	any |= print_state(t, nodes, "booting", false);
	any |= print_state(t, nodes, "off", false);
	any |= print_drained(t, nodes);
	if (any)
		putchar('\n');
	ssi_table_print(t, stdout, 0);
}

/* What an administrator has to see to: alarms, and nodes whose failover waits or goes on. */
static void print_failover(const json_t *systems, const json_t *nodes)
{
	bool on = ssi_tty_color(stdout);
	const json_t *s;
	size_t i;

	json_array_foreach((json_t *)systems, i, s)
		if (*ssi_json_str(s, "alarm"))
			printf("\n%sALARM%s  %s: %s\n", ssi_tty_begin(SSI_RED, on), ssi_tty_end(SSI_RED, on), ssi_json_str(s, "name"), ssi_json_str(s, "alarm"));
	json_array_foreach((json_t *)nodes, i, s) {
		_cleanup_free_ char *text = node_failover(s);

		if (text)
			printf("%s: %s\n", ssi_json_str(s, "name"), text);
	}
}

static void print_machines(const json_t *daemon)
{
	json_int_t unbound = ssi_json_int(daemon, "unbound");

	if (unbound)
		printf("\n%lld machine%s bound to no node: see 'ssi machine list'\n", (long long)unbound, unbound == 1 ? " is" : "s are");
}

static int print_json(json_t *status, const json_t *nodes)
{
	json_t *list = json_array();
	size_t i;
	json_t *n;

	json_array_foreach((json_t *)nodes, i, n)
		if (is_unwell(n))
			json_array_append(list, n);
	json_object_set_new(status, "not_well", list);
	return ask_print_json(status);
}

int verb_status(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *status = NULL, *list = NULL;
	json_t *data;
	const json_t *nodes;
	int r = ask(a, "status", json_object(), ASK_TIMEOUT_MS, &status);

	if (r == 0)
		r = ask(a, "node.list", json_object(), ASK_TIMEOUT_MS, &list);
	if (r != 0)
		return r;
	data = json_object_get(status, "data");
	nodes = json_object_get(list, "data");
	if (ssi_cmd_json(a))
		return print_json(data, nodes);
	if (!json_array_size(json_object_get(data, "systems"))) {
		printf("No system is defined: write one to " SSI_SYSCONFDIR "/nodes.d (see ssi-nodes.d(5)), then run 'ssi-bootsvc reload'\n");
		return 0;
	}
	print_systems(json_object_get(data, "systems"));
	print_attention(nodes);
	print_failover(json_object_get(data, "systems"), nodes);
	print_machines(json_object_get(data, "daemon"));
	return 0;
}
