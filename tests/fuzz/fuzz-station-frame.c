/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/comm/station-frame: any bytes as a frame's header, a HELLO and a CREDIT; what is accepted is written back the same. */
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/station-frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const uint8_t *a, const uint8_t *b, size_t n)
{
	if (memcmp(a, b, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[STATION_HEADER];
	struct station_frame f;
	struct station_hello h;
	uint16_t module;
	uint64_t taken;
	struct ssi_err e;

	if (size < STATION_HEADER)
		return 0;
	if (station_frame_decode(data, &f, &e) == 0) {
		if (f.size > STATION_BODY_MAX || f.size != station_frame_size(data) || f.serial != station_frame_serial(data))
			abort();
		if ((!f.module || f.flags == KIND_NEWS) != !f.serial || (!f.module && f.size > STATION_CONTROL_MAX))
			abort();
		if (station_frame_kind(&f) > KIND_NEWS || (station_frame_kind(&f) == KIND_NEWS && f.flags & STATION_WANTS_ANSWER))
			abort();
		station_frame_encode(&f, bytes);
		same(bytes, data, STATION_HEADER);
	}
	if (station_hello_decode(data, &h, &e) == 0) {
		if (!h.next || h.window < STATION_WINDOW_MIN || h.retain < STATION_WINDOW_MIN)
			abort();
		station_hello_encode(&h, bytes);
		same(bytes, data, STATION_HELLO);
	}
	station_credit_decode(data, &module, &taken);
	station_credit_encode(module, taken, bytes);
	same(bytes, data, sizeof(module));
	same(bytes + STATION_CREDIT - sizeof(taken), data + STATION_CREDIT - sizeof(taken), sizeof(taken));
	return 0;
}
