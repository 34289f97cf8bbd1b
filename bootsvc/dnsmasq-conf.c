/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dnsmasq's configuration from the registry. Called by dnsmasq.c. Choices that are not obvious, see doc/decisions.md:
 *  - a bound machine's lease is short, because only firmware and iPXE hold it and the address is reserved by its host line: a
 *    machine that takes another's place gets the address at once;
 *  - a lease of the pool is long, because iPXE does not renew it while a machine waits, and --no-ping offers an expired one to another;
 *  - replies are told apart by interface: dnsmasq sets its name as a tag in server and in proxy mode.
 */
#include <arpa/inet.h>
#include "bootsvc/dnsmasq-conf.h"

#define BOUND_LEASE "2m"
#define POOL_LEASE "12h"
#define LEASES_MAX 70000          /* more than there can be nodes, whatever their number now: another configuration is a restart */

static void conf_boot(const struct ssi_system *s, const char *master, uint16_t port, struct ssi_buf *to)
{
	/* iPXE says option 175 and puts the MAC in itself; EFI x86-64 is architecture 7, or 9 with old firmware (RFC 4578). */
	ssi_buf_addf(to, "dhcp-boot=tag:%s,tag:ipxe,http://%s:%u/boot/${netX/mac:hexhyp}\n", s->interface, master, port);
	ssi_buf_addf(to, "dhcp-boot=tag:%s,tag:!ipxe,tag:efi,snponly.efi\n", s->interface);
	ssi_buf_addf(to, "dhcp-boot=tag:%s,tag:!ipxe,tag:!efi,undionly.kpxe\n", s->interface);
}

static void conf_server(const struct ssi_system *s, const char *master, uint16_t port, struct ssi_buf *to)
{
	char a[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &s->netmask, mask, sizeof(mask));
	ssi_buf_addf(to, "dhcp-range=%s,static,%s,%s\n", inet_ntop(AF_INET, &s->network, a, sizeof(a)), mask, BOUND_LEASE);
	if (s->pool_first.s_addr)
		ssi_buf_addf(to, "dhcp-range=%s,%s,%s,%s\n", inet_ntop(AF_INET, &s->pool_first, a, sizeof(a)),
			     inet_ntop(AF_INET, &s->pool_last, last, sizeof(last)), mask, POOL_LEASE);
	/* iPXE's no-pxedhcp: nobody else on this network says what to boot, so it need not wait 3 s for a proxy. */
	ssi_buf_addf(to, "dhcp-option=tag:%s,encap:175,176,1b\n", s->interface);
	conf_boot(s, master, port, to);
}

/* Beside another DHCP server: it gives addresses, we say what to boot (PXE specification 2.1, 2.2). */
static void conf_proxy(const struct ssi_system *s, const char *master, uint16_t port, struct ssi_buf *to)
{
	static const struct { const char *arch, *binary; } firmware[] = {
		{ "x86PC", "undionly.kpxe" }, { "X86-64_EFI", "snponly.efi" }, { "BC_EFI", "snponly.efi" },
	};
	char a[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];

	ssi_buf_addf(to, "dhcp-range=%s,proxy,%s\n", inet_ntop(AF_INET, &s->network, a, sizeof(a)),
		     inet_ntop(AF_INET, &s->netmask, mask, sizeof(mask)));
	for (size_t i = 0; i < sizeof(firmware) / sizeof(*firmware); i++) {
		ssi_buf_addf(to, "pxe-service=tag:%s,tag:ipxe,%s,\"ssi\",http://%s:%u/boot/${netX/mac:hexhyp}\n", s->interface, firmware[i].arch,
			     master, port);
		ssi_buf_addf(to, "pxe-service=tag:%s,tag:!ipxe,%s,\"ssi\",%s\n", s->interface, firmware[i].arch, firmware[i].binary);
	}
	conf_boot(s, master, port, to);
}

int dnsmasq_conf(const struct ssi_registry *reg, const struct dnsmasq_paths *p, struct ssi_buf *ret)
{
	bool server = false;

	ssi_buf_adds(ret, "# Written by ssi-bootsvc; what stands here is lost at its next start.\nport=0\nno-ping\nbind-dynamic\nexcept-interface=lo\n");
	ssi_buf_addf(ret, "dhcp-hostsdir=%s\ndhcp-leasefile=%s\n", p->hosts, p->leases);
	ssi_buf_addf(ret, "dhcp-lease-max=%d\n", LEASES_MAX);
	ssi_buf_addf(ret, "enable-tftp\ntftp-root=%s\ntftp-no-fail\ntftp-max=500\n", p->tftp);
	ssi_buf_adds(ret, "dhcp-match=set:ipxe,175\ndhcp-match=set:efi,option:client-arch,7\ndhcp-match=set:efi,option:client-arch,9\n");
	for (size_t i = 0; i < reg->n_systems; i++) {
		const struct ssi_system *s = reg->systems[i];
		char master[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &s->master, master, sizeof(master));
		ssi_buf_addf(ret, "\n# system %s\ninterface=%s\n", s->name, s->interface);
		if (s->dhcp == SSI_DHCP_SERVER)
			conf_server(s, master, p->http_port, ret);
		else
			conf_proxy(s, master, p->http_port, ret);
		server = server || s->dhcp == SSI_DHCP_SERVER;
	}
	if (server)
		ssi_buf_adds(ret, "\ndhcp-authoritative\n");
	return ret->err;
}

int dnsmasq_host(const struct ssi_node *n, const char *mac, struct ssi_buf *ret)
{
	char a[INET_ADDRSTRLEN];

	return ssi_buf_addf(ret, "%s,%s,%s," BOUND_LEASE "\n", mac, inet_ntop(AF_INET, &n->address, a, sizeof(a)), n->name);
}
