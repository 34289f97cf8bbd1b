/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node drain", "node detach", "node accept": what an administrator decides about nodes. It is kept by the daemon, over boots and restarts. */
#include "libssi/comm/json.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

static void print_each(const json_t *list, const char *became, const char *was)
{
	const json_t *n;
	size_t i;

	json_array_foreach((json_t *)list, i, n)
		if (!*ssi_json_str(n, "error"))
			printf("%s: %s\n", ssi_json_str(n, "name"), json_is_true(json_object_get(n, "changed")) ? became : was);
}

static void print_drained(const json_t *list)
{
	print_each(list, "drained: what runs there goes on, nothing new is placed there", "was drained already");
}

static void print_detached(const json_t *list)
{
	print_each(list, "detached; it comes in again when it is accepted", "was detached already");
}

static void print_accepted(const json_t *list)
{
	print_each(list, "accepted", "was neither drained nor detached by hand");
}

int verb_node_drain(struct ssi_cmd_args *a, int argc, char **argv)
{
	return node_command(a, "node.drain", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, print_drained);
}

int verb_node_detach(struct ssi_cmd_args *a, int argc, char **argv)
{
	return node_command(a, "node.detach", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, print_detached);
}

int verb_node_accept(struct ssi_cmd_args *a, int argc, char **argv)
{
	return node_command(a, "node.accept", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, print_accepted);
}
