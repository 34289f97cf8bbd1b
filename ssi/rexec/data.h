/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The message Data (ssi/rexec/job.proto) without copies: protobuf's own functions put each piece of a stream into memory of its own, on either side. The same
 * bytes on the wire, in the order stream, offset, end, data (https://protobuf.dev/programming-guides/encoding).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSI_DATA_HEAD 32

struct ssi_data { uint32_t stream; uint64_t offset; bool end; const uint8_t *data; size_t n; };

/* All of it but the n bytes of data, which come behind; how much that is. */
size_t ssi_data_head(const struct ssi_data *d, uint8_t ret[SSI_DATA_HEAD]);
/* data lies in body, which stays the caller's. -EBADMSG: this is no Data. */
int ssi_data_decode(const uint8_t *body, size_t n, struct ssi_data *ret);
