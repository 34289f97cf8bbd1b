/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns a connection of an ill-meaning peer. Called by the siege. It never answers and never believes. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/base/clock.h"
#include "libssi/comm/sock.h"
#include "tests/chaos/raider.h"

struct in_addr raider_target = { 0x0100007f };

/* Wait for the socket: 0 or -ETIMEDOUT. */
static int raider_wait(const struct raider *r, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = r->fd, .events = events };
	uint64_t now = ssi_clock_mono_ms();

	if (now >= deadline)
		return -ETIMEDOUT;
	poll(&p, 1, (int)(deadline - now));
	return 0;
}

static int raider_wait_tls(const struct raider *r, uint64_t deadline)
{
	return raider_wait(r, ssi_tls_wants_write(r->tls) ? POLLOUT : POLLIN, deadline);
}

int raider_connect(struct raider *r, uint16_t port)
{
	struct pollfd p = { .events = POLLOUT };

	*r = (struct raider){ .fd = ssi_sock_connect(raider_target, port, NULL) };
	if (r->fd < 0)
		return r->fd;
	p.fd = r->fd;
	if (poll(&p, 1, RAIDER_WAIT_MS) == 0)
		return -ETIMEDOUT;
	return ssi_sock_error(r->fd, raider_target, port, NULL);
}

int raider_enter(struct raider *r, uint16_t port, const struct ssi_identity *id, const uint8_t key[SSI_TLS_KEY])
{
	uint64_t deadline = ssi_clock_mono_ms() + RAIDER_WAIT_MS;
	struct ssi_err e;
	int k;

	k = raider_connect(r, port);
	if (k >= 0)
		k = ssi_tls_client(r->fd, id, key, &r->tls, &e);
	if (k < 0)
		return k;
	while ((k = ssi_tls_handshake(r->tls, &e)) == -EAGAIN)
		if (raider_wait_tls(r, deadline) < 0)
			return -ETIMEDOUT;
	return k;
}

int raider_spit(struct raider *r, const void *p, size_t n)
{
	uint64_t deadline = ssi_clock_mono_ms() + RAIDER_WAIT_MS;
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t k = send(r->fd, at, n, MSG_NOSIGNAL);

		if (k < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (k < 0 && raider_wait(r, POLLOUT, deadline) < 0)
			return -ETIMEDOUT;
		at += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return 0;
}

int raider_say(struct raider *r, const void *p, size_t n)
{
	uint64_t deadline = ssi_clock_mono_ms() + RAIDER_WAIT_MS;
	const uint8_t *at = p;
	struct ssi_err e;

	if (!r->tls)
		return raider_spit(r, p, n);
	while (n > 0) {
		ssize_t k = ssi_tls_write(r->tls, at, n, &e);

		if (k < 0 && k != -EAGAIN)
			return (int)k;
		if (k < 0 && raider_wait_tls(r, deadline) < 0)
			return -ETIMEDOUT;
		at += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return 0;
}

/* Some bytes, n at most; never 0. */
static ssize_t raider_some(struct raider *r, void *p, size_t n, uint64_t deadline)
{
	struct ssi_err e;
	ssize_t k;

	for (;;) {
		k = r->tls ? ssi_tls_read(r->tls, p, n, &e) : recv(r->fd, p, n, MSG_DONTWAIT);
		if (!r->tls && k < 0)
			k = errno == EINTR ? -EAGAIN : -errno;
		if (k != -EAGAIN)
			return k ? k : -ECONNRESET;
		if (raider_wait(r, POLLIN, deadline) < 0)
			return -ETIMEDOUT;
	}
}

int raider_hear(struct raider *r, void *p, size_t n)
{
	uint64_t deadline = ssi_clock_mono_ms() + RAIDER_WAIT_MS;

	for (ssize_t k; n; p = (uint8_t *)p + k, n -= (size_t)k) {
		k = raider_some(r, p, n, deadline);
		if (k < 0)
			return (int)k;
	}
	return 0;
}

int raider_verdict(struct raider *r)
{
	uint64_t deadline = ssi_clock_mono_ms() + RAIDER_WAIT_MS;
	char waste[4096];
	ssize_t k;

	do
		k = raider_some(r, waste, sizeof(waste), deadline);
	while (k > 0);
	return (int)k;
}

void raider_free(struct raider *r)
{
	ssi_tls_free(r->tls);
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct raider){ .fd = -1 };
}
