/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node show": all that is known of nodes: what they are now, who set each value, how the last boot went, what they are made of. */
#include <string.h>

#include "libssi/base/num.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/timeline.h"
#include "ssi/verbs.h"

static const struct ssi_column pair_columns[] = { { "", false }, { "", false }, { NULL, false } };

static void pair(struct ssi_table *t, const char *name, const char *value)
{
	if (!*value)
		return;
	ssi_table_cell(t, SSI_DIM, "%s", name);
	ssi_table_cell(t, SSI_PLAIN, "%s", value);
}

static void pair_number(struct ssi_table *t, const char *name, json_int_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	if (value)
		pair(t, name, text);
}

static void head(const char *title)
{
	bool on = ssi_tty_color(stdout);

	printf("\n%s%s%s\n", ssi_tty_begin(SSI_BOLD, on), title, ssi_tty_end(SSI_BOLD, on));
}

/* "n01  joined for 12 m 03 s", and why it is not well. */
static void print_title(const json_t *n)
{
	const char *state = ssi_json_str(n, "state");
	_cleanup_free_ char *reason = strdup(ssi_json_str(n, "reason"));
	json_int_t since = ssi_json_int(n, "since");
	bool on = ssi_tty_color(stdout);
	char age[24], text[32];

	printf("%s%s%s  %s%s%s", ssi_tty_begin(SSI_BOLD, on), ssi_json_str(n, "name"), ssi_tty_end(SSI_BOLD, on),
	       ssi_tty_begin(node_color(state), on), node_state(text, sizeof(text), n), ssi_tty_end(node_color(state), on));
	if (since > 0)
		printf(" for %s", node_age(age, sizeof(age), since));
	putchar('\n');
	if (reason && *reason)
		printf("  %s%s%s\n", ssi_tty_begin(SSI_RED, on), ssi_tty_clean(reason, false), ssi_tty_end(SSI_RED, on));
}

static void print_now(const json_t *n)
{
	_cleanup_table_ struct ssi_table *t = ssi_table_new(pair_columns);
	json_int_t up = ssi_json_int(n, "uptime_ms");
	const char *machine = ssi_json_str(n, "machine");
	_cleanup_free_ char *failover = NULL;
	char text[24];

	pair(t, "system", ssi_json_str(n, "system"));
	pair_number(t, "number", ssi_json_int(n, "number"));
	pair(t, "machine", *machine ? machine : "none");
	pair_number(t, "incarnation", ssi_json_int(n, "incarnation"));
	pair(t, "generation", ssi_json_str(n, "generation"));
	pair(t, "root", ssi_json_str(n, "root"));
	pair(t, "up", up ? ssi_num_format_ms(text, sizeof(text), (uint64_t)up) : "");
	failover = node_failover(n);
	pair(t, "failover", failover ? failover : "");
	ssi_table_print(t, stdout, 2);
}

static void print_values(const json_t *values)
{
	static const struct ssi_column columns[] = { { "KEY", false }, { "VALUE", false }, { "SET BY", false }, { "", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *v;

	if (!json_array_size(values))
		return;
	json_array_foreach((json_t *)values, i, v) {
		json_int_t line = ssi_json_int(v, "line");

		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(v, "key"));
		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(v, "value"));
		if (line)
			ssi_table_cell(t, SSI_PLAIN, "%s:%lld", ssi_json_str(v, "file"), (long long)line);
		else
			ssi_table_cell(t, SSI_DIM, "%s", ssi_json_str(v, "file"));
		ssi_table_cell(t, SSI_DIM, "%s", ssi_json_str(v, "section"));
	}
	head("Values");
	ssi_table_print(t, stdout, 2);
}

static void print_nics(const json_t *nics)
{
	static const struct ssi_column columns[] = { { "", false }, { "", false }, { "", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *nic;

	json_array_foreach((json_t *)nics, i, nic) {
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(nic, "name"));
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(nic, "mac"));
		ssi_table_cell(t, SSI_DIM, "%s", ssi_json_str(nic, "driver"));
	}
	ssi_table_print(t, stdout, 2);
}

/* A machine of one NUMA node has nothing to tell about it. */
static void add_numa(struct ssi_table *t, const json_t *list)
{
	const json_t *numa;
	char size[16];
	size_t i;

	json_array_foreach((json_t *)list, i, numa) {
		json_int_t cpus = ssi_json_int(numa, "cpus");

		if (json_array_size(list) < 2)
			break;
		ssi_table_cell(t, SSI_DIM, "NUMA node %lld", (long long)ssi_json_int(numa, "number"));
		ssi_table_cell(t, SSI_PLAIN, "%lld processor%s, %s", (long long)cpus, cpus == 1 ? "" : "s",
			       ssi_num_format_size(size, sizeof(size), (uint64_t)ssi_json_int(numa, "memory")));
	}
}

/* What a PCI class stands for (PCI Code and ID Assignment, 1.1); the longer prefix goes first. */
static const char *class_name(const char *class)
{
	static const struct { const char *prefix, *name; } names[] = {
		{ "0300", "VGA controller" }, { "0302", "3D controller" }, { "03", "display controller" },
		{ "0b40", "co-processor" }, { "12", "processing accelerator" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(class, names[i].prefix, strlen(names[i].prefix)) == 0)
			return names[i].name;
	return class;
}

static void print_accelerators(const json_t *list)
{
	static const struct ssi_column columns[] = { { "", false }, { "", false }, { "", false }, { "", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	const json_t *a;
	size_t i;

	json_array_foreach((json_t *)list, i, a) {
		const char *driver = ssi_json_str(a, "driver");

		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(a, "address"));
		ssi_table_cell(t, SSI_PLAIN, "%s", class_name(ssi_json_str(a, "class")));
		ssi_table_cell(t, SSI_PLAIN, "%s:%s", ssi_json_str(a, "vendor"), ssi_json_str(a, "device"));
		ssi_table_cell(t, SSI_DIM, "%s", *driver ? driver : "no driver");
	}
	ssi_table_print(t, stdout, 2);
}

static void print_inventory(const json_t *inventory)
{
	_cleanup_table_ struct ssi_table *t = ssi_table_new(pair_columns);
	json_int_t cpus = ssi_json_int(inventory, "cpus"), memory = ssi_json_int(inventory, "memory");
	const char *model = ssi_json_str(inventory, "cpu_model");
	char size[16];

	if (!json_object_size(inventory))
		return;
	head("Inventory");
	if (cpus) {
		ssi_table_cell(t, SSI_DIM, "processors");
		ssi_table_cell(t, SSI_PLAIN, "%lld%s%s", (long long)cpus, *model ? " × " : "", model);
	}
	pair(t, "memory", memory ? ssi_num_format_size(size, sizeof(size), (uint64_t)memory) : "");
	add_numa(t, json_object_get(inventory, "numa"));
	pair(t, "kernel", ssi_json_str(inventory, "kernel"));
	pair(t, "architecture", ssi_json_str(inventory, "arch"));
	ssi_table_print(t, stdout, 2);
	print_nics(json_object_get(inventory, "nics"));
	print_accelerators(json_object_get(inventory, "accelerators"));
}

/* Its last fence, until it has booted again. */
static void print_fence(const json_t *fence)
{
	static const struct { const char *phase, *text; } phases[] = {
		{ "confirmed", "confirmed" }, { "work", "not confirmed" }, { "doubt", "none, and it may still run" },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(pair_columns);
	const char *phase = ssi_json_str(fence, "phase"), *text = phase;
	_cleanup_free_ char *reason = strdup(ssi_json_str(fence, "reason"));
	char steps[80];

	if (!*phase)
		return;
	for (size_t i = 0; i < sizeof(phases) / sizeof(*phases); i++)
		if (strcmp(phase, phases[i].phase) == 0)
			text = phases[i].text;
	head("Fence");
	pair(t, "outcome", text);
	pair(t, "machine", ssi_json_str(fence, "machine"));
	pair(t, "why", ssi_json_str(fence, "why"));
	pair(t, "policy", ssi_json_str(fence, "policy"));
	pair(t, "proved", node_fence_steps(steps, sizeof(steps), fence, true));
	pair(t, "missing", strcmp(phase, "work") == 0 ? node_fence_steps(steps, sizeof(steps), fence, false) : "");
	pair_number(t, "tries", ssi_json_int(fence, "tries"));
	pair(t, "reason", reason ? ssi_tty_clean(reason, false) : "");
	ssi_table_print(t, stdout, 2);
}

static void print_node(const json_t *n)
{
	const json_t *boot = json_object_get(n, "boot");

	print_title(n);
	print_now(n);
	print_values(json_object_get(n, "values"));
	if (json_array_size(boot)) {
		head("Last boot");
		timeline_print(boot, strcmp(ssi_json_str(n, "state"), "booting") != 0);
	}
	print_fence(json_object_get(n, "fence"));
	print_inventory(json_object_get(n, "inventory"));
}

int verb_node_show(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *list, *n;
	size_t i;
	int r = ask(a, "node.show", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	list = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		return ask_print_json(list);
	json_array_foreach((json_t *)list, i, n) {
		if (i)
			printf("\n\n");
		print_node(n);
	}
	return 0;
}
