/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes, cut anywhere, into frames: the same frames must come out however the bytes were cut. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 4096u

struct seen { uint64_t digest; unsigned frames; };

static int check(const struct ssi_frame *f, void *userdata, struct ssi_err *e)
{
	return f->size > BODY_MAX ? ssi_errf(e, -EMSGSIZE, "%u bytes", f->size) : 0;
}

static int frame(const struct ssi_frame *f, const uint8_t *body, void *userdata, struct ssi_err *e)
{
	struct seen *s = userdata;

	s->frames++;
	s->digest = s->digest * 31 + f->type;
	for (uint32_t i = 0; i < f->size; i++)
		s->digest = s->digest * 31 + body[i];
	return 0;
}

/* Feed in pieces of step bytes. */
static int feed(const uint8_t *p, size_t n, size_t step, struct seen *s)
{
	static const struct ssi_stream_ops ops = { .check = check, .frame = frame };
	struct ssi_stream stream = { 0 };
	struct ssi_err e;
	int r = 0;

	for (size_t at = 0; at < n && r >= 0; at += step)
		r = ssi_stream_feed(&stream, p + at, n - at < step ? n - at : step, &ops, s, &e);
	ssi_stream_free(&stream);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = { 0 }, cut = { 0 };

	if (!size || size > 65536)
		return 0;
	if (feed(data + 1, size - 1, size, &whole) != feed(data + 1, size - 1, 1 + data[0], &cut))
		abort();
	if (memcmp(&whole.digest, &cut.digest, sizeof(whole.digest)) || whole.frames != cut.frames)
		abort();
	return 0;
}
