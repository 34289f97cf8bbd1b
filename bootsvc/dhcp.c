/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPDISCOVER written, DHCPOFFER read. Called by check-dhcp.c. Options that overflow into other fields (RFC 2131, 4.1) are not looked for. */
#include "bootsvc/dhcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define IP_HEADER 20
#define UDP_HEADER 8
#define BOOTP 236            /* the fixed fields, up to the cookie */
#define COOKIE 0x63825363u

enum { OP_REQUEST = 1, OP_REPLY = 2 };
enum { OPT_PAD = 0, OPT_MESSAGE = 53, OPT_SERVER = 54, OPT_PARAMETERS = 55, OPT_VENDOR = 60, OPT_ARCH = 93, OPT_END = 255 };
enum { MSG_DISCOVER = 1, MSG_OFFER = 2 };

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* RFC 1071 */
static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += get16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void headers_put(uint8_t *p, size_t n)
{
	p[0] = 0x45;
	put16(p + 2, (uint16_t)n);
	p[8] = 64;                               /* time to live */
	p[9] = IPPROTO_UDP;
	put32(p + 16, INADDR_BROADCAST);
	put16(p + 10, checksum(p, IP_HEADER));
	p += IP_HEADER;
	put16(p, DHCP_CLIENT_PORT);
	put16(p + 2, DHCP_SERVER_PORT);
	put16(p + 4, (uint16_t)(n - IP_HEADER)); /* its checksum stays 0: none, as IPv4 allows */
}

size_t dhcp_discover(const uint8_t mac[6], uint32_t xid, uint8_t ret[DHCP_PACKET_MAX])
{
	static const uint8_t options[] = {
		OPT_MESSAGE, 1, MSG_DISCOVER, OPT_PARAMETERS, 4, 1, 3, 54, 67,
		/* as a PXE machine, so that boot servers which only add to another's answer speak too */
		OPT_VENDOR, 20, 'P', 'X', 'E', 'C', 'l', 'i', 'e', 'n', 't', ':', 'A', 'r', 'c', 'h', ':', '0', '0', '0', '0', '0',
		OPT_ARCH, 2, 0, 0, OPT_END,
	};
	uint8_t *p = ret + IP_HEADER + UDP_HEADER;
	size_t n = IP_HEADER + UDP_HEADER + BOOTP + 4 + sizeof(options);

	if (n < 342)
		n = 342;                         /* some relays drop what is shorter than BOOTP's 300 bytes */
	memset(ret, 0, DHCP_PACKET_MAX);
	p[0] = OP_REQUEST;
	p[1] = 1;                                /* Ethernet */
	p[2] = 6;
	put32(p + 4, xid);
	put16(p + 10, 0x8000);                   /* answer by broadcast */
	memcpy(p + 28, mac, 6);
	put32(p + BOOTP, COOKIE);
	memcpy(p + BOOTP + 4, options, sizeof(options));
	headers_put(ret, n);
	return n;
}

/* Where the DHCP message is in an IPv4 packet, and how long; NULL when it is none to a client. */
static const uint8_t *message_find(const uint8_t *packet, size_t n, size_t *ret_len)
{
	size_t ip, udp;

	if (n < IP_HEADER || packet[0] >> 4 != 4)
		return NULL;
	ip = (packet[0] & 15) * 4u;
	if (ip < IP_HEADER || n < ip + UDP_HEADER || packet[9] != IPPROTO_UDP || get16(packet + 6) & 0x1fff)
		return NULL;
	udp = get16(packet + ip + 4);
	if (udp < UDP_HEADER || n < ip + udp || get16(packet + ip + 2) != DHCP_CLIENT_PORT)
		return NULL;
	*ret_len = udp - UDP_HEADER;
	return packet + ip + UDP_HEADER;
}

/* An option's value of at least min bytes, or NULL. */
static const uint8_t *option_find(const uint8_t *p, size_t n, uint8_t code, size_t min)
{
	size_t i = 0;

	while (i < n && p[i] != OPT_END) {
		if (p[i] == OPT_PAD) {
			i++;
			continue;
		}
		if (i + 2 > n || i + 2 + p[i + 1] > n)
			return NULL;
		if (p[i] == code)
			return p[i + 1] >= min ? p + i + 2 : NULL;
		i += 2u + p[i + 1];
	}
	return NULL;
}

int dhcp_parse_offer(const uint8_t *packet, size_t n, uint32_t xid, struct dhcp_offer *ret)
{
	size_t len = 0;
	const uint8_t *p = message_find(packet, n, &len), *type, *server;

	if (!p || len < BOOTP + 4 || p[0] != OP_REPLY || get32(p + 4) != xid || get32(p + BOOTP) != COOKIE)
		return -EBADMSG;
	type = option_find(p + BOOTP + 4, len - BOOTP - 4, OPT_MESSAGE, 1);
	server = option_find(p + BOOTP + 4, len - BOOTP - 4, OPT_SERVER, 4);
	if (!type || *type != MSG_OFFER)
		return -EBADMSG;
	memcpy(&ret->server, server ? server : packet + 12, 4);
	memcpy(&ret->address, p + 16, 4);
	return 0;
}
