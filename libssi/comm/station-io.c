/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a station's connection as a socket: reading and writing it, plain or by TLS, and its place in the epoll set.
 * Both block, with a bound, so that a thread that waits for a message needs one system call. GnuTLS's session is behind a lock, under which nobody sleeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/comm/station-internal.h"

#define IO_FILE_PIECE 16384              /* of a file, through TLS: a record holds no more */
#define IO_RAW (256u << 10)              /* what is read of a connection with TLS at a time */

/* A buffer to read into. The last one that was given back is kept: memory that comes anew from the kernel for each read is dear. */
static uint8_t *io_raw_take(struct ssi_ccm_station *s)
{
	uint8_t *raw = atomic_exchange(&s->raw, NULL);

	return raw ? raw : aligned_alloc(64, IO_RAW);
}

static void io_raw_give(struct ssi_ccm_station *s, uint8_t *raw)
{
	free(raw ? atomic_exchange(&s->raw, raw) : NULL);
}

struct station_conn *station_conn_new(struct ssi_ccm_station *s, int fd, struct in_addr addr, bool outgoing)
{
	const struct timeval slice = { .tv_usec = STATION_SLICE_MS * 1000 };
	struct station_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->tag = TAG_CONN;
	c->s = s;
	c->fd = fd;
	c->addr = addr;
	c->outgoing = outgoing;
	c->refs = 1;
	c->node = SSI_CCM_ANY_NODE;
	pthread_mutex_init(&c->tls_lock, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof(slice));
	return c;
}

void station_conn_free(struct station_conn *c)
{
	ssi_tls_free(c->tls);
	close(c->fd);
	pthread_mutex_destroy(&c->tls_lock);
	free(c->msg);
	io_raw_give(c->s, c->raw);
	free(c);
}

/* The loop may have an event of it in its hands: only there it is freed. */
void station_conn_unref(struct station_conn *c)
{
	struct ssi_ccm_station *s = c->s;

	if (--c->refs)
		return;
	pthread_mutex_lock(&s->work_lock);
	TAILQ_INSERT_TAIL(&s->dead, c, link);
	pthread_mutex_unlock(&s->work_lock);
}

/* Not as points of cancellation, which threads of this library have no use for: entering and leaving one costs two locked instructions. */
static ssize_t io_recv(int fd, void *p, size_t n, int flags)
{
	return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

static ssize_t io_send(int fd, const void *p, size_t n, int flags)
{
	return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

ssize_t station_conn_send(struct station_conn *c, const void *p, size_t n)
{
	return io_send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t io_errno(ssize_t r, const char *doing, struct ssi_err *e)
{
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	return ssi_errno(e, -errno, "%s", doing);
}

/* What c->raw holds, deciphered, into the pieces one after the other; -EAGAIN when it holds no whole record. */
static ssize_t io_tls_take(struct station_conn *c, const struct iovec *iov, int n, struct ssi_err *e)
{
	size_t sum = 0, at = 0;
	ssize_t r = 0;

	pthread_mutex_lock(&c->tls_lock);
	for (int i = 0; i < n; at += (size_t)r) {
		if (at == iov[i].iov_len) {
			r = at = 0;
			i++;
			continue;
		}
		r = ssi_tls_read(c->tls, (uint8_t *)iov[i].iov_base + at, iov[i].iov_len - at, e);
		if (r <= 0)
			break;
		sum += (size_t)r;
	}
	if (r == -EAGAIN) {
		io_raw_give(c->s, c->raw);
		c->raw = NULL;
	}
	pthread_mutex_unlock(&c->tls_lock);
	return sum ? (ssize_t)sum : r;
}

/*
 * As much as there is by one system call, which may sleep; then record by record from memory. Not before the connection is a session's: who
 * reads a HELLO must find what follows it in the socket.
 */
static ssize_t io_tls_readv(struct station_conn *c, const struct iovec *iov, int n, bool wait, struct ssi_err *e)
{
	if (!c->raw && c->state == LINK_OPEN) {
		uint8_t *raw = io_raw_take(c->s);
		ssize_t r;

		if (!raw)
			return ssi_errf(e, -ENOMEM, "no memory to read");
		r = io_errno(recv(c->fd, raw, IO_RAW, wait ? 0 : MSG_DONTWAIT), "receive", e);
		if (r <= 0) {
			io_raw_give(c->s, raw);
			return r;
		}
		c->raw = raw;
		pthread_mutex_lock(&c->tls_lock);
		ssi_tls_feed(c->tls, raw, (size_t)r);
		pthread_mutex_unlock(&c->tls_lock);
	}
	return io_tls_take(c, iov, n, e);
}

static ssize_t io_tls_writev(struct station_conn *c, const struct iovec *iov, int n, struct ssi_err *e)
{
	ssize_t r;

	pthread_mutex_lock(&c->tls_lock);
	r = ssi_tls_writev(c->tls, iov, n, e);
	pthread_mutex_unlock(&c->tls_lock);
	return r;
}

bool station_conn_pending(struct station_conn *c)
{
	return c->raw;
}

bool station_conn_unread(const struct station_conn *c)
{
	int n = 0;

	return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

bool station_conn_worn(struct station_conn *c)
{
	bool worn;

	if (!c->tls)
		return false;
	pthread_mutex_lock(&c->tls_lock);
	worn = ssi_tls_worn(c->tls);
	pthread_mutex_unlock(&c->tls_lock);
	return worn;
}

int station_conn_wait(struct station_conn *c, unsigned ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return station_conn_pending(c) || poll(&p, 1, (int)ms) != 0 ? 0 : -ETIMEDOUT;
}

ssize_t station_conn_readv(struct station_conn *c, struct iovec *iov, int n, bool wait, struct ssi_err *e)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };

	if (!c->tls)
		return io_errno(recvmsg(c->fd, &m, wait ? 0 : MSG_DONTWAIT), "receive", e);
	return io_tls_readv(c, iov, n, wait, e);
}

ssize_t station_conn_some(struct station_conn *c, void *p, size_t n, bool wait, struct ssi_err *e)
{
	struct iovec iov = { p, n };

	if (!c->tls)
		return io_errno(io_recv(c->fd, p, n, wait ? 0 : MSG_DONTWAIT), "receive", e);
	return station_conn_readv(c, &iov, 1, wait, e);
}

/* n bytes if it may wait for them, some if not. */
ssize_t station_conn_read(struct station_conn *c, void *p, size_t n, bool wait, struct ssi_err *e)
{
	struct iovec iov = { p, n };

	if (!c->tls)
		return io_errno(recv(c->fd, p, n, wait ? MSG_WAITALL : MSG_DONTWAIT), "receive", e);
	return station_conn_readv(c, &iov, 1, wait, e);
}

ssize_t station_conn_writev(struct station_conn *c, struct iovec *iov, int n, bool wait, struct ssi_err *e)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);

	if (c->tls)
		return io_tls_writev(c, iov, n, e);
	if (n == 1)
		return io_errno(io_send(c->fd, iov->iov_base, iov->iov_len, flags), "send", e);
	return io_errno(sendmsg(c->fd, &m, flags), "send", e);
}

/* Through TLS what was read but not taken is read again: GnuTLS wants the same bytes, and the file may not change. */
static ssize_t io_tls_sendfile(struct station_conn *c, int fd, off_t offset, size_t n, struct ssi_err *e)
{
	uint8_t buf[IO_FILE_PIECE];
	struct iovec iov = { .iov_base = buf };
	ssize_t r = pread(fd, buf, n < sizeof(buf) ? n : sizeof(buf), offset);

	if (r <= 0)
		return ssi_errno(e, r < 0 ? -errno : -ENODATA, "file to send");
	iov.iov_len = (size_t)r;
	return io_tls_writev(c, &iov, 1, e);
}

ssize_t station_conn_sendfile(struct station_conn *c, int fd, off_t offset, size_t n, bool wait, struct ssi_err *e)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };
	ssize_t r;

	if (c->tls)
		return io_tls_sendfile(c, fd, offset, n, e);
	/* sendfile has no MSG_DONTWAIT: a socket with room takes what it can and then sleeps for a slice at most. */
	if (!wait && poll(&p, 1, 0) <= 0)
		return -EAGAIN;
	r = sendfile(c->fd, fd, &offset, wait ? n : n < IO_FILE_PIECE ? n : IO_FILE_PIECE);
	return r ? io_errno(r, "send a file", e) : ssi_errf(e, -ENODATA, "file to send: shorter than it was");
}

void station_conn_watch(struct station_conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };
	int op = !c->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (events == c->events)
		return;
	/* Without events it leaves the set: epoll tells errors even of a socket for which nothing is asked. */
	epoll_ctl(c->s->epoll, op, c->fd, &ev);
	c->events = events;
}

void station_conn_interest(struct station_peer *p)
{
	if (p->conn)
		station_conn_watch(p->conn, (p->leased ? 0 : EPOLLIN) | (p->out.stalled ? EPOLLOUT : 0));
}
