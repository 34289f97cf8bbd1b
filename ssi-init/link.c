/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links, addresses and routes by libmnl. Called by network.c. The events' socket is opened before the first list, so that no change falls between. */
#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include "libssi/base/cleanup.h"
#include "ssi-init/link.h"

struct link {
	struct mnl_socket *ask, *hear;
	unsigned sequence;
	char buf[32768];
};

void link_close(struct link *l)
{
	if (!l)
		return;
	if (l->ask)
		mnl_socket_close(l->ask);
	if (l->hear)
		mnl_socket_close(l->hear);
	free(l);
}

int link_open(struct link **ret, struct ssi_err *e)
{
	_cleanup_link_ struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return ssi_errno(e, -ENOMEM, "netlink");
	l->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	l->hear = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!l->ask || !l->hear || mnl_socket_bind(l->ask, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(l->hear, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
		return ssi_errno(e, -errno, "netlink socket");
	*ret = TAKE_PTR(l);
	return 0;
}

static struct nlmsghdr *link_request(struct link *l, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(l->buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++l->sequence;
	return h;
}

/*
 * A list during which a link came or went says so (NLM_F_DUMP_INTR), and libmnl ends it there with EINTR. It is read to its end instead: the change is
 * on the events' socket as well, and whoever waits for a link lists them again then.
 */
static void link_take_as_it_is(struct link *l, size_t n)
{
	struct nlmsghdr *h = (struct nlmsghdr *)l->buf;
	int left = (int)n;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		h->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
}

/* Send what is in l->buf and give the answers to cb. */
static int link_talk(struct link *l, struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
	unsigned port = mnl_socket_get_portid(l->ask);
	ssize_t n;
	int r;

	if (mnl_socket_sendto(l->ask, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(l->ask, l->buf, sizeof(l->buf));
		if (n < 0)
			return -errno;
		link_take_as_it_is(l, (size_t)n);
		r = mnl_cb_run(l->buf, (size_t)n, l->sequence, port, cb, data);
		if (r < 0)
			return -errno;
	} while (r > MNL_CB_STOP);
	return 0;
}

struct link_each {
	int (*each)(const struct link_info *i, void *userdata);
	void *userdata;
	int result;
};

static int link_message(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct link_info i = { .index = ifi->ifi_index, .loopback = ifi->ifi_flags & IFF_LOOPBACK,
			       .carrier = ifi->ifi_flags & IFF_LOWER_UP, .running = ifi->ifi_flags & IFF_RUNNING };
	struct link_each *le = data;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, h, sizeof(*ifi)) {
		const unsigned char *p = mnl_attr_get_payload(attr);

		if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			snprintf(i.name, sizeof(i.name), "%s", (const char *)p);
		if (mnl_attr_get_type(attr) == IFLA_ADDRESS && mnl_attr_get_payload_len(attr) == 6)
			snprintf(i.mac, sizeof(i.mac), "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
	}
	if (!le->result)
		le->result = le->each(&i, le->userdata);
	return MNL_CB_OK;       /* read to the end of the list whatever each() says */
}

int link_list(struct link *l, int (*each)(const struct link_info *i, void *userdata), void *userdata, struct ssi_err *e)
{
	struct nlmsghdr *h = link_request(l, RTM_GETLINK, NLM_F_DUMP);
	struct link_each le = { each, userdata, 0 };
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	int r;

	ifi->ifi_family = AF_UNSPEC;
	r = link_talk(l, h, link_message, &le);
	return r < 0 ? ssi_errno(e, r, "listing network interfaces") : le.result;
}

int link_set_up(struct link *l, int index, struct ssi_err *e)
{
	struct nlmsghdr *h = link_request(l, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	int r;

	ifi->ifi_index = index;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	r = link_talk(l, h, NULL, NULL);
	return r < 0 ? ssi_errno(e, r, "setting the interface up") : 0;
}

int link_add_address(struct link *l, int index, struct in_addr a, unsigned prefix, struct ssi_err *e)
{
	struct nlmsghdr *h = link_request(l, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));
	uint32_t broadcast = prefix < 31 ? a.s_addr | htonl(0xffffffffu >> prefix) : 0;
	int r;

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = (unsigned char)prefix;
	ifa->ifa_index = (unsigned)index;
	mnl_attr_put_u32(h, IFA_LOCAL, a.s_addr);
	mnl_attr_put_u32(h, IFA_ADDRESS, a.s_addr);
	if (broadcast)
		mnl_attr_put_u32(h, IFA_BROADCAST, broadcast);
	r = link_talk(l, h, NULL, NULL);
	return r < 0 ? ssi_errno(e, r, "setting the address") : 0;
}

int link_add_default_route(struct link *l, int index, struct in_addr gateway, struct ssi_err *e)
{
	struct nlmsghdr *h = link_request(l, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	int r;

	rt->rtm_family = AF_INET;
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = RTPROT_BOOT;
	rt->rtm_scope = RT_SCOPE_UNIVERSE;
	rt->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_GATEWAY, gateway.s_addr);
	mnl_attr_put_u32(h, RTA_OIF, (uint32_t)index);
	r = link_talk(l, h, NULL, NULL);
	return r < 0 ? ssi_errno(e, r, "setting the default route") : 0;
}

int link_wait(struct link *l, int timeout_ms, struct ssi_err *e)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(l->hear), .events = POLLIN };
	int r = poll(&p, 1, timeout_ms);

	if (r == 0)
		return -ETIMEDOUT;
	if (r < 0 && errno != EINTR)
		return ssi_errno(e, -errno, "netlink");
	/* Lost events (ENOBUFS) are a change too: the caller lists the links again. */
	(void)mnl_socket_recvfrom(l->hear, l->buf, sizeof(l->buf));
	return 0;
}
