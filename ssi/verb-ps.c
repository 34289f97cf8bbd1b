/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "ps": the processes of the nodes. It reads the table of RUN/view, as anybody may, and asks no one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/comm/procjson.h"
#include "ssi/ask.h"
#include "ssi/process.h"
#include "ssi/verbs.h"

#define PS_SHORT "node,pid,tty,time,comm"
#define PS_FULL "user,node,pid,ppid,pcpu,start,tty,time,args"

const struct ssi_opt verb_ps_opts[] = {
	{ "all", 'e', NULL, "everybody's processes, not only your own", NULL },
	{ "full", 'f', NULL, "more about each: user, parent, the whole command", NULL },
	{ "output", 'o', "COLUMNS", "these columns (pid,node,args), or json", NULL },
	{ "node", 'n', "RANGE", "only those on these nodes", "@node" },
	{ "user", 'u', "USER", "only those of these users, by name or number, with commas between", NULL },
	{ "sort", 0, "COLUMN", "in this order; with '-' before it the greatest first", NULL },
	{ 0 },
};

static int failed(const struct ssi_err *e, int status)
{
	fprintf(stderr, "ssi: ps: %s\n", e->text);
	return status;
}

static int print_json(const struct ssi_proctable *t, const struct process_row *rows, size_t n)
{
	_cleanup_json_ json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, ssi_procjson(t, rows[i].p));
	return ask_print_json(list);
}

static int show(const struct ssi_cmd_args *a, const struct process_filter *filter, const struct process_column **columns)
{
	_cleanup_viewfile_ struct ssi_viewfile *f = NULL;
	_cleanup_free_ struct process_row *rows = NULL;
	struct ssi_proctable t;
	struct ssi_err e = { 0 };
	size_t n;
	int r = ssi_viewfile_open(NULL, "processes", &f, &e);

	if (r >= 0)
		r = process_table(f, &t, &e);
	if (r >= 0 && process_select(&t, filter, &rows, &n) < 0)
		r = ssi_errno(&e, -ENOMEM, "processes");
	if (r < 0)
		return failed(&e, 1);
	if (ssi_cmd_opt(a, "sort") && process_sort(rows, n, &t, ssi_cmd_opt(a, "sort"), &e) < 0)
		return failed(&e, 2);
	if (ssi_cmd_json(a))
		return print_json(&t, rows, n);
	process_print(columns, &t, rows, n, stdout);
	return 0;
}

int verb_ps(struct ssi_cmd_args *a, int argc, char **argv)
{
	const char *output = ssi_cmd_opt(a, "output"), *node = ssi_cmd_opt(a, "node"), *user = ssi_cmd_opt(a, "user");
	_cleanup_free_ const struct process_column **columns = NULL;
	_cleanup_nodelist_ struct ssi_nodelist *nodes = NULL;
	_cleanup_free_ uint32_t *uids = NULL;
	uint32_t own = geteuid();
	struct process_filter filter = { .uids = &own, .n_uids = 1, .all = ssi_cmd_opt(a, "all") };
	struct ssi_err e = { 0 };
	int r = 0;

	if (!output || strcmp(output, "text") == 0 || ssi_cmd_json(a))
		output = ssi_cmd_opt(a, "full") ? PS_FULL : PS_SHORT;
	r = process_columns(output, &columns, &e);
	if (r >= 0 && node) {
		r = ssi_nodelist_parse(node, &nodes, &e);
		filter.nodes = nodes;
	}
	if (r >= 0 && user) {
		r = process_users(user, &uids, &filter.n_uids, &e);
		filter.uids = uids;
	}
	return r < 0 ? failed(&e, 2) : show(a, &filter, columns);
}
