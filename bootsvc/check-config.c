/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nodes.d: its mistakes, and what is no mistake there but keeps nodes from booting here. */
#include <net/if.h>
#include <string.h>

#include "bootsvc/check.h"
#include "libssi/base/num.h"

static void mistakes(const struct check_context *c, struct check_report *r)
{
	_cleanup_free_ char *text = strdup(c->mistakes.data ? c->mistakes.data : "");
	char *save = NULL;
	bool first = true;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		check_problem(r, first ? "mend it, then run 'ssi-bootsvc reload'; until then the daemon goes on with what it read last" : NULL, "%s", line);
		first = false;
	}
}

static void systems(const struct check_context *c, struct check_report *r)
{
	for (size_t i = 0; i < c->registry->n_systems; i++) {
		const struct ssi_system *s = c->registry->systems[i];

		if (!if_nametoindex(s->interface))
			check_problem(r, "name the interface that leads to the machines ('ip link' lists them)",
				      "system %s: this host has no interface '%s'", s->name, s->interface);
	}
}

void check_config(const struct check_context *c, struct check_report *r)
{
	const struct ssi_registry *g = c->registry;

	if (!g) {
		mistakes(c, r);
		return;
	}
	if (!g->n_systems)
		check_problem(r, "write a [system NAME] section; ssi-nodes.d(5) has an example", "%s defines no system", c->options->config);
	else
		check_note(r, "%zu system%s, %zu node%s, %zu machine%s", g->n_systems, ssi_num_plural(g->n_systems), g->n_nodes,
			   ssi_num_plural(g->n_nodes), g->n_machines, ssi_num_plural(g->n_machines));
	systems(c, r);
}
