/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A piece of a stream, as a node may send it: what is taken of it lies within it, and is what protobuf's own decoder makes of it. */
#include <stdlib.h>
#include <string.h>
#include "ssi/rexec/data.h"
#include "ssi/rexec/job.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Ssi__Job__Data *m = ssi__job__data__unpack(NULL, size, data);
	struct ssi_data d;
	int r = ssi_data_decode(data, size, &d);

	if (r == 0 && (d.data < data || d.n > size || d.data > data + size - d.n))
		abort();
	if (m && (r < 0 || m->stream != d.stream || m->offset != d.offset || (d.end && !m->end) || m->data.len != d.n ||
		  (d.n && memcmp(m->data.data, d.data, d.n) != 0)))
		abort();
	if (m)
		ssi__job__data__free_unpacked(m, NULL);
	return 0;
}
