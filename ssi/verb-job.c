/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "job show", "job kill", "job signal": one job, by its number or its pid. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/signals.h"
#include "ssi/ask.h"
#include "ssi/verbs.h"

static void line(const char *what, const char *value)
{
	if (*value)
		printf("%-12s %s\n", what, value);
}

static void line_time(const char *what, json_int_t ms)
{
	char buf[32];

	line(what, ms ? ssi_clock_format(buf, sizeof(buf), (uint64_t)ms) : "");
}

static void print_record(const json_t *j)
{
	json_int_t signal = ssi_json_int(j, "signal");
	char size[16];

	line_time("ended", ssi_json_int(j, "ended"));
	printf("%-12s %s", "because", ssi_json_str(j, "cause"));
	if (signal)
		printf(", signal %lld (%s)%s\n", (long long)signal, strsignal((int)signal), json_is_true(json_object_get(j, "core")) ? ", core dumped" : "");
	else
		printf(", status %lld\n", (long long)ssi_json_int(j, "status"));
	line("", ssi_json_str(j, "text"));
	printf("%-12s %.3f s user, %.3f s system, %s at most\n", "used", json_number_value(json_object_get(j, "user")), json_number_value(json_object_get(j, "system")),
	       ssi_num_format_size(size, sizeof(size), (uint64_t)ssi_json_int(j, "max_rss")));
}

int verb_job_show(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = ask(a, "job.show", json_pack("{s:s}", "job", argv[0]), ASK_TIMEOUT_MS, &answer);
	const json_t *j;

	if (r != 0)
		return r;
	j = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		return ask_print_json(j);
	printf("%-12s %lld, pid %lld\n", "job", (long long)ssi_json_int(j, "job"), (long long)ssi_json_int(j, "pid"));
	line("command", ssi_json_str(j, "command"));
	printf("%-12s %s, incarnation %lld\n", "node", ssi_json_str(j, "node"), (long long)ssi_json_int(j, "incarnation"));
	printf("%-12s %lld\n", "uid", (long long)ssi_json_int(j, "uid"));
	line("state", ssi_json_str(j, "state"));
	line_time("started", ssi_json_int(j, "started"));
	line("stdout", ssi_json_str(j, "stdout"));
	line("stderr", ssi_json_str(j, "stderr"));
	if (*ssi_json_str(j, "cause"))
		print_record(j);
	return 0;
}

/* To each of them; the last failure counts. */
static int signal_all(struct ssi_cmd_args *a, int number, int argc, char **argv)
{
	int failed = 0;

	for (int i = 0; i < argc; i++) {
		_cleanup_json_ json_t *answer = NULL;
		int r = ask(a, "job.signal", json_pack("{s:s, s:i}", "job", argv[i], "signal", number), ASK_TIMEOUT_MS, &answer);

		if (r == 0 && json_is_true(json_object_get(json_object_get(answer, "data"), "waits")))
			fprintf(stderr, "ssi: job %s: its node cannot be reached now; the signal waits\n", argv[i]);
		failed = r ? r : failed;
	}
	return failed;
}

int verb_job_kill(struct ssi_cmd_args *a, int argc, char **argv)
{
	return signal_all(a, SIGKILL, argc, argv);
}

int verb_job_signal(struct ssi_cmd_args *a, int argc, char **argv)
{
	int number = ssi_signal_number(argv[0]);

	if (number <= 0) {
		fprintf(stderr, "ssi: job signal: '%s' is no signal (see 'kill -l')\n", argv[0]);
		return 2;
	}
	return signal_all(a, number, argc - 1, argv + 1);
}
