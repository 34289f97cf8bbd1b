/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "node failover", "node move": another machine plays a node from now on: a spare, or one that is named. The daemon does it; "node show" tells how far it is. */
#include "libssi/comm/json.h"
#include "libssi/model/mac.h"
#include "ssi/ask.h"
#include "ssi/node.h"
#include "ssi/verbs.h"

const struct ssi_opt verb_node_move_opts[] = {
	{ "to", 't', "MACHINE", "the machine, by the address of the interface it boots from", NULL },
	{ 0 },
};

static void print_ordered(const json_t *list)
{
	const json_t *n;
	size_t i;

	json_array_foreach((json_t *)list, i, n)
		if (!*ssi_json_str(n, "error"))
			printf("%s: a spare takes its place; 'ssi node show %s' tells how far it is\n", ssi_json_str(n, "name"), ssi_json_str(n, "name"));
}

int verb_node_failover(struct ssi_cmd_args *a, int argc, char **argv)
{
	return node_command(a, "node.failover", json_pack("{s:s}", "range", argv[0]), ASK_TIMEOUT_MS, print_ordered);
}

int verb_node_move(struct ssi_cmd_args *a, int argc, char **argv)
{
	const char *to = ssi_cmd_opt(a, "to");
	_cleanup_json_ json_t *answer = NULL;
	char mac[SSI_MAC_LEN];
	int r;

	if (!to || ssi_mac_parse(to, mac) < 0) {
		fprintf(stderr, to ? "ssi: '%s' is no machine's address: like 52:54:00:12:34:56\n" : "ssi: node move: where to? Say --to MACHINE ('ssi machine list')\n", to);
		return 2;
	}
	r = ask(a, "node.move", json_pack("{s:s, s:s}", "range", argv[0], "machine", mac), ASK_TIMEOUT_MS, &answer);
	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	printf("%s: moves to machine %s; 'ssi node show %s' tells how far it is\n", argv[0], mac, argv[0]);
	return 0;
}
