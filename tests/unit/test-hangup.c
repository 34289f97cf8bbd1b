/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections on loopback, in a network of the test's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "bootsvc/hangup.h"

#define PORT 13260

static int own_network(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return -1;
	close(fd);
	return 0;
}

static int listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* A client at an address of its own, and the server's end of it. */
static void call(int door, const char *from, int ret[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	inet_pton(AF_INET, from, &a.sin_addr);
	ret[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(ret[0], (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(connect(ret[0], (struct sockaddr *)&to, sizeof(to)), 0);
	ret[1] = accept(door, NULL, NULL);
	assert_true(ret[1] >= 0);
}

static bool lives(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);

	return n < 0 && errno == EAGAIN;
}

static void test_one_peer(void **state)
{
	struct in_addr peer;
	struct ssi_err e;
	int door = listener(), gone[2], stays[2], more[2], r;

	call(door, "127.0.0.2", gone);
	call(door, "127.0.0.3", stays);
	inet_pton(AF_INET, "127.0.0.2", &peer);
	r = hangup(&peer, 1, PORT, &e);
	if (r == -EOPNOTSUPP)
		skip();
	assert_int_equal(r, 1);
	assert_false(lives(gone[1]));
	assert_true(lives(stays[1]));
	assert_true(lives(stays[0]));
	/* Who listens goes on, for the same peer too. */
	call(door, "127.0.0.2", more);
	assert_true(lives(more[1]));
	assert_int_equal(hangup(NULL, 0, PORT, &e), 2);
	assert_false(lives(stays[1]));
	assert_false(lives(more[1]));
	assert_int_equal(hangup(NULL, 0, PORT, &e), 0);
	for (int i = 0; i < 2; i++) {
		close(gone[i]);
		close(stays[i]);
		close(more[i]);
	}
	close(door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_peer),
	};

	return cmocka_run_group_tests_name("hangup", tests, own_network, NULL);
}
