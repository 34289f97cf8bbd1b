/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Bytes in, frames out. A header is checked when its last byte has come, and before one byte of its body is kept; a body that
 * lies whole in what was fed is handed over where it lies. Pure: knows no socket. Zero-initialise; ssi_stream_free at the end.
 */
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"
#include "libssi/model/wire.h"

struct ssi_stream {
	uint8_t header[SSI_WIRE_HEADER];
	size_t n_header;
	struct ssi_frame frame;      /* valid when the header is whole */
	struct ssi_buf body;
};

struct ssi_stream_ops {
	/* May this frame come? Negative (and in e why): the stream ends here. */
	int (*check)(const struct ssi_frame *f, void *userdata, struct ssi_err *e);
	/* A whole frame; body is borrowed for the call. Negative: the stream ends here. */
	int (*frame)(const struct ssi_frame *f, const uint8_t *body, void *userdata, struct ssi_err *e);
};

/* 0, or what a callback or the decoder said; the stream is of no use afterwards. */
int ssi_stream_feed(struct ssi_stream *s, const uint8_t *p, size_t n, const struct ssi_stream_ops *ops, void *userdata, struct ssi_err *e);
void ssi_stream_free(struct ssi_stream *s);
