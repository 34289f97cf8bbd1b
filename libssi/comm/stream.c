/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns a frame that is half here. Called by both faces of ccm, and by a fuzz target with any bytes at all. */
#include <errno.h>
#include <string.h>
#include "libssi/comm/stream.h"

#define STREAM_KEEP 4096     /* a body buffer over this is given back after its frame: most frames are small */

static size_t stream_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Take header bytes; 1 when it is whole and may come, 0 when more is needed. */
static int stream_header(struct ssi_stream *s, const uint8_t **p, size_t *n, const struct ssi_stream_ops *ops, void *userdata, struct ssi_err *e)
{
	size_t take = stream_min(*n, SSI_WIRE_HEADER - s->n_header);
	int r;

	memcpy(s->header + s->n_header, *p, take);
	s->n_header += take;
	*p += take;
	*n -= take;
	if (s->n_header < SSI_WIRE_HEADER)
		return 0;
	r = ssi_wire_decode(s->header, &s->frame, e);
	if (r >= 0)
		r = ops->check(&s->frame, userdata, e);
	return r < 0 ? r : 1;
}

/* Where the whole body is, or NULL when more is needed (or memory is out: then *r). */
static const uint8_t *stream_body(struct ssi_stream *s, const uint8_t **p, size_t *n, int *r)
{
	size_t take = stream_min(*n, s->frame.size - s->body.len);
	const uint8_t *at = *p;

	*p += take;
	*n -= take;
	if (take == s->frame.size)
		return at;
	*r = take ? ssi_buf_add(&s->body, at, take) : 0;
	return *r >= 0 && s->body.len == s->frame.size ? (const uint8_t *)s->body.data : NULL;
}

int ssi_stream_feed(struct ssi_stream *s, const uint8_t *p, size_t n, const struct ssi_stream_ops *ops, void *userdata, struct ssi_err *e)
{
	while (n > 0) {
		const uint8_t *body;
		int r = 0;

		if (s->n_header < SSI_WIRE_HEADER) {
			r = stream_header(s, &p, &n, ops, userdata, e);
			if (r <= 0)
				return r;
		}
		body = stream_body(s, &p, &n, &r);
		if (r < 0)
			return ssi_errf(e, r, "no memory for a frame of %u bytes", s->frame.size);
		if (!body)
			return 0;
		s->n_header = 0;
		r = ops->frame(&s->frame, body, userdata, e);
		s->body.len = 0;
		if (s->body.cap > STREAM_KEEP)
			ssi_buf_free(&s->body);
		if (r < 0)
			return r;
	}
	return 0;
}

void ssi_stream_free(struct ssi_stream *s)
{
	ssi_buf_free(&s->body);
}
