/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node-carry give BLOBS, node-carry take BLOBS ADDRESS PORT: blobs go from one node to another (doc/jobs.md, "To many nodes"). Started by the agent on the
 * master's word, a process for each side, as a transfer may take long and may fail.
 *
 * On standard input: a key of 32 bytes, and for each blob its digest, to be taken with its size behind it (u64, little-endian). give listens, says the port
 * in a line, and answers those who have the key, about these blobs and no others, until nobody has asked for a minute. The connection is TLS with that key;
 * the taker says a digest, the giver its size (all ones: it is not here) and the bytes. What came is compared with its digest before it is a blob.
 *
 * Exit status of take: 0 all are here now; 1 not. What is missing the taker's keeper asks of the master, as ever.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/num.h"
#include "libssi/comm/sock.h"
#include "ssi-agent/carriers.h"
#include "ssi-agent/carry.h"

#define CARRY_IDLE_MS 60000u             /* so long nobody asked: who was told of us has come, or will not */
#define CARRY_TAKERS 4                   /* at a time */

static int carry_read(struct carry *c, bool sizes)
{
	const size_t each = sizes ? sizeof(struct item) : SSI_HASH_BYTES;

	c->items = calloc(CARRIERS_BLOBS, sizeof(*c->items));
	if (!c->items || ssi_fd_read_full(0, c->key, sizeof(c->key)) != sizeof(c->key))
		return -EINVAL;
	while (c->n < CARRIERS_BLOBS && ssi_fd_read_full(0, &c->items[c->n], each) == (ssize_t)each) {
		c->items[c->n].size = le64toh(c->items[c->n].size);
		c->n++;
	}
	return 0;
}

/* --- the giver --- */

static int give(struct carry *c)
{
	struct ssi_err e;
	_cleanup_close_ int door = ssi_sock_listen((struct in_addr){ htonl(INADDR_ANY) }, 0, &e);
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);
	uint64_t asked = ssi_clock_mono_ms();
	unsigned takers = 0;

	if (door < 0 || getsockname(door, (struct sockaddr *)&a, &n) < 0)
		return 1;
	printf("%u\n", ntohs(a.sin_port));
	fclose(stdout);
	while (takers || ssi_clock_mono_ms() - asked < CARRY_IDLE_MS) {
		struct pollfd p = { .fd = takers < CARRY_TAKERS ? door : -1, .events = POLLIN };
		struct in_addr who;
		int fd = poll(&p, 1, 500) > 0 ? ssi_sock_accept(door, &who) : -1;

		if (fd >= 0) {
			pid_t pid = fork();

			if (pid == 0) {
				carry_give(c, fd);
				_exit(0);
			}
			takers += pid > 0;
			close(fd);
			asked = ssi_clock_mono_ms();
		}
		while (takers && waitpid(-1, NULL, WNOHANG) > 0)
			takers--;
	}
	return 0;
}

/* --- the taker --- */

static int take_connect(struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	int fd = ssi_sock_connect(addr, port, e), r;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return fd;
	r = poll(&p, 1, CARRY_WAIT_MS) > 0 ? ssi_sock_error(fd, addr, port, e) : ssi_errf(e, -ETIMEDOUT, "nobody answers");
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int take(const struct carry *c, struct in_addr addr, uint16_t port)
{
	struct ssi_err e;
	_cleanup_close_ int fd = take_connect(addr, port, &e);
	int r = fd < 0 ? fd : carry_take(c, fd, &e);

	if (r < 0)
		fprintf(stderr, "node-carry: %s:%u: %s\n", inet_ntoa(addr), port, e.text);
	else
		fprintf(stderr, "node-carry: %zu file%s taken from %s\n", c->n, ssi_num_plural(c->n), inet_ntoa(addr));
	return r < 0;
}

int main(int argc, char **argv)
{
	struct carry c = { .blobs = argc > 2 ? argv[2] : NULL };
	struct in_addr addr;
	uint32_t port;
	int r = 2;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "give") && carry_read(&c, false) == 0)
		r = give(&c);
	else if (argc == 5 && !strcmp(argv[1], "take") && inet_aton(argv[3], &addr) && ssi_num_u32(argv[4], 1, 65535, &port) == 0 && carry_read(&c, true) == 0)
		r = take(&c, addr, (uint16_t)port);
	else
		fputs("Usage: node-carry give BLOBS | node-carry take BLOBS ADDRESS PORT\nBrings blobs from node to node. ssi-agent starts it.\n", stderr);
	explicit_bzero(c.key, sizeof(c.key));
	free(c.items);
	return r;
}
