/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the frames of jobs on Unix sockets: header, and what is half read or half written. Called by the daemon, the agent, the keeper and ssi. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "libssi/comm/jobframe.h"

#define JOBFRAME_READ (256u << 10)
#define JOBFRAME_READ_FIRST (16u << 10)      /* who says little is not given a large buffer for it */
#define JOBFRAME_TYPES 255
#define JOBHOP_BACKLOG 1024

struct jobframe_bytes { uint32_t size; uint16_t type, zero; uint64_t job; };
_Static_assert(sizeof(struct jobframe_bytes) == SSI_JOBFRAME_HEAD, "no padding in the header");

void ssi_jobframe_encode(const struct ssi_jobframe *f, uint8_t p[SSI_JOBFRAME_HEAD])
{
	const struct jobframe_bytes b = { .size = htole32(f->size), .type = htole16(f->type), .job = htole64(f->job) };

	memcpy(p, &b, sizeof(b));
}

int ssi_jobframe_decode(const uint8_t p[SSI_JOBFRAME_HEAD], struct ssi_jobframe *ret)
{
	struct jobframe_bytes b;

	memcpy(&b, p, sizeof(b));
	if (b.zero || !b.type || le16toh(b.type) > JOBFRAME_TYPES)
		return -EBADMSG;
	if (le32toh(b.size) > SSI_JOBFRAME_MAX)
		return -EMSGSIZE;
	*ret = (struct ssi_jobframe){ .size = le32toh(b.size), .type = le16toh(b.type), .job = le64toh(b.job) };
	return 0;
}

void ssi_jobhop_init(struct ssi_jobhop *h, int fd)
{
	*h = (struct ssi_jobhop){ .fd = fd };
}

void ssi_jobhop_close(struct ssi_jobhop *h)
{
	if (h->fd >= 0)
		close(h->fd);
	ssi_buf_free(&h->in);
	ssi_buf_free(&h->out);
	ssi_jobhop_init(h, -1);
}

int ssi_jobhop_read(struct ssi_jobhop *h)
{
	size_t max;
	char *to;
	ssize_t n;

	ssi_buf_consume(&h->in, h->in_at);       /* what is left of a frame: moved once for each read, not for each frame */
	h->in_at = 0;
	max = h->much ? JOBFRAME_READ : JOBFRAME_READ_FIRST;
	to = ssi_buf_reserve(&h->in, max);
	if (!to)
		return -ENOMEM;
	do
		n = recv(h->fd, to, max, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	h->much = (size_t)n >= JOBFRAME_READ_FIRST;
	h->in.len += (size_t)n;
	return (int)n;
}

int ssi_jobhop_next(struct ssi_jobhop *h, struct ssi_jobframe *ret, const uint8_t **ret_body)
{
	size_t left = h->in.len - h->in_at;
	const uint8_t *p = left ? (const uint8_t *)h->in.data + h->in_at : NULL;
	struct ssi_jobframe f;
	int r;

	if (!left) {                             /* many hops are idle most of the time */
		ssi_buf_free(&h->in);
		h->in_at = 0;
	}
	if (left < SSI_JOBFRAME_HEAD)
		return 0;
	r = ssi_jobframe_decode(p, &f);
	if (r < 0)
		return r;
	if (left - SSI_JOBFRAME_HEAD < f.size)
		return 0;
	*ret = f;
	*ret_body = p + SSI_JOBFRAME_HEAD;
	h->in_at += SSI_JOBFRAME_HEAD + f.size;
	return 1;
}

void ssi_jobhop_again(struct ssi_jobhop *h, const struct ssi_jobframe *f)
{
	h->in_at -= SSI_JOBFRAME_HEAD + f->size;
}

/* What the socket takes of the pieces at once; bytes or -errno. */
static ssize_t jobhop_write(struct ssi_jobhop *h, const struct iovec *v, int n)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n };
	ssize_t k;

	do
		k = sendmsg(h->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (k < 0 && errno == EINTR);
	if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return k < 0 ? -errno : k;
}

static struct iovec jobhop_waiting(const struct ssi_jobhop *h)
{
	return (struct iovec){ h->out.data ? h->out.data + h->out_at : NULL, h->out.len - h->out_at };
}

int ssi_jobhop_flush(struct ssi_jobhop *h)
{
	while (ssi_jobhop_waits(h)) {
		const struct iovec v = jobhop_waiting(h);
		ssize_t n = jobhop_write(h, &v, 1);

		if (n < 0)
			return (int)n;
		h->stuck = n == 0;
		if (n == 0)
			return 0;
		h->out_at += (size_t)n;
	}
	ssi_buf_free(&h->out);
	h->out_at = 0;
	return 0;
}

/* What of the pieces has not gone. */
static int jobhop_keep(struct ssi_jobhop *h, const struct iovec *v, int n, size_t gone)
{
	if (h->out_at > h->out.len / 2) {
		ssi_buf_consume(&h->out, h->out_at);
		h->out_at = 0;
	}
	for (int i = 0; i < n; i++) {
		size_t skip = gone < v[i].iov_len ? gone : v[i].iov_len;

		gone -= skip;
		if (v[i].iov_len > skip)
			ssi_buf_add(&h->out, (const uint8_t *)v[i].iov_base + skip, v[i].iov_len - skip);
	}
	return h->out.err;
}

/* What waits goes first, in the same call; v[0] is its place. */
static int jobhop_send(struct ssi_jobhop *h, struct iovec *v, int n)
{
	size_t waits = h->out.len - h->out_at, all = waits, gone;
	ssize_t k;

	v[0] = jobhop_waiting(h);
	for (int i = 1; i < n; i++)
		all += v[i].iov_len;
	k = jobhop_write(h, waits ? v : v + 1, waits ? n : n - 1);
	if (k < 0)
		return (int)k;
	gone = (size_t)k;
	h->stuck = gone < all;
	if (gone < waits) {
		h->out_at += gone;
		return jobhop_keep(h, v + 1, n - 1, 0);
	}
	if (waits) {
		ssi_buf_free(&h->out);
		h->out_at = 0;
	}
	return gone < all ? jobhop_keep(h, v + 1, n - 1, gone - waits) : 0;
}

static int jobhop_say(struct ssi_jobhop *h, uint16_t type, uint64_t job, const struct iovec *body, int n, bool now)
{
	struct iovec v[SSI_JOBHOP_PIECES + 2];
	struct ssi_jobframe f = { .type = type, .job = job };
	uint8_t head[SSI_JOBFRAME_HEAD];
	size_t size = 0;

	for (int i = 0; i < n; i++) {
		v[i + 2] = body[i];
		size += body[i].iov_len;
	}
	if (size > SSI_JOBFRAME_MAX)
		return -EMSGSIZE;
	if (h->fd < 0)
		return -EPIPE;
	f.size = (uint32_t)size;
	ssi_jobframe_encode(&f, head);
	v[1] = (struct iovec){ head, sizeof(head) };
	return now && !h->stuck ? jobhop_send(h, v, n + 2) : jobhop_keep(h, v + 1, n + 1, 0);
}

int ssi_jobhop_send(struct ssi_jobhop *h, uint16_t type, uint64_t job, const void *body, size_t n)
{
	const struct iovec v = { (void *)body, n };

	return jobhop_say(h, type, job, &v, n > 0, !h->cork);
}

int ssi_jobhop_sendv(struct ssi_jobhop *h, uint16_t type, uint64_t job, const struct iovec *body, int n)
{
	return n > SSI_JOBHOP_PIECES ? -EMSGSIZE : jobhop_say(h, type, job, body, n, true);
}

bool ssi_jobhop_full(const struct ssi_jobhop *h)
{
	return h->out.len - h->out_at > (h->out_max ? h->out_max : SSI_JOB_WINDOW_BYTES);
}

void ssi_jobhop_widen(int fd)
{
	const int size = SSI_JOBHOP_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

static int jobhop_address(const char *path, struct sockaddr_un *ret, struct ssi_err *e)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return ssi_errf(e, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path, sizeof(ret->sun_path) - 1);
	strcpy(ret->sun_path, path);
	return 0;
}

int ssi_jobhop_connect(const char *path, struct ssi_err *e)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	int r = jobhop_address(path, &a, e);

	if (r < 0)
		return r;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return ssi_errno(e, -errno, "%s", path);
	return TAKE_FD(fd);
}

int ssi_jobhop_listen(const char *path, unsigned mode, struct ssi_err *e)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	int r = jobhop_address(path, &a, e);

	if (r < 0)
		return r;
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, mode) < 0 || listen(fd, JOBHOP_BACKLOG) < 0)
		return ssi_errno(e, -errno, "%s", path);
	return TAKE_FD(fd);
}
