/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* As much of DHCP (RFC 2131, 2132) as it takes to ask who answers on a segment, as whole IPv4 packets. Pure. */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_PACKET_MAX 1500
#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68

struct dhcp_offer {
	struct in_addr server;       /* its identifier (option 54), else where the packet came from */
	struct in_addr address;      /* what it offers; 0: nothing but boot information (a proxy) */
};

/* A DHCPDISCOVER as a booting machine with this MAC sends it, from 0.0.0.0 to 255.255.255.255, to be answered by broadcast. Returns its length. */
size_t dhcp_discover(const uint8_t mac[6], uint32_t xid, uint8_t ret[DHCP_PACKET_MAX]);
/* An IPv4 packet: the DHCPOFFER to this xid? 0, or -EBADMSG for anything else. */
int dhcp_parse_offer(const uint8_t *packet, size_t n, uint32_t xid, struct dhcp_offer *ret);
