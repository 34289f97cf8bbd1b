/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One GET by HTTP/1.1 (RFC 9112), as fetching an image wants it: from an address, of a path as it stands, to the end. No names, no TLS, no redirects,
 * no ranges and no transfer codings; an answer of another kind is an error. Every wait has a bound.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"

#define HTTP_HEAD_MAX 4096               /* of an answer, in bytes */

struct http_head { unsigned status; uint64_t length; };

/* The first n bytes of an answer. How many the head has, with the empty line that ends it; -EAGAIN: more of it is to come; -EBADMSG: it is none, is
 * too long, or does not say how long its body is. */
int http_parse_head(const char *p, size_t n, struct http_head *ret);

struct http {
	int fd;                          /* -1: closed */
	uint64_t length;                 /* of the body */
	unsigned bound_ms;               /* of each wait */
	size_t at, n;                    /* what of buf is body, and not read yet */
	char buf[HTTP_HEAD_MAX];
};

/* Ask, and read the head. -ENOENT: there is no such path; another status: -EPROTO. h is to be closed after 0 alone. */
int http_open(struct http *h, struct in_addr server, uint16_t port, const char *path, unsigned bound_ms, struct ssi_err *e);
/* The next bytes of the body, at most n; 0 when the server has ended the connection. -ETIMEDOUT: nothing came for bound_ms. */
ssize_t http_read(struct http *h, void *p, size_t n, struct ssi_err *e);
void http_close(struct http *h);
