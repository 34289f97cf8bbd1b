/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "policy list", "policy show", "policy check": where programs are placed. check asks nobody: it reads files. */
#include <errno.h>
#include <string.h>

#include "libssi/base/buf.h"
#include "libssi/base/file.h"
#include "libssi/base/tty.h"
#include "libssi/model/policy.h"
#include "ssi/ask.h"
#include "ssi/verbs.h"

#define POLICY_TEXT_MAX 65536

const struct ssi_opt verb_policy_show_opts[] = {
	{ "system", 0, "NAME", "how it sees the nodes of this system, where there are several", NULL },
	{ 0 },
};

static void print_list(const json_t *list)
{
	static const struct ssi_column columns[] = {
		{ "POLICY", false }, { "VERSION", true }, { "CHOOSES", false }, { "FROM", false }, { "WHAT", false }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *o;

	json_array_foreach((json_t *)list, i, o) {
		const char *file = ssi_json_str(o, "file");

		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(o, "name"));
		ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)ssi_json_int(o, "version"));
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(o, "choose"));
		ssi_table_cell(t, *file ? SSI_PLAIN : SSI_DIM, "%s", *file ? file : "shipped");
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(o, "help"));
	}
	ssi_table_print(t, stdout, 0);
}

int verb_policy_list(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = ask(a, "policy.list", json_object(), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	print_list(json_object_get(answer, "data"));
	return 0;
}

static void print_nodes(const json_t *nodes)
{
	static const struct ssi_column columns[] = {
		{ "NODE", false }, { "SCORE", true }, { "LOAD", true }, { "BUSY", true }, { "MEMORY", true }, { "JOBS", true },
		{ "WHY NOT", false }, { NULL, false },
	};
	static const char *const metrics[] = { "load", "busy", "memory", "jobs" };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *n;

	json_array_foreach((json_t *)nodes, i, n) {
		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(n, "name"));
		ssi_table_cell(t, SSI_PLAIN, "%.3f", json_number_value(json_object_get(n, "score")));
		for (size_t k = 0; k < sizeof(metrics) / sizeof(*metrics); k++)
			ssi_table_cell(t, SSI_PLAIN, "%.2f", json_number_value(json_object_get(json_object_get(n, "metrics"), metrics[k])));
		ssi_table_cell(t, SSI_YELLOW, "%s", ssi_json_str(n, "objection"));
	}
	ssi_table_print(t, stdout, 0);
}

/* A comment in front of the text says where it comes from: the whole can be a file again. */
static void print_policy(const json_t *o)
{
	const char *file = ssi_json_str(o, "file");
	_cleanup_free_ char *text = strdup(ssi_json_str(o, "text"));

	printf("# %s, version %lld, %s\n", ssi_json_str(o, "name"), (long long)ssi_json_int(o, "version"), *file ? file : "shipped");
	fputs(text ? ssi_tty_clean(text, true) : "", stdout);
	if (json_array_size(json_object_get(o, "nodes"))) {
		putchar('\n');
		print_nodes(json_object_get(o, "nodes"));
	}
}

int verb_policy_show(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = ask(a, "policy.show", json_pack("{s:s, s:s*}", "name", argv[0], "system", ssi_cmd_opt(a, "system")), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	print_policy(json_object_get(answer, "data"));
	return 0;
}

/* Its mistakes, a line each; true if there are none. */
static bool file_check(const char *path, struct ssi_buf *errors)
{
	_cleanup_policy_ struct ssi_policy *p = NULL;
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = ssi_file_read(path, POLICY_TEXT_MAX, &text, &n);

	if (r < 0)
		ssi_buf_addf(errors, "%s: %s\n", path, r == -EFBIG ? "more than 64 KiB" : strerror(-r));
	return r == 0 && ssi_policy_parse(path, text, n, &p, errors) == 0;
}

static void add_result(json_t *list, const char *path, const char *errors)
{
	json_t *lines = json_array();

	for (const char *s = errors; *s; s += strcspn(s, "\n") + 1)
		json_array_append_new(lines, json_stringn(s, strcspn(s, "\n")) ?: json_string("a name that is not text"));
	json_array_append_new(list, json_pack("{s:s, s:o}", "file", path, "errors", lines));
}

int verb_policy_check(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *list = json_array();
	bool json = ssi_cmd_json(a);
	int status = 0;

	for (int i = 0; i < argc; i++) {
		_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
		bool ok = file_check(argv[i], &errors);

		status = ok ? status : 1;
		if (json)
			add_result(list, argv[i], errors.data ?: "");
		else if (ok)
			printf("%s: well\n", argv[i]);
		else
			fputs(errors.data ?: "out of memory\n", stderr);
	}
	if (json)
		ask_print_json(list);
	return status;
}
