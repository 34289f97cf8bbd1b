/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers router solicitations on the provisioning interfaces. Called by the daemon at start and reload. It needs CAP_NET_RAW and a link-local
 * address on the interface; where IPv6 is off it says so once.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bootsvc/ra.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"

#define RA_AGAIN_US (5ull * 1000 * 1000)     /* an interface that is not there yet */
#define RA_READS 64                          /* solicitations for one answer, before the loop has other work again */
#define RA_HOPS 255                          /* RFC 4861, 6.1: proof that it comes from the link */

struct ra_link { char name[IF_NAMESIZE]; int fd; bool told; sd_event_source *io; };

struct ra {
	struct daemon *daemon;
	sd_event_source *again;
	struct ra_link *links;
	size_t n;
};

static int on_solicitation(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct ra_link *l = userdata;
	struct sockaddr_in6 all_nodes = { .sin6_family = AF_INET6, .sin6_addr = { { { 0xff, 2, [15] = 1 } } }, .sin6_scope_id = if_nametoindex(l->name) };
	struct nd_router_advert ra = { .nd_ra_hdr = { .icmp6_type = ND_ROUTER_ADVERT } };   /* hop limit, lifetime, timers: 0 = nothing said */
	uint8_t asked[256];
	bool any = false;
	ssize_t n = 0;

	/* One answer for all that have asked by now; whoever asks without end is not heard to the end. */
	for (unsigned i = 0; i < RA_READS && (n = recv(fd, asked, sizeof(asked), 0)) > 0; i++)
		any = any || asked[0] == ND_ROUTER_SOLICIT;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		log_debug("router solicitations on %s: %m", l->name);
	if (any && sendto(fd, &ra, sizeof(ra), 0, (struct sockaddr *)&all_nodes, sizeof(all_nodes)) < 0)
		log_debug("router advertisement on %s: %m", l->name);
	return 0;
}

static int socket_open(const char *name)
{
	struct ipv6_mreq all_routers = { .ipv6mr_multiaddr = { { { 0xff, 2, [15] = 2 } } }, .ipv6mr_interface = if_nametoindex(name) };
	_cleanup_close_ int fd = -1;
	struct icmp6_filter filter;
	int hops = RA_HOPS, off = 0;

	if (!all_routers.ipv6mr_interface)
		return -ENODEV;
	fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	if (fd < 0 || setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof(off)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &all_routers.ipv6mr_interface, sizeof(all_routers.ipv6mr_interface)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &all_routers, sizeof(all_routers)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* 1 = try again later. */
static int link_open(struct ra *ra, struct ra_link *l)
{
	int r;

	if (l->fd >= 0)
		return 0;
	l->fd = socket_open(l->name);
	if (l->fd >= 0) {
		r = sd_event_add_io(ra->daemon->event, &l->io, l->fd, EPOLLIN, on_solicitation, l);
		return r < 0 ? r : 0;
	}
	if (!l->told)
		log_warning("%s: no IPv6 on it (%s): machines with iPXE wait about 13 s for a router at each boot", l->name, strerror(-l->fd));
	l->told = true;
	return l->fd == -ENODEV;
}

static void links_open(struct ra *ra)
{
	bool again = false;

	for (size_t i = 0; i < ra->n; i++)
		again = link_open(ra, &ra->links[i]) > 0 || again;
	if (again) {
		sd_event_source_set_time_relative(ra->again, RA_AGAIN_US);
		sd_event_source_set_enabled(ra->again, SD_EVENT_ONESHOT);
	}
}

static void links_close(struct ra *ra)
{
	for (size_t i = 0; i < ra->n; i++) {
		sd_event_source_disable_unref(ra->links[i].io);
		ssi_cleanup_close(&ra->links[i].fd);
	}
	free(ra->links);
	ra->links = NULL;
	ra->n = 0;
}

static bool same_links(const struct ra *ra, const struct ssi_registry *reg)
{
	for (size_t i = 0; i < reg->n_systems && ra->n == reg->n_systems; i++)
		if (strcmp(ra->links[i].name, reg->systems[i]->interface) != 0)
			return false;
	return ra->n == reg->n_systems;
}

void ra_registry_changed(struct ra *ra)
{
	const struct ssi_registry *reg;

	if (!ra)
		return;
	reg = ra->daemon->registry;
	if (same_links(ra, reg))
		return;
	links_close(ra);
	ra->links = calloc(reg->n_systems + 1, sizeof(*ra->links));
	for (; ra->links && ra->n < reg->n_systems; ra->n++) {
		ra->links[ra->n].fd = -1;
		snprintf(ra->links[ra->n].name, IF_NAMESIZE, "%s", reg->systems[ra->n]->interface);
	}
	links_open(ra);
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
	links_open(userdata);
	return 0;
}

int ra_new(struct daemon *d, struct ra **ret)
{
	struct ra *ra = calloc(1, sizeof(*ra));
	int r;

	if (!ra)
		return -ENOMEM;
	ra->daemon = d;
	r = sd_event_add_time_relative(d->event, &ra->again, CLOCK_MONOTONIC, 0, 100000, on_again, ra);
	if (r >= 0)
		r = sd_event_source_set_enabled(ra->again, SD_EVENT_OFF);
	if (r < 0) {
		ra_free(ra);
		return r;
	}
	*ret = ra;
	return 0;
}

void ra_free(struct ra *ra)
{
	if (!ra)
		return;
	links_close(ra);
	sd_event_source_disable_unref(ra->again);
	free(ra);
}
