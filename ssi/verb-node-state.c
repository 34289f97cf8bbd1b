/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node state list|show|snapshot|restore|rm|accept": state volumes, and snapshots of them. */
#include <string.h>
#include <unistd.h>

#include "libssi/base/num.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_node_state_show_opts[] = {
	{ "names", 0, NULL, "the names of the snapshots and nothing else", NULL },
	{ 0 },
};

static enum ssi_color state_color(const char *state)
{
	static const struct { const char *state; enum ssi_color color; } colors[] = {
		{ "open", SSI_GREEN }, { "none", SSI_DIM }, { "making", SSI_CYAN }, { "busy", SSI_CYAN }, { "waits", SSI_CYAN }, { "asks", SSI_YELLOW },
		{ "unclean", SSI_YELLOW }, { "missing", SSI_RED }, { "damaged", SSI_RED },
	};

	for (size_t i = 0; i < sizeof(colors) / sizeof(*colors); i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return SSI_PLAIN;
}

static void size_cell(struct ssi_table *t, const json_t *o, const char *key)
{
	char size[16];

	if (json_object_get(o, key))
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_size(size, sizeof(size), (uint64_t)ssi_json_int(o, key)));
	else
		ssi_table_cell(t, SSI_DIM, "-");
}

static const char *or_dash(const char *s)
{
	return *s ? s : "-";
}

static void volume_row(struct ssi_table *t, const json_t *v)
{
	const char *state = ssi_json_str(v, "state");

	ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(v, "name"));
	ssi_table_cell(t, state_color(state), "%s", state);
	ssi_table_cell(t, SSI_PLAIN, "%s", or_dash(ssi_json_str(v, "fs")));
	size_cell(t, v, "size");
	size_cell(t, v, "used");
	ssi_table_cell(t, SSI_PLAIN, "%zu", json_array_size(json_object_get(v, "snapshots")));
	ssi_table_cell(t, SSI_PLAIN, "%.19s", or_dash(ssi_json_str(v, "generation")));
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(v, "text"));
}

static void print_volumes(const json_t *list)
{
	static const struct ssi_column columns[] = {
		{ "NODE", false }, { "STATE", false }, { "FS", false }, { "SIZE", true }, { "USED", true }, { "SNAPSHOTS", true }, { "WRITTEN OVER", false },
		{ "WHY", false }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *v;

	json_array_foreach((json_t *)list, i, v)
		volume_row(t, v);
	ssi_table_print(t, stdout, 0);
}

int verb_node_state_list(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = ask(a, "node.state.list", json_pack("{s:s*}", "range", argc ? argv[0] : NULL), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	print_volumes(json_object_get(answer, "data"));
	return 0;
}

/* ---- one ---- */

static void pair(struct ssi_table *t, const char *name, const char *value)
{
	ssi_table_cell(t, SSI_BOLD, "%s", name);
	ssi_table_cell(t, SSI_PLAIN, "%s", or_dash(value));
}

static void print_facts(const json_t *v)
{
	static const struct ssi_column columns[] = { { "", false }, { "", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	char size[16], used[16], age[24], text[64];

	pair(t, "state", ssi_json_str(v, "state"));
	if (*ssi_json_str(v, "text"))
		pair(t, "why", ssi_json_str(v, "text"));
	if (json_object_get(v, "size")) {
		snprintf(text, sizeof(text), "%s of %s, %s used", ssi_json_str(v, "fs"), ssi_num_format_size(size, sizeof(size), (uint64_t)ssi_json_int(v, "size")),
			 ssi_num_format_size(used, sizeof(used), (uint64_t)ssi_json_int(v, "used")));
		pair(t, "volume", text);
		pair(t, "UUID", ssi_json_str(v, "uuid"));
		snprintf(text, sizeof(text), "%s ago", node_age(age, sizeof(age), ssi_json_int(v, "made")));
		pair(t, "made", text);
		pair(t, "image", ssi_json_str(v, "image"));
		pair(t, "written over", ssi_json_str(v, "generation"));
		snprintf(text, sizeof(text), "%lld", (long long)ssi_json_int(v, "incarnation"));
		pair(t, "incarnation", ssi_json_int(v, "incarnation") ? text : "");
	}
	ssi_table_print(t, stdout, 2);
}

static void print_snapshots(const json_t *list)
{
	static const struct ssi_column columns[] = {
		{ "SNAPSHOT", false }, { "AGE", true }, { "SIZE", true }, { "USED", true }, { "HOW", false }, { "WRITTEN OVER", false }, { "FOR", false }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	char age[24];
	size_t i;
	const json_t *p;

	json_array_foreach((json_t *)list, i, p) {
		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(p, "name"));
		ssi_table_cell(t, SSI_PLAIN, "%s", node_age(age, sizeof(age), ssi_json_int(p, "time")));
		size_cell(t, p, "size");
		size_cell(t, p, "used");
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(p, "how"));
		ssi_table_cell(t, SSI_PLAIN, "%.19s", or_dash(ssi_json_str(p, "generation")));
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(p, "why"));
	}
	printf("\n");
	ssi_table_print(t, stdout, 2);
}

static void print_names(const json_t *list)
{
	size_t i;
	const json_t *p;

	json_array_foreach((json_t *)list, i, p)
		printf("%s\n", ssi_json_str(p, "name"));
}

static void print_volume(const json_t *v)
{
	const json_t *snapshots = json_object_get(v, "snapshots");

	printf("%s\n", ssi_json_str(v, "name"));
	print_facts(v);
	if (json_array_size(snapshots))
		print_snapshots(snapshots);
}

int verb_node_state_show(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	size_t i;
	const json_t *list, *v;
	int r = ask(a, "node.state.list", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	list = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		return ask_print_json(list);
	json_array_foreach((json_t *)list, i, v) {
		if (ssi_cmd_opt(a, "names"))
			print_names(json_object_get(v, "snapshots"));
		else
			print_volume(v);
	}
	return 0;
}

/* ---- orders ---- */

/* On a terminal, a line that grows old is written over. */
static int on_progress(const json_t *event, void *userdata)
{
	char copied[16], all[16];
	json_int_t to_copy = ssi_json_int(event, "to_copy");

	if (!to_copy || !isatty(STDERR_FILENO))
		return 0;
	fprintf(stderr, "\r%s: %s of %s copied ", ssi_json_str(event, "name"),
		ssi_num_format_size(copied, sizeof(copied), (uint64_t)ssi_json_int(event, "copied")), ssi_num_format_size(all, sizeof(all), (uint64_t)to_copy));
	*(bool *)userdata = true;
	return 0;
}

static int order(const struct ssi_cmd_args *a, const char *verb, json_t *args, json_t **ret_data)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	_cleanup_json_ json_t *answer = NULL, *own = args;
	struct ssi_err e = { 0 };
	bool said = false;
	int r;

	if (!own) {
		fprintf(stderr, "ssi: a word is not valid UTF-8\n");
		return 2;
	}
	r = ssi_control_open(ssi_cmd_opt(a, "socket"), &c, &e);
	if (r == 0)
		r = ssi_control_call(c, verb, own, ASK_TIMEOUT_MS, on_progress, &said, &answer, &e);
	if (said)
		fprintf(stderr, "\n");
	if (r != 0)
		return ask_failed(answer, &e);
	*ret_data = json_incref(json_object_get(answer, "data"));
	return 0;
}

static int order_node(const struct ssi_cmd_args *a, const char *verb, int argc, char **argv, json_t **ret_data)
{
	return order(a, verb, json_pack("{s:s, s:s*}", "node", argv[0], "name", argc > 1 ? argv[1] : NULL), ret_data);
}

int verb_node_state_snapshot(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;
	int r = order_node(a, "node.state.snapshot", argc, argv, &data);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(data);
	printf("%s: snapshot %s\n", argv[0], ssi_json_str(data, "snapshot"));
	return 0;
}

int verb_node_state_restore(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;
	int r = order_node(a, "node.state.restore", argc, argv, &data);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(data);
	printf("%s: its state is that of snapshot %s; what it was is kept as another ('ssi node state show %s')\n", argv[0], argv[1], argv[0]);
	return 0;
}

int verb_node_state_rm(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;
	int r = order_node(a, "node.state.rm", argc, argv, &data);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(data);
	if (argc > 1)
		printf("%s: snapshot %s removed\n", argv[0], argv[1]);
	else
		printf("%s: state volume removed; its next boot begins with an empty one where nodes.d has state = disk\n", argv[0]);
	return 0;
}

static void print_accepted(const json_t *list)
{
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)list, i, n)
		if (!*ssi_json_str(n, "error"))
			printf("%s: decided; its machine goes on by itself\n", ssi_json_str(n, "name"));
}

int verb_node_state_accept(struct ssi_cmd_args *a, int argc, char **argv)
{
	if (strcmp(argv[1], "keep") != 0 && strcmp(argv[1], "fresh") != 0) {
		fprintf(stderr, "ssi: '%s' is neither keep nor fresh. See 'ssi node state accept --help'\n", argv[1]);
		return 2;
	}
	return node_command(a, "node.state.accept", json_pack("{s:s, s:s}", "range", argv[0], "decision", argv[1]), ASK_TIMEOUT_MS, print_accepted);
}
