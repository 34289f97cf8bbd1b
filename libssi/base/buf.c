/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing byte buffer. Used by all who build a text or collect bytes of unknown number. What it does not do well:
 * dropping bytes from the front moves the rest, so it is no queue for megabytes.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "libssi/base/buf.h"

#define BUF_FIRST 256        /* bytes of the first allocation */

char *ssi_buf_reserve(struct ssi_buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	char *p;

	if (b->err)
		return NULL;
	if (n >= SIZE_MAX / 4 - b->len) {
		b->err = -ENOMEM;
		return NULL;
	}
	while (cap < b->len + n + 1)
		cap *= 2;
	if (cap != b->cap) {
		p = realloc(b->data, cap);
		if (!p) {
			b->err = -ENOMEM;
			return NULL;
		}
		b->data = p;
		b->cap = cap;
	}
	b->data[b->len] = '\0';
	return b->data + b->len;
}

int ssi_buf_add(struct ssi_buf *b, const void *p, size_t n)
{
	char *to = ssi_buf_reserve(b, n);

	if (!to)
		return b->err;
	if (n)
		memcpy(to, p, n);
	to[n] = '\0';
	b->len += n;
	return 0;
}

int ssi_buf_adds(struct ssi_buf *b, const char *s)
{
	return ssi_buf_add(b, s, strlen(s));
}

int ssi_buf_addf(struct ssi_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = n < 0 ? NULL : ssi_buf_reserve(b, n);
	if (!to)
		return b->err ? b->err : (b->err = -ENOMEM);
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += n;
	return 0;
}

void ssi_buf_consume(struct ssi_buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (!n)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len + 1);
}

char *ssi_buf_take(struct ssi_buf *b)
{
	char *s;

	if (!ssi_buf_reserve(b, 0)) {
		ssi_buf_free(b);
		return NULL;
	}
	s = TAKE_PTR(b->data);
	b->len = b->cap = 0;
	return s;
}

void ssi_buf_free(struct ssi_buf *b)
{
	free(b->data);
	*b = (struct ssi_buf)SSI_BUF_INIT;
}
