/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-init/link: a list of links as the kernel gives it while links come and go. The two calls that meet the kernel are the test's own. */
#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <libmnl/libmnl.h>
#include "ssi-init/link.h"

static unsigned sequence, port, answers;

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *req, size_t size)
{
	sequence = ((const struct nlmsghdr *)req)->nlmsg_seq;
	port = mnl_socket_get_portid(s);
	answers = 0;
	return (ssize_t)size;
}

static struct nlmsghdr *message(void *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_MULTI | flags;
	h->nlmsg_seq = sequence;
	h->nlmsg_pid = port;
	return h;
}

/* Two links; between them something changed, which the kernel says from there on. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t size)
{
	static const uint8_t mac[] = { 0x52, 0x54, 0, 0, 0, 1 };
	struct nlmsghdr *h = message(buf, answers < 2 ? RTM_NEWLINK : NLMSG_DONE, answers > 0 ? NLM_F_DUMP_INTR : 0);
	struct ifinfomsg *ifi;

	if (answers++ == 2) {
		*(int *)mnl_nlmsg_put_extra_header(h, sizeof(int)) = 0;
		return h->nlmsg_len;
	}
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_index = (int)answers;
	ifi->ifi_flags = answers == 1 ? IFF_LOOPBACK | IFF_UP : IFF_UP | IFF_LOWER_UP;
	mnl_attr_put_strz(h, IFLA_IFNAME, answers == 1 ? "lo" : "eth0");
	if (answers == 2)
		mnl_attr_put(h, IFLA_ADDRESS, sizeof(mac), mac);
	return h->nlmsg_len;
}

struct seen { int n; struct link_info last; };

static int look(const struct link_info *i, void *userdata)
{
	struct seen *s = userdata;

	s->n++;
	s->last = *i;
	return 0;
}

static void a_list_while_links_come(void **state)
{
	struct seen s = { 0 };
	struct link *l = NULL;
	struct ssi_err e = { 0 };

	assert_int_equal(link_open(&l, &e), 0);
	assert_int_equal(link_list(l, look, &s, &e), 0);
	assert_int_equal(answers, 3);            /* read to its end: nothing of it is left for the next request */
	assert_int_equal(s.n, 2);
	assert_string_equal(s.last.name, "eth0");
	assert_string_equal(s.last.mac, "52:54:00:00:00:01");
	assert_int_equal(s.last.index, 2);
	assert_true(s.last.carrier);
	assert_false(s.last.running);
	assert_false(s.last.loopback);
	link_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_while_links_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
