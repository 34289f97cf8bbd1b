/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes and reads a Data by hand, see data.h. Called by the keeper, and by who started a job. What comes is a node's word: fuzz-data. */
#include <errno.h>
#include <string.h>
#include "ssi/rexec/data.h"

enum { DATA_VARINT = 0, DATA_FIXED64 = 1, DATA_BYTES = 2, DATA_FIXED32 = 5 };
enum { DATA_STREAM = 1, DATA_OFFSET = 2, DATA_DATA = 3, DATA_END = 4 };

static uint8_t *data_put(uint8_t *p, unsigned field, unsigned wire, uint64_t value)
{
	*p++ = (uint8_t)(field << 3 | wire);
	for (; value >= 0x80; value >>= 7)
		*p++ = (uint8_t)(value | 0x80);
	*p++ = (uint8_t)value;
	return p;
}

/* What is 0 is not said. */
size_t ssi_data_head(const struct ssi_data *d, uint8_t ret[SSI_DATA_HEAD])
{
	uint8_t *p = ret;

	if (d->stream)
		p = data_put(p, DATA_STREAM, DATA_VARINT, d->stream);
	if (d->offset)
		p = data_put(p, DATA_OFFSET, DATA_VARINT, d->offset);
	if (d->end)
		p = data_put(p, DATA_END, DATA_VARINT, 1);
	if (d->n)
		p = data_put(p, DATA_DATA, DATA_BYTES, d->n);
	return (size_t)(p - ret);
}

/* Bytes of a varint at p, 0: it does not end within n. */
static size_t data_varint(const uint8_t *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n && i < 10; i++) {
		v |= (uint64_t)(p[i] & 0x7f) << 7 * i;
		if (!(p[i] & 0x80)) {
			*ret = v;
			return i + 1;
		}
	}
	return 0;
}

/* A field that is no number: bytes of it, 0 = it is none. Those that are not known are passed over. */
static size_t data_other(const uint8_t *p, size_t n, unsigned field, unsigned wire, struct ssi_data *d)
{
	uint64_t size = wire == DATA_FIXED64 ? 8 : 4;
	size_t k = 0;

	if (wire == DATA_BYTES)
		k = data_varint(p, n, &size);
	else if (wire != DATA_FIXED64 && wire != DATA_FIXED32)
		return 0;
	if ((wire == DATA_BYTES && !k) || size > n - k)
		return 0;
	if (wire == DATA_BYTES && field == DATA_DATA) {
		d->data = p + k;
		d->n = (size_t)size;
	}
	return k + (size_t)size;
}

/* A field of ours that comes as what it is not: decoders may differ in what they make of it. */
static bool data_wrong(uint64_t field, unsigned wire)
{
	return field <= DATA_END && wire != (field == DATA_DATA ? DATA_BYTES : DATA_VARINT);
}

int ssi_data_decode(const uint8_t *body, size_t n, struct ssi_data *ret)
{
	struct ssi_data d = { .data = body };
	const uint8_t *end = body + n;
	uint64_t tag, value = 0;
	size_t k;

	for (const uint8_t *p = body; p < end; p += k) {
		k = data_varint(p, (size_t)(end - p), &tag);
		if (!k || !(tag >> 3) || data_wrong(tag >> 3, tag & 7))
			return -EBADMSG;
		p += k;
		if ((tag & 7) != DATA_VARINT) {
			k = data_other(p, (size_t)(end - p), (unsigned)(tag >> 3), tag & 7, &d);
		} else {
			k = data_varint(p, (size_t)(end - p), &value);
			if (tag >> 3 == DATA_STREAM)
				d.stream = (uint32_t)value;
			else if (tag >> 3 == DATA_OFFSET)
				d.offset = value;
			else if (tag >> 3 == DATA_END)
				d.end = value;
		}
		if (!k)
			return -EBADMSG;
	}
	*ret = d;
	return 0;
}
