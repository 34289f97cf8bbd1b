/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-bootsvc: the master's daemon and the verbs that talk to it. This file is the table of verbs; each is a file of its own.
 */
#include <stddef.h>
#include "bootsvc/verbs.h"

static const struct ssi_cmd cmds[] = {
	{ "start", "", 0, 0, verb_start, "Run the daemon: boot services, membership, exports", verb_start_opts, NULL, 0 },
	{ "stop", "", 0, 0, verb_stop, "End the daemon; nodes go on running and come back to the next one", NULL, NULL, 0 },
	{ "reload", "", 0, 0, verb_reload, "Read nodes.d again and change what differs; with a mistake in it, nothing", NULL, NULL, 0 },
	{ "status", "", 0, 0, verb_status, "Show the daemon and a line for each system", NULL, NULL, 0 },
	{ "check", "[CHECK]", 0, 1, verb_check, "Look for what stands in the way of machines booting from here, and say what to do", NULL, NULL, 0 },
	{ "events", "", 0, 0, verb_events, "Show what happened: boots, joins, detaches, failures", verb_events_opts, NULL, 0 },
	{ 0 },
};

static const struct ssi_opt opts[] = {
	{ "config", 0, "DIR", "nodes.d, read in name order (" SSI_SYSCONFDIR "/nodes.d)", "@dir" },
	{ "state", 0, "DIR", "what outlives a restart (" SSI_STATEDIR ")", "@dir" },
	{ "run", 0, "DIR", "the control socket and generated files (" SSI_RUNDIR ")", "@dir" },
	{ "store", 0, "DIR", "images (" SSI_STATEDIR "/images)", "@dir" },
	SSI_OPT_OUTPUT,
	{ 0 },
};

static const struct ssi_program program = { "ssi-bootsvc", "serves boots to machines and holds the membership of nodes", cmds, opts };

static const char *opt_or(const struct ssi_cmd_args *a, const char *name, const char *builtin)
{
	const char *v = ssi_cmd_opt(a, name);

	return v ? v : builtin;
}

const char *verb_config_dir(const struct ssi_cmd_args *a) { return opt_or(a, "config", SSI_SYSCONFDIR "/nodes.d"); }
const char *verb_state_dir(const struct ssi_cmd_args *a) { return opt_or(a, "state", SSI_STATEDIR); }
const char *verb_run_dir(const struct ssi_cmd_args *a) { return opt_or(a, "run", SSI_RUNDIR); }
const char *verb_store_dir(const struct ssi_cmd_args *a) { return opt_or(a, "store", SSI_STATEDIR "/images"); }

int main(int argc, char **argv)
{
	return ssi_cmd_main(&program, argc, argv);
}
