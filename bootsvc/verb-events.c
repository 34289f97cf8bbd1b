/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "events": what happened, and with --follow what happens, a line each (with -o json an object a line). Following outlives the daemon:
 * when it restarts, the events since the last one seen come first.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "bootsvc/verb-ask.h"
#include "bootsvc/verbs.h"
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "libssi/model/nodelist.h"

#define LIMIT 100            /* without --since and --limit */
#define RETRY_MS 250         /* between two looks for a daemon that went away */

const struct ssi_opt verb_events_opts[] = {
	{ "follow", 'f', NULL, "go on, and print each as it happens", NULL },
	{ "node", 0, "RANGE", "only those of these nodes", "@node" },
	{ "since", 0, "ID", "only those after this one", NULL },
	{ "limit", 'n', "N", "the newest so many (100; with --since all)", NULL },
	{ 0 },
};

struct stream {
	bool json, color;
	json_int_t last;             /* id of the newest event printed */
};

static enum ssi_color kind_color(const char *kind)
{
	static const struct { const char *kind; enum ssi_color color; } colors[] = {
		{ "join", SSI_GREEN }, { "rejoin", SSI_GREEN }, { "boot", SSI_CYAN }, { "stage", SSI_DIM }, { "suspect", SSI_YELLOW },
		{ "detach", SSI_RED }, { "boot-failed", SSI_RED }, { "intrusion", SSI_RED }, { "image-missing", SSI_RED }, { "refuse", SSI_YELLOW },
		{ "node-event", SSI_YELLOW },
	};

	for (size_t i = 0; i < sizeof(colors) / sizeof(*colors); i++)
		if (strcmp(colors[i].kind, kind) == 0)
			return colors[i].color;
	return SSI_PLAIN;
}

static int on_event(const json_t *e, void *userdata)
{
	struct stream *s = userdata;
	const char *kind = ssi_json_str(e, "kind"), *who = ssi_json_str(e, "node");
	_cleanup_free_ char *text = strdup(ssi_json_str(e, "text"));
	char time[32];

	s->last = ssi_json_int(e, "id");
	if (s->json) {
		json_dumpf(e, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		if (!*who)
			who = ssi_json_str(e, "machine");
		printf("%s  %6lld  %s%-13s%s %-17s  %s\n", ssi_clock_format(time, sizeof(time), (uint64_t)ssi_json_int(e, "time")), (long long)s->last,
		       ssi_tty_begin(kind_color(kind), s->color), kind, ssi_tty_end(kind_color(kind), s->color), *who ? who : "-",
		       text ? ssi_tty_clean(text, false) : "");
	}
	return fflush(stdout) == 0 ? 0 : -errno;
}

/* One connection's worth. */
static int events_call(const char *path, json_t *args, bool follow, struct stream *s, json_t **ret_answer, struct ssi_err *e)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	int r = ssi_control_open(path, &c, e);

	return r < 0 ? r : ssi_control_call(c, "events", args, follow ? 0 : ASK_TIMEOUT_MS, on_event, s, ret_answer, e);
}

static bool went_away(int r)
{
	return r == -ECONNRESET || r == -ECONNREFUSED || r == -ENOENT;
}

static int events_run(const char *path, json_t *args, bool follow, struct stream *s)
{
	_cleanup_json_ json_t *answer = NULL;
	struct ssi_err e = { 0 };
	int r = events_call(path, args, follow, s, &answer, &e);
	bool told = false;

	while (follow && (r == -ECONNRESET || (told && went_away(r)))) {
		if (r == -ECONNRESET || !told)
			fprintf(stderr, "ssi-bootsvc: the daemon went away; waiting for it to come back\n");
		told = true;
		json_object_set_new(args, "since", json_integer(s->last));
		json_object_del(args, "limit");
		poll(NULL, 0, RETRY_MS);
		r = events_call(path, args, follow, s, &answer, &e);
	}
	return r == 0 ? 0 : r == -ECANCELED ? 1 : verb_ask_failed(answer, &e);
}

/* The request from the options; NULL after a message. */
static json_t *request(const struct ssi_cmd_args *a)
{
	const char *node = ssi_cmd_opt(a, "node"), *since = ssi_cmd_opt(a, "since"), *limit = ssi_cmd_opt(a, "limit");
	_cleanup_nodelist_ struct ssi_nodelist *nodes = NULL;
	uint64_t id = 0, n = LIMIT;
	struct ssi_err e = { 0 };
	json_t *args;

	if (node && ssi_nodelist_parse(node, &nodes, &e) < 0) {
		fprintf(stderr, "ssi-bootsvc: --node: %s\n", e.text);
		return NULL;
	}
	if (since && ssi_num_u64(since, 0, INT64_MAX, &id) < 0) {
		fprintf(stderr, "ssi-bootsvc: --since %s: the number of an event is expected (the second column)\n", since);
		return NULL;
	}
	if (limit && ssi_num_u64(limit, 0, INT32_MAX, &n) < 0) {
		fprintf(stderr, "ssi-bootsvc: --limit %s: a number is expected\n", limit);
		return NULL;
	}
	args = json_pack("{s:b, s:s*}", "follow", ssi_cmd_opt(a, "follow") != NULL, "node", node);
	if (since)
		json_object_set_new(args, "since", json_integer((json_int_t)id));
	if (limit || !since)
		json_object_set_new(args, "limit", json_integer((json_int_t)n));
	return args;
}

int verb_events(struct ssi_cmd_args *a, int argc, char **argv)
{
	struct stream s = { .json = ssi_cmd_json(a), .color = ssi_tty_color(stdout) };
	_cleanup_json_ json_t *args = request(a);
	_cleanup_free_ char *path = verb_socket(a);

	if (!args)
		return 2;
	s.last = ssi_json_int(args, "since");
	return events_run(path, args, ssi_cmd_opt(a, "follow") != NULL, &s);
}
