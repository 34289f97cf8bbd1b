/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "reload": the daemon reads nodes.d again and changes what differs. With a mistake in it nothing changes, and every mistake is printed. */
#include <stdio.h>

#include "bootsvc/verb-ask.h"
#include "bootsvc/verbs.h"
#include "libssi/base/num.h"

int verb_reload(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *data;
	long long systems, nodes, machines;
	char ms[24];
	int r = verb_ask(a, "reload", NULL, &answer);

	if (r != 0)
		return r;
	data = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		return verb_print_json(data);
	systems = ssi_json_int(data, "systems");
	nodes = ssi_json_int(data, "nodes");
	machines = ssi_json_int(data, "machines");
	printf("%lld system%s, %lld node%s, %lld machine%s: %lld added, %lld removed, %lld changed (%s)\n",
	       systems, ssi_num_plural(systems), nodes, ssi_num_plural(nodes), machines, ssi_num_plural(machines),
	       (long long)ssi_json_int(data, "added"), (long long)ssi_json_int(data, "removed"), (long long)ssi_json_int(data, "changed"),
	       ssi_num_format_ms(ms, sizeof(ms), (uint64_t)ssi_json_int(data, "ms")));
	return 0;
}
