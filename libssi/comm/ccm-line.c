/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the blocking face of ccm: one outgoing connection, every call with a deadline. Called by ssi_boot in children of PID 1. It links
 * no event loop, and answers nothing by itself: who wants to stay connected uses the other face.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/comm/ccm.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/tls.h"

struct ssi_ccm_line {
	int fd;
	struct ssi_tls *tls;
	struct ssi_identity id;
};

static void line_hangupp(struct ssi_ccm_line **l)
{
	ssi_ccm_hangup(*l);
}

/* Wait for the socket until the deadline; 0, -ETIMEDOUT or -errno. */
static int line_wait(struct ssi_ccm_line *l, short events, uint64_t deadline, const char *doing, struct ssi_err *e)
{
	struct pollfd p = { .fd = l->fd, .events = events };

	for (;;) {
		uint64_t now = ssi_clock_mono_ms();
		int r;

		if (now >= deadline)
			return ssi_errf(e, -ETIMEDOUT, "%s timed out", doing);
		r = poll(&p, 1, (int)(deadline - now));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return ssi_errno(e, -errno, "%s", doing);
	}
}

static int line_wait_tls(struct ssi_ccm_line *l, uint64_t deadline, const char *doing, struct ssi_err *e)
{
	return line_wait(l, ssi_tls_wants_write(l->tls) ? POLLOUT : POLLIN, deadline, doing, e);
}

static int line_handshake(struct ssi_ccm_line *l, uint64_t deadline, struct ssi_err *e)
{
	int r;

	while ((r = ssi_tls_handshake(l->tls, e)) == -EAGAIN) {
		r = line_wait_tls(l, deadline, "handshake", e);
		if (r < 0)
			return r;
	}
	return r;
}

int ssi_ccm_dial(struct in_addr addr, uint16_t port, const struct ssi_identity *id, const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms,
		 struct ssi_ccm_line **ret, struct ssi_err *e)
{
	SSI_CLEANUP(line_hangupp) struct ssi_ccm_line *l = calloc(1, sizeof(*l));
	uint64_t deadline = ssi_clock_mono_ms() + timeout_ms;
	char where[INET_ADDRSTRLEN];
	int r;

	if (!l)
		return ssi_errf(e, -ENOMEM, "no memory for a connection");
	l->id = *id;
	inet_ntop(AF_INET, &addr, where, sizeof(where));
	l->fd = r = ssi_sock_connect(addr, port, e);
	if (r < 0)
		return r;
	r = line_wait(l, POLLOUT, deadline, "connect", e);
	if (r < 0)
		return ssi_err_prefix(e, "%s:%u", where, port), r;
	r = ssi_sock_error(l->fd, addr, port, e);
	if (r < 0)
		return r;
	r = ssi_tls_client(l->fd, id, key, &l->tls, e);
	if (r >= 0)
		r = line_handshake(l, deadline, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s:%u", where, port), r;
	*ret = TAKE_PTR(l);
	return 0;
}

static int line_write(struct ssi_ccm_line *l, const uint8_t *p, size_t n, uint64_t deadline, struct ssi_err *e)
{
	while (n > 0) {
		ssize_t r = ssi_tls_write(l->tls, p, n, e);

		if (r == -EAGAIN) {
			r = line_wait_tls(l, deadline, "sending", e);
			if (r < 0)
				return (int)r;
			continue;
		}
		if (r < 0)
			return (int)r;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

int ssi_ccm_line_send(struct ssi_ccm_line *l, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len,
		      unsigned timeout_ms, struct ssi_err *e)
{
	const struct ssi_frame f = { .module = module, .type = type, .sequence = sequence, .incarnation = l->id.incarnation, .size = (uint32_t)len };
	_cleanup_free_ uint8_t *p = NULL;

	if (len > SSI_WIRE_BODY_MAX)
		return ssi_errf(e, -EMSGSIZE, "a body of %zu bytes is more than a frame takes", len);
	p = malloc(SSI_WIRE_HEADER + len);
	if (!p)
		return ssi_errf(e, -ENOMEM, "no memory for a frame");
	ssi_wire_encode(&f, p);
	if (len)
		memcpy(p + SSI_WIRE_HEADER, body, len);
	return line_write(l, p, SSI_WIRE_HEADER + len, ssi_clock_mono_ms() + timeout_ms, e);
}

static int line_read(struct ssi_ccm_line *l, uint8_t *p, size_t n, uint64_t deadline, struct ssi_err *e)
{
	while (n > 0) {
		ssize_t r = ssi_tls_read(l->tls, p, n, e);

		if (r == -EAGAIN) {
			r = line_wait_tls(l, deadline, "waiting for the answer", e);
			if (r < 0)
				return (int)r;
			continue;
		}
		if (r == 0)
			return ssi_errf(e, -ECONNRESET, "the other end hung up");
		if (r < 0)
			return (int)r;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int line_drop(struct ssi_ccm_line *l, size_t n, uint64_t deadline, struct ssi_err *e)
{
	uint8_t waste[1024];
	int r = 0;

	while (n > 0 && r >= 0) {
		size_t k = n < sizeof(waste) ? n : sizeof(waste);
		r = line_read(l, waste, k, deadline, e);
		n -= k;
	}
	return r;
}

int ssi_ccm_line_recv(struct ssi_ccm_line *l, uint16_t module, uint16_t type, void *buf, size_t n, size_t *ret_len, unsigned timeout_ms,
		      struct ssi_err *e)
{
	uint64_t deadline = ssi_clock_mono_ms() + timeout_ms;
	uint8_t header[SSI_WIRE_HEADER];
	struct ssi_frame f;
	int r;

	for (;;) {
		r = line_read(l, header, sizeof(header), deadline, e);
		if (r >= 0)
			r = ssi_wire_decode(header, &f, e);
		if (r < 0)
			return r;
		if (f.module == module && f.type == type)
			break;
		r = line_drop(l, f.size, deadline, e);
		if (r < 0)
			return r;
	}
	if (f.incarnation != l->id.incarnation)
		return ssi_errf(e, -ESTALE, "answer for incarnation %llu, not %llu", (unsigned long long)f.incarnation, (unsigned long long)l->id.incarnation);
	if (f.size > n)
		return ssi_errf(e, -EMSGSIZE, "answer of %u bytes, at most %zu were expected", f.size, n);
	r = line_read(l, buf, f.size, deadline, e);
	if (r < 0)
		return r;
	*ret_len = f.size;
	return 0;
}

void ssi_ccm_hangup(struct ssi_ccm_line *l)
{
	if (!l)
		return;
	if (l->tls)
		ssi_tls_bye(l->tls);
	ssi_tls_free(l->tls);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}
