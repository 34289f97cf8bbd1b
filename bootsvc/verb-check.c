/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "check": runs the checks in this process, beside a running daemon or without one, and prints what they found and what to do. */
#include <stdio.h>
#include <string.h>

#include "bootsvc/check.h"
#include "bootsvc/config.h"
#include "bootsvc/verb-ask.h"
#include "bootsvc/verbs.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "libssi/model/wire.h"

#define STATUS_TIMEOUT_MS 3000

static void print_finding(const json_t *f)
{
	_cleanup_free_ char *text = strdup(ssi_json_str(f, "text")), *advice = strdup(ssi_json_str(f, "advice"));

	if (text)
		printf("%s\n", ssi_tty_clean(text, false));
	if (advice && *advice)
		printf("%*s→ %s\n", 21, "", ssi_tty_clean(advice, false));
}

static void print_check(const json_t *k, bool color)
{
	static const struct { const char *state, *word; enum ssi_color color; } words[] = {
		{ "ok", "ok", SSI_GREEN }, { "problem", "PROBLEM", SSI_RED }, { "unknown", "unknown", SSI_YELLOW },
	};
	const json_t *findings = json_object_get(k, "findings"), *f;
	const char *state = ssi_json_str(k, "state");
	size_t w = 0, i;

	while (strcmp(words[w].state, state) != 0)
		w++;
	printf("%s%-7s%s  ", ssi_tty_begin(words[w].color, color), words[w].word, ssi_tty_end(words[w].color, color));
	if (!json_array_size(findings))
		printf("%s\n", ssi_json_str(k, "check"));
	json_array_foreach((json_t *)findings, i, f) {
		printf("%*s%-10s  ", i ? 9 : 0, "", i ? "" : ssi_json_str(k, "check"));
		print_finding(f);
	}
}

static size_t count(const json_t *list, const char *state)
{
	size_t i, n = 0;
	const json_t *k;

	json_array_foreach((json_t *)list, i, k)
		n += strcmp(ssi_json_str(k, "state"), state) == 0;
	return n;
}

static void print_all(const json_t *list)
{
	bool color = ssi_tty_color(stdout);
	size_t i, problems = count(list, "problem"), unknown = count(list, "unknown");
	const json_t *k;

	json_array_foreach((json_t *)list, i, k)
		print_check(k, color);
	printf("\n%zu check%s, %zu with a problem", json_array_size(list), ssi_num_plural(json_array_size(list)), problems);
	if (unknown)
		printf(", %zu that could not be made", unknown);
	putchar('\n');
}

/* The process of a daemon that answers, or 0. */
static pid_t daemon_pid(const struct ssi_cmd_args *a)
{
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_free_ char *path = verb_socket(a);
	struct ssi_err e;

	if (ssi_control_ask(path, "status", NULL, STATUS_TIMEOUT_MS, &answer, &e) != 0)
		return 0;
	return (pid_t)ssi_json_int(json_object_get(json_object_get(answer, "data"), "daemon"), "pid");
}

static void print_names(FILE *to)
{
	for (const struct check *k = checks; k->name; k++)
		fprintf(to, "%s%s", k == checks ? "" : ", ", k->name);
}

int verb_check(struct ssi_cmd_args *a, int argc, char **argv)
{
	struct bootsvc_options o = {
		.config = verb_config_dir(a), .state = verb_state_dir(a), .run = verb_run_dir(a), .store = verb_store_dir(a),
		.exports = "nfsd", .dhcp = true, .http_port = BOOTSVC_HTTP_PORT, .ccm_port = SSI_WIRE_PORT,
	};
	struct check_context c = { .options = &o, .proc = "/proc", .sys = "/sys" };
	_cleanup_json_ json_t *list = NULL;

	config_read(o.config, NULL, &c.registry, &c.mistakes);
	c.daemon = daemon_pid(a);
	list = check_run(&c, argc ? argv[0] : NULL);
	ssi_registry_free(c.registry);
	ssi_buf_free(&c.mistakes);
	if (!list) {
		fprintf(stderr, "ssi-bootsvc: check: no check '%s'; there are ", argv[0]);
		print_names(stderr);
		fputc('\n', stderr);
		return 2;
	}
	if (ssi_cmd_json(a))
		verb_print_json(list);
	else
		print_all(list);
	return count(list, "problem") ? 1 : 0;
}
