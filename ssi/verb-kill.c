/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "kill": a signal to processes of nodes, by their numbers in the merged system. */
#include <signal.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/signals.h"
#include "libssi/model/proctable.h"
#include "ssi/ask.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_kill_opts[] = {
	{ "signal", 's', "SIGNAL", "this one, by name or number, instead of TERM; -SIGNAL does the same", NULL },
	{ 0 },
};

static int wrong_signal(const char *s)
{
	fprintf(stderr, "ssi: kill: no signal '%s'. See 'kill -l'\n", s);
	return 2;
}

static int send_one(struct ssi_control *c, uint32_t pid, int sig, json_t *results)
{
	_cleanup_json_ json_t *args = json_pack("{s:I, s:i}", "pid", (json_int_t)pid, "signal", sig), *answer = NULL;
	struct ssi_err e = { 0 };
	int r = ssi_control_call(c, "procs.signal", args, ASK_TIMEOUT_MS, NULL, NULL, &answer, &e);
	json_t *o = json_pack("{s:I}", "pid", (json_int_t)pid);

	if (r != 0)
		json_object_set_new(o, "error", ssi_control_text(e.text));
	json_array_append_new(results, o);
	return r;
}

static size_t print_errors(const json_t *results)
{
	size_t i, failed = 0;
	const json_t *o;

	json_array_foreach((json_t *)results, i, o) {
		if (!json_object_get(o, "error"))
			continue;
		fprintf(stderr, "ssi: kill: %s\n", ssi_json_str(o, "error"));
		failed++;
	}
	return failed;
}

static int kill_all(const struct ssi_cmd_args *a, int sig, int n, char **pids)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	_cleanup_json_ json_t *results = json_array();
	struct ssi_err e = { 0 };
	uint32_t pid;
	int r;

	for (int i = 0; i < n; i++)
		if (ssi_num_u32(pids[i], 2, SSI_PID_END - 1, &pid) < 0) {
			fprintf(stderr, "ssi: kill: '%s' is no number of a process (see ssi ps)\n", pids[i]);
			return 2;
		}
	r = ssi_control_open(ssi_cmd_opt(a, "socket"), &c, &e);
	if (r < 0)
		return ask_failed(NULL, &e);
	for (int i = 0; i < n && r >= 0; i++) {
		ssi_num_u32(pids[i], 0, UINT32_MAX, &pid);
		r = send_one(c, pid, sig, results);
	}
	if (ssi_cmd_json(a))
		ask_print_json(results);
	return print_errors(results) ? 1 : 0;
}

int verb_kill(struct ssi_cmd_args *a, int argc, char **argv)
{
	const char *name = ssi_cmd_opt(a, "signal");
	int sig;

	if (!name && argv[0][0] == '-') {
		name = argv[0] + 1;
		argv++;
		argc--;
	}
	sig = name ? ssi_signal_number(name) : SIGTERM;
	if (sig < 0)
		return wrong_signal(name);
	if (!argc) {
		fprintf(stderr, "ssi: kill: a process is missing. See 'ssi kill --help'\n");
		return 2;
	}
	return kill_all(a, sig, argc, argv);
}
