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
	char *to;
	ssize_t n;

	ssi_buf_consume(&h->in, h->in_at);       /* what is left of a frame: moved once for each read, not for each frame */
	h->in_at = 0;
	to = ssi_buf_reserve(&h->in, JOBFRAME_READ);
	if (!to)
		return -ENOMEM;
	do
		n = recv(h->fd, to, JOBFRAME_READ, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
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

/* What the socket takes of two pieces at once; bytes or -errno. */
static ssize_t jobhop_write(struct ssi_jobhop *h, const void *a, size_t n, const void *b, size_t m)
{
	struct iovec v[2] = { { (void *)a, n }, { (void *)b, m } };
	const struct msghdr msg = { .msg_iov = v, .msg_iovlen = m ? 2 : 1 };
	ssize_t k;

	do
		k = sendmsg(h->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (k < 0 && errno == EINTR);
	if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return k < 0 ? -errno : k;
}

int ssi_jobhop_flush(struct ssi_jobhop *h)
{
	while (ssi_jobhop_waits(h)) {
		ssize_t n = jobhop_write(h, h->out.data + h->out_at, h->out.len - h->out_at, NULL, 0);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return 0;
		h->out_at += (size_t)n;
	}
	ssi_buf_free(&h->out);
	h->out_at = 0;
	return 0;
}

static int jobhop_keep(struct ssi_jobhop *h, const uint8_t *head, const void *body, size_t n, size_t gone)
{
	size_t of_head = gone < SSI_JOBFRAME_HEAD ? gone : SSI_JOBFRAME_HEAD;

	if (h->out_at > h->out.len / 2) {
		ssi_buf_consume(&h->out, h->out_at);
		h->out_at = 0;
	}
	ssi_buf_add(&h->out, head + of_head, SSI_JOBFRAME_HEAD - of_head);
	if (n)
		ssi_buf_add(&h->out, (const uint8_t *)body + (gone - of_head), n - (gone - of_head));
	return h->out.err;
}

int ssi_jobhop_send(struct ssi_jobhop *h, uint16_t type, uint64_t job, const void *body, size_t n)
{
	const struct ssi_jobframe f = { .size = (uint32_t)n, .type = type, .job = job };
	uint8_t head[SSI_JOBFRAME_HEAD];
	ssize_t gone = 0;

	if (n > SSI_JOBFRAME_MAX)
		return -EMSGSIZE;
	if (h->fd < 0)
		return -EPIPE;
	ssi_jobframe_encode(&f, head);
	if (!ssi_jobhop_waits(h))
		gone = jobhop_write(h, head, sizeof(head), body, n);
	if (gone < 0)
		return (int)gone;
	return (size_t)gone < sizeof(head) + n ? jobhop_keep(h, head, body, n, (size_t)gone) : 0;
}

bool ssi_jobhop_full(const struct ssi_jobhop *h)
{
	return h->out.len - h->out_at > (h->out_max ? h->out_max : SSI_JOB_WINDOW_BYTES);
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
