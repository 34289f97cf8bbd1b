/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of checks and what they report. Called by verb-check.c; the checks themselves are in check-NAME.c. */
#include "bootsvc/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libssi/comm/control.h"

const struct check checks[] = {
	{ "nodes.d", "mistakes in nodes.d, and nodes that cannot boot as they stand", check_config },
	{ "dhcp", "other DHCP servers on the provisioning network", check_dhcp },
	{ "ports", "programs that hold ports which ssi-bootsvc needs", check_ports },
	{ "firewall", "packet filters that keep machines from those ports", check_firewall },
	{ "modules", "kernel modules that are missing", check_modules },
	{ "tools", "programs and boot files that are missing", check_tools },
	{ "power", "fence agents and password files that nodes.d names", check_power },
	{ "images", "images of nodes that are missing, damaged or not readable", check_images },
	{ "shared", "shared folders that are missing or cannot be exported", check_shared },
	{ "nfsd", "too few NFS server threads for the nodes", check_nfsd },
	{ "tftp", "dnsmasq's limit of TFTP transfers at once", check_tftp },
	{ "arp", "the kernel's limit of neighbours", check_arp },
	{ "ipv6", "provisioning interfaces without IPv6, on which each boot takes 13 s longer", check_ipv6 },
	{ .name = NULL }
};

bool check_uses_disks(const struct check_context *c)
{
	for (size_t i = 0; c->registry && i < c->registry->n_nodes; i++)
		if (c->registry->nodes[i]->state || strcmp(c->registry->nodes[i]->root, "iscsi") == 0)
			return true;
	return false;
}

bool check_uses(const struct check_context *c, const char *root)
{
	for (size_t i = 0; c->registry && i < c->registry->n_nodes; i++)
		if (strcmp(c->registry->nodes[i]->root, root) == 0)
			return true;
	for (size_t i = 0; c->registry && strcmp(root, "nfs") == 0 && i < c->registry->n_systems; i++)
		if (*c->registry->systems[i]->shared)
			return true;
	return !c->registry || !c->registry->n_nodes;
}

__attribute__((format(printf, 3, 0)))
static void finding_add(struct check_report *r, const char *advice, const char *fmt, va_list ap)
{
	char *text = NULL;
	json_t *f;

	if (vasprintf(&text, fmt, ap) < 0)
		return;
	f = json_pack("{s:o*}", "text", ssi_control_text(text));
	if (advice)
		json_object_set_new(f, "advice", ssi_control_text(advice));
	json_array_append_new(r->findings, f);
	free(text);
}

void check_problem(struct check_report *r, const char *advice, const char *fmt, ...)
{
	va_list ap;

	r->problem = true;
	va_start(ap, fmt);
	finding_add(r, advice, fmt, ap);
	va_end(ap);
}

void check_unknown(struct check_report *r, const char *fmt, ...)
{
	va_list ap;

	r->unknown = true;
	va_start(ap, fmt);
	finding_add(r, NULL, fmt, ap);
	va_end(ap);
}

void check_note(struct check_report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finding_add(r, NULL, fmt, ap);
	va_end(ap);
}

static json_t *check_one(const struct check_context *c, const struct check *k)
{
	struct check_report r = { .findings = json_array() };

	k->run(c, &r);
	return json_pack("{s:s, s:s, s:s, s:o}", "check", k->name, "what", k->what, "state",
			 r.problem ? "problem" : r.unknown ? "unknown" : "ok", "findings", r.findings);
}

json_t *check_run(const struct check_context *c, const char *only)
{
	json_t *list = json_array();

	for (const struct check *k = checks; k->name; k++)
		if (!only || strcmp(only, k->name) == 0)
			json_array_append_new(list, check_one(c, k));
	if (json_array_size(list))
		return list;
	json_decref(list);
	return NULL;
}
