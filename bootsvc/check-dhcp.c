/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who answers DHCP on the provisioning network besides us: a DHCPDISCOVER goes out on a packet socket, and all that answer in a few
 * seconds are listed. What this host sends that way does not come to its own dnsmasq, so whoever answers is foreign.
 * A server that knows only its own machines and passes over ours is not found.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bootsvc/check.h"
#include "bootsvc/dhcp.h"
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"

#define WAIT_MS 4500         /* a server may try the address with pings for 3 s before it offers it */
#define AGAIN_MS 1500        /* ask once more, should the first have been lost */
#define SERVERS_MAX 16

struct server { struct in_addr id, address; uint8_t mac[6]; };

struct probe {
	int fd, index;
	uint8_t mac[6];
	uint32_t xid;
	struct server servers[SERVERS_MAX];
	size_t n;
};

/* Only UDP to the client's port comes through: a busy network must not fill the socket. Offsets count from the IPv4 header. */
static int filter_set(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 4),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_CLIENT_PORT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, DHCP_PACKET_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(*code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

static int probe_open(struct probe *p, const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ifreq ifr = { 0 };
	int r;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(p->mac, ifr.ifr_hwaddr.sa_data, sizeof(p->mac));
	if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		return -errno;
	p->index = ll.sll_ifindex = ifr.ifr_ifindex;
	r = filter_set(fd);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0)
		return -errno;
	p->fd = TAKE_FD(fd);
	return ssi_hash_random(&p->xid, sizeof(p->xid));
}

static int probe_ask(struct probe *p)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = p->index, .sll_halen = 6,
		.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	uint8_t packet[DHCP_PACKET_MAX];
	size_t n = dhcp_discover(p->mac, p->xid, packet);

	return sendto(p->fd, packet, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static void probe_receive(struct probe *p)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	uint8_t packet[DHCP_PACKET_MAX];
	struct dhcp_offer offer;
	ssize_t n = recvfrom(p->fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);

	if (n < 0 || dhcp_parse_offer(packet, (size_t)n, p->xid, &offer) < 0 || p->n == SERVERS_MAX)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (p->servers[i].id.s_addr == offer.server.s_addr)
			return;
	p->servers[p->n] = (struct server){ .id = offer.server, .address = offer.address };
	memcpy(p->servers[p->n++].mac, from.sll_addr, 6);
}

static int probe_run(struct probe *p)
{
	uint64_t start = ssi_clock_mono_ms(), now = start, again = start + AGAIN_MS;
	int r = probe_ask(p);

	while (r >= 0 && now < start + WAIT_MS) {
		struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
		uint64_t until = again ? again : start + WAIT_MS;

		if (poll(&pfd, 1, until > now ? (int)(until - now) : 0) > 0)
			probe_receive(p);
		now = ssi_clock_mono_ms();
		if (again && now >= again) {
			again = 0;
			r = probe_ask(p);
		}
	}
	return r;
}

static void server_report(const struct ssi_system *s, const struct server *v, struct check_report *r)
{
	char id[INET_ADDRSTRLEN], address[INET_ADDRSTRLEN], who[96], advice[160];

	inet_ntop(AF_INET, &v->id, id, sizeof(id));
	inet_ntop(AF_INET, &v->address, address, sizeof(address));
	snprintf(who, sizeof(who), "%s: %s (%02x:%02x:%02x:%02x:%02x:%02x)", s->interface, id, v->mac[0], v->mac[1], v->mac[2], v->mac[3], v->mac[4], v->mac[5]);
	snprintf(advice, sizeof(advice), "switch it off on this network, or set 'dhcp = proxy' in [system %s] and let it give the addresses", s->name);
	if (!v->address.s_addr)
		check_problem(r, "switch its network boot off on this network: machines would boot from it or from here, by chance",
			      "%s is another boot server (proxy DHCP)", who);
	else if (s->dhcp == SSI_DHCP_PROXY)
		check_note(r, "%s gives the addresses, as dhcp = proxy expects", who);
	else
		check_problem(r, advice, "%s is another DHCP server and offers %s: machines take whichever answers first", who, address);
}

static void system_report(const struct ssi_system *s, const struct probe *p, struct check_report *r)
{
	size_t givers = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->servers[i].id.s_addr == s->master.s_addr)
			continue;
		givers += p->servers[i].address.s_addr != 0;
		server_report(s, &p->servers[i], r);
	}
	if (s->dhcp == SSI_DHCP_PROXY && !givers)
		check_problem(r, "start the DHCP server of this network, or set 'dhcp = server' to let this host give the addresses",
			      "%s: no DHCP server answers, and with dhcp = proxy nobody else gives addresses", s->interface);
	else if (s->dhcp == SSI_DHCP_SERVER && !givers)
		check_note(r, "%s: nobody else answers", s->interface);
}

static void check_system(const struct ssi_system *s, struct check_report *r)
{
	struct probe p = { .fd = -1 };
	int e = probe_open(&p, s->interface);

	if (e >= 0)
		e = probe_run(&p);
	if (e == -EPERM || e == -EACCES)
		check_unknown(r, "%s: sending on a network takes root", s->interface);
	else if (e == -ENETDOWN)
		check_problem(r, "run 'ip link set IFACE up', and look at the cable", "%s is down", s->interface);
	else if (e == -ENODEV || e == -ENXIO)
		check_unknown(r, "%s: no such interface", s->interface);
	else if (e < 0)
		check_unknown(r, "%s: %s", s->interface, strerror(-e));
	else
		system_report(s, &p, r);
	if (p.fd >= 0)
		close(p.fd);
}

void check_dhcp(const struct check_context *c, struct check_report *r)
{
	if (!c->registry) {
		check_unknown(r, "nodes.d has mistakes");
		return;
	}
	for (size_t i = 0; i < c->registry->n_systems; i++)
		check_system(c->registry->systems[i], r);
}
