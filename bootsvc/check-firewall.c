/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet filter, asked for each port that machines use on the provisioning interfaces. nft's rules, and iptables' where it has its own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bootsvc/check.h"
#include "bootsvc/packetfilter.h"
#include "libssi/base/spawn.h"
#include "libssi/comm/json.h"
#include "libssi/model/iscsi.h"

#define LIST_TIMEOUT_MS 10000
#define LIST_MAX (64u << 20)

struct filter { const char *program; char *argv[6]; int (*parse)(const char *text, json_t **ret, struct ssi_err *e); };

static void check_system(const struct check_context *c, const struct ssi_system *s, const json_t *rules, struct check_report *r)
{
	const struct { bool tcp; uint16_t port; const char *why; } ports[] = {
		{ false, 67, "DHCP" }, { false, 69, "TFTP" }, { true, c->options->http_port, "boot scripts" }, { true, c->options->ccm_port, "nodes" },
		{ true, 2049, "NFS" }, { true, SSI_ISCSI_PORT, "iSCSI" }, { false, 4011, "proxy DHCP" },
	};
	size_t n = sizeof(ports) / sizeof(*ports) - (s->dhcp != SSI_DHCP_PROXY);

	for (size_t i = 0; i < n; i++) {
		struct packetfilter_packet p = { .tcp = ports[i].tcp, .port = ports[i].port, .interface = s->interface };
		const char *where, *proto = p.tcp ? "tcp" : "udp";
		char advice[200];

		if ((p.port == SSI_ISCSI_PORT && !check_uses_disks(c)) || !packetfilter_drops(rules, &p, &where))
			continue;
		snprintf(advice, sizeof(advice), "let it in before the rule that drops it: 'iifname \"%s\" %s dport %u accept'", s->interface, proto, p.port);
		check_problem(r, advice, "%s drops %s port %u (%s) on %s", where, p.tcp ? "TCP" : "UDP", p.port, ports[i].why, s->interface);
	}
}

/* True when there were rules to look at. */
static bool check_filter(const struct check_context *c, const struct filter *f, struct check_report *r)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *rules = NULL;
	struct ssi_err e;

	if (!ssi_spawn_which(f->program))
		return false;
	if (ssi_spawn_read(f->argv, LIST_TIMEOUT_MS, LIST_MAX, &text, &e) < 0 || f->parse(text, &rules, &e) < 0) {
		check_unknown(r, "%s (run as root)", e.text);
		return true;
	}
	if (f->parse == packetfilter_parse_nft && ssi_spawn_which("iptables"))
		json_object_del(rules, "ip filter INPUT");       /* iptables' own, which it prints better than nft does */
	for (size_t i = 0; i < c->registry->n_systems; i++)
		check_system(c, c->registry->systems[i], rules, r);
	return true;
}

void check_firewall(const struct check_context *c, struct check_report *r)
{
	static const struct filter filters[] = {
		{ "nft", { "nft", "-j", "list", "ruleset" }, packetfilter_parse_nft },
		{ "iptables", { "iptables", "-S" }, packetfilter_parse_iptables },
	};
	bool any = false;

	if (!c->registry) {
		check_unknown(r, "nodes.d has mistakes");
		return;
	}
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		any |= check_filter(c, &filters[i], r);
	if (!any)
		check_note(r, "neither nft nor iptables is installed");
}
