/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "status": the daemon itself, and a line for each system. What a user of the merged system wants is in 'ssi status'. */
#include <stdio.h>

#include "bootsvc/verb-ask.h"
#include "bootsvc/verbs.h"
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"

static void print_daemon(const json_t *d)
{
	json_int_t started = ssi_json_int(d, "started"), now = (json_int_t)ssi_clock_wall_ms(), unbound = ssi_json_int(d, "unbound");
	bool on = ssi_tty_color(stdout);
	char up[24], rss[16];

	printf("ssi-bootsvc %s  %srunning%s  process %lld, up %s, %s resident\n", ssi_json_str(d, "version"),
	       ssi_tty_begin(SSI_GREEN, on), ssi_tty_end(SSI_GREEN, on), (long long)ssi_json_int(d, "pid"),
	       ssi_num_format_ms(up, sizeof(up), now > started ? (uint64_t)(now - started) : 0),
	       ssi_num_format_size(rss, sizeof(rss), (uint64_t)ssi_json_int(d, "rss")));
	printf("%lld machines known", (long long)ssi_json_int(d, "machines"));
	if (unbound)
		printf(", %lld of them bound to no node", (long long)unbound);
	putchar('\n');
}

static void print_systems(const json_t *systems)
{
	static const struct ssi_column columns[] = {
		{ "SYSTEM", false }, { "NODES", true }, { "JOINED", true }, { "BOOTING", true }, { "SUSPECT", true }, { "DETACHED", true },
		{ "FENCING", true }, { "FAILED", true }, { "OFF", true }, { "VIEW", true }, { NULL, false },
	};
	static const char *const keys[] = { "nodes", "joined", "booting", "suspect", "detached", "fencing", "failed", "off", "view" };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	size_t i;
	const json_t *s;

	json_array_foreach((json_t *)systems, i, s) {
		ssi_table_cell(t, SSI_BOLD, "%s", ssi_json_str(s, "name"));
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
			ssi_table_cell(t, SSI_PLAIN, "%lld", (long long)ssi_json_int(s, keys[k]));
	}
	putchar('\n');
	ssi_table_print(t, stdout, 0);
}

int verb_status(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *data, *systems;
	int r = verb_ask(a, "status", NULL, &answer);

	if (r != 0)
		return r;
	data = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		return verb_print_json(data);
	print_daemon(json_object_get(data, "daemon"));
	systems = json_object_get(data, "systems");
	if (json_array_size(systems))
		print_systems(systems);
	return 0;
}
