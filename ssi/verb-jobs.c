/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "jobs": the programs that were started with "run", a line each. */
#include <pwd.h>
#include <string.h>

#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "ssi/ask.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_jobs_opts[] = {
	{ "all", 'a', NULL, "those too that have ended, as far as their records are kept", NULL },
	{ 0 },
};

static void user_cell(struct ssi_table *t, json_int_t uid)
{
	const struct passwd *pw = getpwuid((uid_t)uid);

	if (pw)
		ssi_table_cell(t, SSI_PLAIN, "%s", pw->pw_name);
	else
		ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)uid);
}

static enum ssi_color state_color(const char *state)
{
	return !strcmp(state, "running") ? SSI_GREEN : !strcmp(state, "away") || !strcmp(state, "stopped") ? SSI_YELLOW : SSI_DIM;
}

static void print_table(const json_t *jobs)
{
	static const struct ssi_column columns[] = {
		{ "JOB", true }, { "PID", true }, { "USER", false }, { "NODE", false }, { "STATE", false }, { "SINCE", true },
		{ "COMMAND", false }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	uint64_t now = ssi_clock_wall_ms();
	size_t i;
	const json_t *j;

	json_array_foreach((json_t *)jobs, i, j) {
		const char *state = ssi_json_str(j, "state"), *cause = ssi_json_str(j, "cause");
		uint64_t since = (uint64_t)ssi_json_int(j, *cause ? "ended" : "started");
		char age[24];

		ssi_table_cell(t, SSI_BOLD, "%lld", (long long)ssi_json_int(j, "job"));
		ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)ssi_json_int(j, "pid"));
		user_cell(t, ssi_json_int(j, "uid"));
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(j, "node"));
		ssi_table_cell(t, state_color(state), "%s", *cause ? cause : state);
		ssi_table_cell(t, SSI_PLAIN, "%s", since && now > since ? ssi_num_format_ms(age, sizeof(age), now - since) : "-");
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_json_str(j, "command"));
	}
	ssi_table_print(t, stdout, 0);
}

int verb_jobs(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = ask(a, "jobs", json_pack("{s:b}", "all", ssi_cmd_opt(a, "all") != NULL), ASK_TIMEOUT_MS, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	print_table(json_object_get(answer, "data"));
	return 0;
}
