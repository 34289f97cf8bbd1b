/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a line: a session (doc/ccm.md) over one connection, which ends with it; every call with a deadline. Called by ssi_boot in children of PID 1.
 * It links no event loop and no threads, and says nothing by itself: who wants to stay connected uses a station.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"
#include "libssi/comm/ccm.h"
#include "libssi/comm/sock.h"
#include "libssi/comm/station-frame.h"
#include "libssi/comm/tls.h"

#define LINE_BYE_MS 1000
#define LINE_WINDOW (1u << 20)

struct ssi_ccm_line {
	int fd;
	struct ssi_tls *tls;
	struct ssi_identity id;
	uint32_t number;
	uint64_t serial, heard;              /* of the last frame that went, and came */
	uint64_t master;                     /* its incarnation */
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

/* A frame's header, from us. */
static void line_header(const struct ssi_ccm_line *l, struct station_frame f, uint8_t *p)
{
	f.source = l->number;
	f.destination = SSI_CCM_MASTER;
	f.incarnation = l->id.incarnation;
	f.ack = l->heard;
	station_frame_encode(&f, p);
}

/* A new session, with an offer that nobody made before. */
static int line_hello(struct ssi_ccm_line *l, uint64_t deadline, struct ssi_err *e)
{
	struct station_hello h = { .next = 1, .window = LINE_WINDOW, .retain = LINE_WINDOW };
	uint8_t p[STATION_HEADER + STATION_HELLO];
	struct station_frame f;
	uint64_t fresh;
	int r = 0;

	while (!h.fresh && r >= 0)
		r = ssi_hash_random(&h.fresh, sizeof(h.fresh));
	if (r < 0)
		return ssi_errno(e, r, "random number of a session");
	fresh = h.fresh;
	line_header(l, (struct station_frame){ .type = CONTROL_HELLO, .size = STATION_HELLO }, p);
	station_hello_encode(&h, p + STATION_HEADER);
	r = line_write(l, p, sizeof(p), deadline, e);
	if (r >= 0)
		r = line_read(l, p, sizeof(p), deadline, e);
	if (r >= 0)
		r = station_frame_decode(p, &f, e);
	if (r < 0)
		return r;
	if (f.module || f.type != CONTROL_HELLO || f.source != SSI_CCM_MASTER || f.destination != l->number)
		return ssi_errf(e, -EPROTO, "the master's first frame is no HELLO to this machine");
	r = station_hello_decode(p + STATION_HEADER, &h, e);
	if (r < 0)
		return r;
	if (h.session != fresh || h.next != 1)
		return ssi_errf(e, -EPROTO, "the master begins another session than was offered");
	l->master = f.incarnation;
	return 0;
}

int ssi_ccm_dial(struct in_addr addr, uint16_t port, const struct ssi_identity *id, uint32_t number, const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms,
		 struct ssi_ccm_line **ret, struct ssi_err *e)
{
	SSI_CLEANUP(line_hangupp) struct ssi_ccm_line *l = calloc(1, sizeof(*l));
	uint64_t deadline = ssi_clock_mono_ms() + timeout_ms;
	char where[INET_ADDRSTRLEN];
	int r;

	if (!l)
		return ssi_errf(e, -ENOMEM, "no memory for a connection");
	l->id = *id;
	l->number = number;
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
	if (r >= 0)
		r = line_hello(l, deadline, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s:%u", where, port), r;
	*ret = TAKE_PTR(l);
	return 0;
}

int ssi_ccm_line_send(struct ssi_ccm_line *l, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len,
		      unsigned timeout_ms, struct ssi_err *e)
{
	const struct station_frame f = { .flags = KIND_SHORT, .module = module, .type = type, .sequence = sequence, .serial = l->serial + 1, .size = (uint32_t)len };
	_cleanup_free_ uint8_t *p = NULL;

	if (len > STATION_BODY_MAX)
		return ssi_errf(e, -EMSGSIZE, "a body of %zu bytes is more than a frame takes", len);
	p = malloc(STATION_HEADER + len);
	if (!p)
		return ssi_errf(e, -ENOMEM, "no memory for a frame");
	line_header(l, f, p);
	if (len)
		memcpy(p + STATION_HEADER, body, len);
	l->serial++;
	return line_write(l, p, STATION_HEADER + len, ssi_clock_mono_ms() + timeout_ms, e);
}

/* The next frame of the master's that is a message; its body is still to be read. */
static int line_next(struct ssi_ccm_line *l, struct station_frame *f, uint64_t deadline, struct ssi_err *e)
{
	uint8_t header[STATION_HEADER];
	int r;

	for (;;) {
		r = line_read(l, header, sizeof(header), deadline, e);
		if (r >= 0)
			r = station_frame_decode(header, f, e);
		if (r < 0)
			return r;
		if (f->source != SSI_CCM_MASTER || f->destination != l->number || f->incarnation != l->master)
			return ssi_errf(e, -ESTALE, "frame from node %u, incarnation %llu to node %u", f->source, (unsigned long long)f->incarnation,
					f->destination);
		if (!f->module && f->type == CONTROL_PART)
			return ssi_errf(e, -ECONNRESET, "the master ends the session");
		if (f->module) {
			l->heard = f->serial > l->heard ? f->serial : l->heard;
			return 0;
		}
		r = line_drop(l, f->size, deadline, e);
		if (r < 0)
			return r;
	}
}

int ssi_ccm_line_recv(struct ssi_ccm_line *l, uint16_t module, uint16_t type, void *buf, size_t n, size_t *ret_len, unsigned timeout_ms,
		      struct ssi_err *e)
{
	uint64_t deadline = ssi_clock_mono_ms() + timeout_ms;
	struct station_frame f;
	int r;

	for (;;) {
		r = line_next(l, &f, deadline, e);
		if (r < 0)
			return r;
		if (f.module == module && f.type == type)
			break;
		r = line_drop(l, f.size, deadline, e);
		if (r < 0)
			return r;
	}
	if (f.size > n)
		return ssi_errf(e, -EMSGSIZE, "answer of %u bytes, at most %zu were expected", f.size, n);
	r = line_read(l, buf, f.size, deadline, e);
	if (r < 0)
		return r;
	*ret_len = f.size;
	return 0;
}

/* The session's end; and what the master still says is heard, so that our last words are not lost to a reset. */
static void line_part(struct ssi_ccm_line *l)
{
	uint64_t deadline = ssi_clock_mono_ms() + LINE_BYE_MS;
	uint8_t p[STATION_HEADER];

	line_header(l, (struct station_frame){ .type = CONTROL_PART }, p);
	if (line_write(l, p, sizeof(p), deadline, NULL) < 0)
		return;
	ssi_tls_bye(l->tls);
	shutdown(l->fd, SHUT_WR);
	while (line_wait(l, POLLIN, deadline, "the end", NULL) >= 0 && recv(l->fd, p, sizeof(p), 0) > 0)
		;
}

void ssi_ccm_hangup(struct ssi_ccm_line *l)
{
	if (!l)
		return;
	if (l->master)
		line_part(l);
	ssi_tls_free(l->tls);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}
