/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A piece of a stream, as a node may send it: what is taken of it lies within it, and is what protobuf's own decoder makes of it. That one passes over
 * some fields that are none; what it writes itself is always taken.
 */
#include <stdlib.h>
#include <string.h>
#include "ssi/rexec/data.h"
#include "ssi/rexec/job.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const Ssi__Job__Data *m, const struct ssi_data *d)
{
	if (m->stream != d->stream || m->offset != d->offset || (d->end && !m->end) || m->data.len != d->n ||
	    (d->n && memcmp(m->data.data, d->data, d->n) != 0))
		abort();
}

static void written_again(Ssi__Job__Data *m)
{
	Ssi__Job__Data plain = SSI__JOB__DATA__INIT;
	struct ssi_data d;
	uint8_t *p;

	plain.stream = m->stream;
	plain.offset = m->offset;
	plain.data = m->data;
	plain.end = m->end;
	p = malloc(ssi__job__data__get_packed_size(&plain) + 1);
	if (!p || ssi_data_decode(p, ssi__job__data__pack(&plain, p), &d) < 0)
		abort();
	same(m, &d);
	if (d.end != !!m->end)
		abort();
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Ssi__Job__Data *m = ssi__job__data__unpack(NULL, size, data);
	struct ssi_data d;
	int r = ssi_data_decode(data, size, &d);

	if (r == 0 && (d.data < data || d.n > size || d.data > data + size - d.n))
		abort();
	if (m && r == 0)
		same(m, &d);
	if (m)
		written_again(m);
	if (m)
		ssi__job__data__free_unpacked(m, NULL);
	return 0;
}
