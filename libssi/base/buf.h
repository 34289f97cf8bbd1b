/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A growing byte buffer with a sticky error: appends after a failed one do nothing, and one check at the end
 * suffices. data is always NUL-terminated when not NULL. Zero-initialise (SSI_BUF_INIT); ssi_buf_free at the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include "libssi/base/cleanup.h"

struct ssi_buf {
	char *data;
	size_t len, cap;
	int err;        /* 0 or -ENOMEM, sticky */
};
#define SSI_BUF_INIT { 0 }

int ssi_buf_add(struct ssi_buf *b, const void *p, size_t n);
int ssi_buf_adds(struct ssi_buf *b, const char *s);
int ssi_buf_addf(struct ssi_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes; returns where to write them (then add to len), or NULL. */
char *ssi_buf_reserve(struct ssi_buf *b, size_t n);
/* Drop n bytes from the front. */
void ssi_buf_consume(struct ssi_buf *b, size_t n);
/* Hand over the string (caller frees), "" rather than NULL for an empty one; NULL after an error. b is empty then. */
char *ssi_buf_take(struct ssi_buf *b);
void ssi_buf_free(struct ssi_buf *b);
#define _cleanup_buf_ SSI_CLEANUP(ssi_buf_free)
