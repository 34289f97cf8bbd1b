/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by fetch.c, in a stage's child. What comes from the network is parsed here and nowhere else on the way of an image; the body is checked by fetch.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/num.h"
#include "libssi/comm/sock.h"
#include "ssi-init/http.h"

#define REQUEST_MAX 512

/* "HTTP/1.1 200 OK" */
static int head_status(const char *line, unsigned *ret)
{
	char digits[4] = "";
	uint32_t status;

	if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
		return -EBADMSG;
	snprintf(digits, sizeof(digits), "%.3s", line + 9);
	if (ssi_num_u32(digits, 100, 599, &status) < 0 || (line[12] != ' ' && line[12] != '\0'))
		return -EBADMSG;
	*ret = status;
	return 0;
}

/* "Content-Length: 17": the value, or NULL if the line is another field's. */
static const char *head_field(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

static int head_fields(char *text, struct http_head *ret)
{
	bool known = false;
	char *save = NULL;

	for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		const char *length = head_field(line, "Content-Length");
		uint64_t n;

		if (head_field(line, "Transfer-Encoding"))
			return -EBADMSG;
		if (!length)
			continue;
		if (ssi_num_u64(length, 0, INT64_MAX, &n) < 0 || (known && n != ret->length))
			return -EBADMSG;
		ret->length = n;
		known = true;
	}
	return known ? 0 : -EBADMSG;
}

int http_parse_head(const char *p, size_t n, struct http_head *ret)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	struct http_head head = { 0 };
	char text[HTTP_HEAD_MAX + 1], *fields;
	size_t len;

	if (!end)
		return n < HTTP_HEAD_MAX ? -EAGAIN : -EBADMSG;
	len = (size_t)(end - p);
	if (len + 4 > HTTP_HEAD_MAX || memchr(p, '\0', len))
		return -EBADMSG;
	memcpy(text, p, len);
	text[len] = '\0';
	fields = strstr(text, "\r\n");
	if (fields)
		*fields = '\0';
	if (head_status(text, &head.status) < 0 || !fields || head_fields(fields + 2, &head) < 0)
		return -EBADMSG;
	*ret = head;
	return (int)len + 4;
}

static int http_wait(const struct http *h, short what)
{
	struct pollfd p = { .fd = h->fd, .events = what };
	int r;

	do
		r = poll(&p, 1, (int)h->bound_ms);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r ? 0 : -ETIMEDOUT;
}

static int http_send(const struct http *h, const char *text)
{
	size_t n = strlen(text);

	while (n) {
		ssize_t sent = send(h->fd, text, n, MSG_NOSIGNAL);
		int r = sent < 0 ? -errno : 0;

		if (r == -EAGAIN)
			r = http_wait(h, POLLOUT);
		else if (r == 0) {
			text += sent;
			n -= (size_t)sent;
		}
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

/* 0: the server has ended the connection. */
static ssize_t http_recv(const struct http *h, void *p, size_t n)
{
	for (;;) {
		ssize_t got = recv(h->fd, p, n, 0);
		int r = got < 0 ? -errno : 0;

		if (got >= 0)
			return got;
		if (r == -EAGAIN)
			r = http_wait(h, POLLIN);
		else if (r == -EINTR)
			r = 0;
		if (r < 0)
			return r;
	}
}

/* The answer's head; what came of the body along with it stays in buf. */
static int http_answer(struct http *h, struct http_head *ret)
{
	for (;;) {
		ssize_t got = http_recv(h, h->buf + h->n, sizeof(h->buf) - h->n);
		int r;

		if (got <= 0)
			return got < 0 ? (int)got : -ECONNRESET;
		h->n += (size_t)got;
		r = http_parse_head(h->buf, h->n, ret);
		if (r >= 0) {
			h->at = (size_t)r;
			return 0;
		}
		if (r != -EAGAIN)
			return r;
	}
}

static int http_ask(struct http *h, const char *server, uint16_t port, const char *path, struct ssi_err *e)
{
	struct http_head head = { 0 };
	char request[REQUEST_MAX];
	int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: ssi-init\r\nConnection: close\r\n\r\n", path, server, port), r;

	if (n >= (int)sizeof(request))
		return ssi_errno(e, -ENAMETOOLONG, "%s", path);
	r = http_send(h, request);
	if (r == 0)
		r = http_answer(h, &head);
	if (r == -EBADMSG)
		return ssi_errf(e, r, "%s:%u does not answer as an HTTP server", server, port);
	if (r < 0)
		return ssi_errno(e, r, "%s:%u", server, port);
	if (head.status == 404)
		return ssi_errf(e, -ENOENT, "%s:%u has no %s", server, port, path);
	if (head.status != 200)
		return ssi_errf(e, -EPROTO, "%s:%u answers with status %u to %s", server, port, head.status, path);
	h->length = head.length;
	return 0;
}

int http_open(struct http *h, struct in_addr server, uint16_t port, const char *path, unsigned bound_ms, struct ssi_err *e)
{
	_cleanup_close_ int fd = ssi_sock_connect(server, port, e);
	char text[INET_ADDRSTRLEN];
	int r;

	if (fd < 0)
		return fd;
	inet_ntop(AF_INET, &server, text, sizeof(text));
	h->fd = fd;
	h->bound_ms = bound_ms;
	h->at = h->n = 0;
	r = http_wait(h, POLLOUT);
	r = r < 0 ? ssi_errno(e, r, "connect to %s:%u", text, port) : ssi_sock_error(fd, server, port, e);
	if (r == 0)
		r = http_ask(h, text, port, path, e);
	h->fd = r < 0 ? -1 : TAKE_FD(fd);
	return r;
}

ssize_t http_read(struct http *h, void *p, size_t n, struct ssi_err *e)
{
	ssize_t got;

	if (h->at < h->n) {
		if (n > h->n - h->at)
			n = h->n - h->at;
		memcpy(p, h->buf + h->at, n);
		h->at += n;
		return (ssize_t)n;
	}
	got = http_recv(h, p, n);
	if (got == -ETIMEDOUT)
		return ssi_errf(e, -ETIMEDOUT, "nothing came for %u s", h->bound_ms / 1000);
	return got < 0 ? ssi_errno(e, (int)got, "the connection broke") : got;
}

void http_close(struct http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}
