/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A job's streams and blobs, on the side of who started it: what is kept until it is acknowledged, what was had already. Called by run.c. */
#include <errno.h>
#include <string.h>
#include "ssi/rexec/data.h"
#include "ssi/rexec/run-internal.h"

#define TELL_EACH (256u << 10)       /* bytes of output until it is acknowledged: a quarter of the window */
#define STREAM_BLOBS 5

size_t ssi_run_room(const struct ssi_run *r, unsigned stream)
{
	const struct run_out *o = run_out((struct ssi_run *)r, stream);

	return !o || o->end || o->kept.len >= SSI_JOB_WINDOW_BYTES ? 0 : SSI_JOB_WINDOW_BYTES - o->kept.len;
}

bool ssi_run_closed(const struct ssi_run *r, unsigned stream)
{
	const struct run_out *o = run_out((struct ssi_run *)r, stream);

	return !o || r->have_record;
}

int ssi_run_input(struct ssi_run *r, unsigned stream, const void *p, size_t n)
{
	struct run_out *o = run_out(r, stream);

	if (!o || n > ssi_run_room(r, stream))
		return n ? -EAGAIN : 0;
	if (!n)
		o->end = true;
	else if (ssi_buf_add(&o->kept, p, n) < 0)
		return -ENOMEM;
	run_send(r);
	return 0;
}

/* --- out --- */

static int send_piece(struct ssi_run *r, uint32_t stream, struct run_out *o, size_t n)
{
	Ssi__Job__Data m = SSI__JOB__DATA__INIT;
	int k;

	m.stream = stream;
	m.offset = o->sent;
	m.data.data = n ? (uint8_t *)o->kept.data + (o->sent - o->base) : NULL;
	m.data.len = n;
	m.end = o->end && o->sent + n == o->base + o->kept.len;
	k = run_say(r, SSI_JOB_DATA, &m.base);
	if (k < 0)
		return k;
	o->sent += n;
	o->end_sent |= m.end;
	return 0;
}

static void send_stream(struct ssi_run *r, uint32_t stream)
{
	struct run_out *o = run_out(r, stream);

	while (!o->fresh && !ssi_jobhop_full(&r->hop)) {
		size_t left = (size_t)(o->base + o->kept.len - o->sent), n = left < SSI_JOBFRAME_PIECE ? left : SSI_JOBFRAME_PIECE;

		if ((!n && (!o->end || o->end_sent)) || send_piece(r, stream, o, n) < 0)
			return;
	}
}

static void send_blobs(struct ssi_run *r)
{
	Ssi__Job__Blob m;
	struct ssi_err e;

	while (!r->held && r->at_need < r->n_need && r->blob_sent - r->blob_acked + SSI_JOBFRAME_PIECE <= SSI_JOB_WINDOW_BYTES && !r->hop.stuck) {
		ssize_t n = !r->spec ? ssi_errf(&e, -ESTALE, "who had its program is gone") : ssi_pack_piece(r->pack, r->need[r->at_need], r->blob_offset, &m, &e);

		if (n < 0) {
			run_fail(r, (int)-n, e.text);
			return;
		}
		if (run_say(r, SSI_JOB_BLOB, &m.base) < 0)
			return;
		r->blob_sent += m.data.len;
		r->blob_offset += (uint64_t)n;
		if (r->blob_offset >= m.size) {
			r->at_need++;
			r->blob_offset = 0;
		}
	}
}

static void tell(struct ssi_run *r, uint32_t stream)
{
	struct run_in *i = run_in(r, stream);
	Ssi__Job__Ack m = SSI__JOB__ACK__INIT;

	if (i->consumed - i->told < TELL_EACH)
		return;
	m.stream = stream;
	m.offset = i->consumed;
	if (run_say(r, SSI_JOB_ACK, &m.base) >= 0)
		i->told = i->consumed;
}

void run_send(struct ssi_run *r)
{
	if (r->hop.fd < 0 || r->again || r->away || r->have_record)
		return;
	send_blobs(r);
	/* Input waits at the node's keeper, which is there once SPEC has been said. */
	send_stream(r, 3);
	send_stream(r, 0);
}

void ssi_run_consumed(struct ssi_run *r, unsigned stream, size_t n)
{
	struct run_in *i = run_in(r, stream);

	if (!i)
		return;
	i->consumed += n;
	if (!r->over && !r->away)
		tell(r, stream);
}

int run_say_gone(struct ssi_run *r)
{
	int k = 0;

	for (uint32_t stream = 1; stream <= 2 && k >= 0; stream++) {
		Ssi__Job__Ack m = SSI__JOB__ACK__INIT;

		m.stream = stream;
		m.offset = run_in(r, stream)->consumed;
		m.gone = true;
		if (run_in(r, stream)->gone)
			k = run_say(r, SSI_JOB_ACK, &m.base);
	}
	return k;
}

void ssi_run_gone(struct ssi_run *r, unsigned stream)
{
	struct run_in *i = run_in(r, stream);

	if (!i || stream > 2 || i->gone)
		return;
	i->gone = true;
	if (!r->away)
		run_say_gone(r);
}

void run_rewind(struct ssi_run *r)
{
	for (int k = 0; k < 2; k++) {
		r->out[k].sent = r->out[k].base;
		r->out[k].end_sent = false;
	}
	r->n_need = r->at_need = 0;          /* it is asked for anew */
}

/* --- in --- */

int run_on_data(struct ssi_run *r, const uint8_t *body, size_t n)
{
	struct ssi_data m;
	struct run_in *i;
	size_t skip;

	if (ssi_data_decode(body, n, &m) < 0)
		return -EBADMSG;
	i = run_in(r, m.stream);
	if (!i || m.offset + m.n < m.offset)
		return -EPROTO;
	if (i->fresh)
		i->have = i->consumed = i->told = m.offset;
	i->fresh = false;
	if (m.offset > i->have || i->ended)
		return 0;                        /* of before a break: it comes again; or was had already */
	skip = (size_t)(i->have - m.offset);
	if (skip < m.n) {
		i->have += m.n - skip;
		r->ops->output(r, m.stream, m.data + skip, m.n - skip, r->userdata);
	} else if (skip > m.n)
		return 0;
	if (m.end && !i->ended) {
		i->ended = true;
		r->ops->output(r, m.stream, NULL, 0, r->userdata);
	}
	return 0;
}

int run_on_ack(struct ssi_run *r, const Ssi__Job__Ack *m)
{
	struct run_out *o = run_out(r, m->stream);

	if (m->stream == STREAM_BLOBS) {
		if (m->offset <= r->blob_sent && m->offset > r->blob_acked)
			r->blob_acked = m->offset;
		return 0;
	}
	if (o && o->fresh)
		o->base = o->sent = m->offset;
	if (!o || m->offset > o->base + o->kept.len)
		return -EPROTO;
	o->fresh = false;
	if (m->offset > o->base) {
		ssi_buf_consume(&o->kept, (size_t)(m->offset - o->base));
		o->base = m->offset;
		if (o->sent < o->base)
			o->sent = o->base;
	}
	return 0;
}

int run_on_need(struct ssi_run *r, const Ssi__Job__Need *m)
{
	uint8_t (*need)[SSI_HASH_BYTES] = calloc(m->n_digests + 1, sizeof(*need));

	if (!need)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_digests; i++) {
		if (m->digests[i].len != SSI_HASH_BYTES) {
			free(need);
			return -EPROTO;
		}
		memcpy(need[i], m->digests[i].data, SSI_HASH_BYTES);
	}
	free(r->need);
	r->need = need;
	r->n_need = m->n_digests;
	r->at_need = 0;
	r->blob_offset = r->blob_sent = r->blob_acked = 0;
	run_needs(r);
	return 0;
}

bool run_has_all(const struct ssi_run *r)
{
	for (int k = 0; k < 3; k++)
		if (!r->in[k].fresh && r->in[k].have < r->ends[k])
			return false;
	return true;
}
