/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the yardstick: TCP sockets as somebody who knows them would write them, and nothing else. The options are those of a station's sockets: no
 * delay, a bound on what sleeps, the system's buffers. What is to come is known to both sides, so that each message is one send and, where the
 * kernel has it all, one receive. Called by ccm-ends and the table of experiments. Serves one connection at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "bench/part/ccm-ends.h"
#include "libssi/base/cleanup.h"

enum { PATIENCE_S = 30 };

/* What the next block is, in this machine's byte order: measuring across byte orders is nobody's wish. */
struct raw_block {
	uint32_t size, count, stream;
};

static int raw_send_all(int fd, const void *p, size_t n)
{
	const uint8_t *from = p;

	while (n > 0) {
		ssize_t r = send(fd, from, n, MSG_NOSIGNAL);
		if (r < 0)
			return -errno;
		from += r;
		n -= (size_t)r;
	}
	return 0;
}

static int raw_recv_all(int fd, void *p, size_t n)
{
	uint8_t *to = p;

	while (n > 0) {
		ssize_t r = recv(fd, to, n, 0);
		if (r <= 0)
			return r < 0 ? -errno : -ECONNRESET;
		to += r;
		n -= (size_t)r;
	}
	return 0;
}

static int raw_socket(struct ssi_err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return ssi_errno(e, -errno, "TCP socket");
	return TAKE_FD(fd);
}

int bench_tcp_connect(const struct bench_peer *peer, unsigned above, struct ssi_err *e)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = peer->addr, .sin_port = htons((uint16_t)(peer->port + above)) };
	_cleanup_close_ int fd = raw_socket(e);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return ssi_errno(e, -errno, "connection to %s:%u", inet_ntoa(peer->addr), peer->port + above);
	return TAKE_FD(fd);
}

int bench_tcp_listen(const struct bench_peer *self, unsigned above, struct ssi_err *e)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = self->addr, .sin_port = htons((uint16_t)(self->port + above)) };
	_cleanup_close_ int fd = raw_socket(e);

	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
		return ssi_errno(e, -errno, "%s:%u", inet_ntoa(self->addr), self->port + above);
	return TAKE_FD(fd);
}

static int raw_bound(int fd)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ?
		-errno : 0;
}

/* Between two blocks it may take longer. */
static int raw_await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, -1) == 1 ? 0 : -errno;
}

/* Blocks of one connection, until it goes. */
static void raw_converse(int fd)
{
	_cleanup_free_ uint8_t *body = bench_body();
	struct raw_block b;
	int r = body ? raw_bound(fd) : -ENOMEM;

	while (r == 0 && raw_await(fd) == 0 && raw_recv_all(fd, &b, sizeof(b)) == 0 && b.size <= BENCH_BODY_MAX) {
		for (uint32_t i = 0; i < b.count && r == 0; i++) {
			r = raw_recv_all(fd, body, b.size);
			if (r == 0 && !b.stream)
				r = raw_send_all(fd, body, b.size);
		}
		if (r == 0 && b.stream)
			r = raw_send_all(fd, "", 1);
	}
}

static void *raw_accept(void *arg)
{
	_cleanup_close_ int listener = (int)(intptr_t)arg;

	for (;;) {
		_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		raw_converse(fd);
	}
}

static int raw_serve(const struct bench_peer *self, struct ssi_err *e)
{
	int fd = bench_tcp_listen(self, BENCH_RAW, e);
	pthread_t thread;
	int r;

	if (fd < 0)
		return fd;
	r = pthread_create(&thread, NULL, raw_accept, (void *)(intptr_t)fd);
	if (r != 0) {
		close(fd);
		return ssi_errno(e, -r, "thread of the raw sockets");
	}
	pthread_detach(thread);
	return 0;
}

/* The calling end is no more than its descriptor. */
static int raw_open(const struct bench_peer *peer, void **ret, struct ssi_err *e)
{
	_cleanup_close_ int fd = bench_tcp_connect(peer, BENCH_RAW, e);
	int r = fd < 0 ? fd : raw_bound(fd);

	if (fd >= 0 && r < 0)
		return ssi_errno(e, r, "raw sockets");
	if (r == 0)
		*ret = (void *)(intptr_t)TAKE_FD(fd);
	return r;
}

static int raw_fd(void *end)
{
	return (int)(intptr_t)end;
}

static void raw_close(void *end)
{
	close(raw_fd(end));
}

static int raw_begin(void *end, size_t size, unsigned count, bool stream, struct ssi_err *e)
{
	const struct raw_block b = { .size = (uint32_t)size, .count = count, .stream = stream };
	int r = raw_send_all(raw_fd(end), &b, sizeof(b));

	return r < 0 ? ssi_errno(e, r, "raw sockets") : 0;
}

int bench_raw_begin_echo(void *end, size_t size, unsigned count, struct ssi_err *e)
{
	return raw_begin(end, size, count, false, e);
}

int bench_raw_begin_stream(void *end, size_t size, unsigned count, struct ssi_err *e)
{
	return raw_begin(end, size, count, true, e);
}

int bench_raw_send(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	int r = raw_send_all(raw_fd(end), out, size);

	return r < 0 ? ssi_errno(e, r, "raw sockets") : 0;
}

int bench_raw_round(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	int r = raw_send_all(raw_fd(end), out, size);

	if (r == 0)
		r = raw_recv_all(raw_fd(end), in, size);
	return r < 0 ? ssi_errno(e, r, "raw sockets") : 0;
}

int bench_raw_settle(void *end, struct ssi_err *e)
{
	uint8_t done;
	int r = raw_recv_all(raw_fd(end), &done, 1);

	return r < 0 ? ssi_errno(e, r, "raw sockets") : 0;
}

const struct bench_transport bench_raw = { .serve = raw_serve, .open = raw_open, .close = raw_close };
