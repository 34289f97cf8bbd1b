/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sock_diag by libmnl: list, then destroy what fits. Called by targets.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include "bootsvc/hangup.h"
#include "libssi/base/cleanup.h"

#define ALL_BUT_ASLEEP (~((1u << TCP_LISTEN) | (1u << TCP_TIME_WAIT) | (1u << TCP_CLOSE)))

struct lines {
	const struct in_addr *peers;
	size_t n_peers;
	uint16_t port;
	struct inet_diag_sockid *ids;
	size_t n;
};

static struct nlmsghdr *request(char *buf, uint16_t type, uint16_t flags, const struct inet_diag_sockid *id)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *q = mnl_nlmsg_put_extra_header(h, sizeof(*q));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	q->sdiag_family = AF_INET;
	q->sdiag_protocol = IPPROTO_TCP;
	q->idiag_states = ALL_BUT_ASLEEP;
	if (id)
		q->id = *id;
	return h;
}

static bool is_peer(const struct lines *l, in_addr_t address)
{
	for (size_t i = 0; i < l->n_peers; i++)
		if (l->peers[i].s_addr == address)
			return true;
	return !l->peers;
}

static int on_line(const struct nlmsghdr *h, void *userdata)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct lines *l = userdata;
	struct inet_diag_sockid *ids;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->id.idiag_sport != htons(l->port) || !is_peer(l, m->id.idiag_dst[0]))
		return MNL_CB_OK;
	ids = reallocarray(l->ids, l->n + 1, sizeof(*ids));
	if (!ids)
		return MNL_CB_ERROR;
	l->ids = ids;
	l->ids[l->n++] = m->id;
	return MNL_CB_OK;
}

/* Send, and read to the end of the answer. */
static int talk(struct mnl_socket *s, const struct nlmsghdr *h, mnl_cb_t fn, void *userdata)
{
	char buf[16384];
	ssize_t n;
	int r = mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? MNL_CB_ERROR : MNL_CB_OK;

	while (r == MNL_CB_OK) {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		r = n < 0 ? MNL_CB_ERROR : mnl_cb_run(buf, (size_t)n, 0, 0, fn, userdata);
	}
	return r == MNL_CB_ERROR ? -errno : 0;
}

static int destroy(struct mnl_socket *s, const struct lines *l)
{
	char buf[MNL_NLMSG_HDRLEN + sizeof(struct inet_diag_req_v2) + 64];
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		r = talk(s, request(buf, SOCK_DESTROY, NLM_F_ACK, &l->ids[i]), NULL, NULL);
		if (r == -ENOENT)        /* it ended by itself */
			r = 0;
	}
	return r < 0 ? r : (int)l->n;
}

int hangup(const struct in_addr *peers, size_t n, uint16_t port, struct ssi_err *e)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct lines l = { .peers = peers, .n_peers = n, .port = port };
	char buf[MNL_NLMSG_HDRLEN + sizeof(struct inet_diag_req_v2) + 64];
	int r = !s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;

	if (r == 0)
		r = talk(s, request(buf, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, NULL), on_line, &l);
	if (r == 0)
		r = destroy(s, &l);
	free(l.ids);
	if (s)
		mnl_socket_close(s);
	return r < 0 ? ssi_errno(e, r, "ending TCP connections to port %u", port) : r;
}
