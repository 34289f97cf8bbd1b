/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a station's connection as a socket: reading and writing it, plain or by TLS, and its place in the epoll set. A plain socket blocks,
 * with a bound, so that a thread that waits for a message needs one system call; one with TLS never does: GnuTLS's session is behind
 * a lock, under which nobody may sleep.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/comm/station-internal.h"

#define IO_FILE_PIECE 16384              /* of a file, through TLS: a record holds no more */

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

static ssize_t io_errno(ssize_t r, const char *doing, struct ssi_err *e)
{
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	return ssi_errno(e, -errno, "%s", doing);
}

static ssize_t io_tls_readv(struct station_conn *c, const struct iovec *iov, int n, struct ssi_err *e)
{
	size_t sum = 0;

	pthread_mutex_lock(&c->tls_lock);
	for (int i = 0; i < n; i++) {
		ssize_t r = iov[i].iov_len ? ssi_tls_read(c->tls, iov[i].iov_base, iov[i].iov_len, e) : 0;

		if (r <= 0 && iov[i].iov_len) {
			pthread_mutex_unlock(&c->tls_lock);
			return sum ? (ssize_t)sum : r;
		}
		sum += (size_t)r;
		if ((size_t)r < iov[i].iov_len || !ssi_tls_pending(c->tls))
			break;
	}
	pthread_mutex_unlock(&c->tls_lock);
	return (ssize_t)sum;
}

static ssize_t io_tls_writev(struct station_conn *c, const struct iovec *iov, int n, struct ssi_err *e)
{
	size_t sum = 0;
	ssize_t r = 0;

	pthread_mutex_lock(&c->tls_lock);
	for (int i = 0; i < n && r >= 0; i++)
		for (size_t at = 0; at < iov[i].iov_len; at += (size_t)r, sum += (size_t)r) {
			r = ssi_tls_write(c->tls, (uint8_t *)iov[i].iov_base + at, iov[i].iov_len - at, e);
			if (r < 0)
				break;
		}
	pthread_mutex_unlock(&c->tls_lock);
	return sum || r >= 0 ? (ssize_t)sum : r;
}

bool station_conn_pending(struct station_conn *c)
{
	bool pending;

	if (!c->tls)
		return false;
	pthread_mutex_lock(&c->tls_lock);
	pending = ssi_tls_pending(c->tls);
	pthread_mutex_unlock(&c->tls_lock);
	return pending;
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
	if (wait && station_conn_wait(c, STATION_SLICE_MS) < 0)
		return -EAGAIN;
	return io_tls_readv(c, iov, n, e);
}

ssize_t station_conn_some(struct station_conn *c, void *p, size_t n, bool wait, struct ssi_err *e)
{
	struct iovec iov = { p, n };

	if (!c->tls)
		return io_errno(recv(c->fd, p, n, wait ? 0 : MSG_DONTWAIT), "receive", e);
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
		return io_errno(send(c->fd, iov->iov_base, iov->iov_len, flags), "send", e);
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
