/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the connection to the agent: what comes over it, and what is said. One counts, the newest. Called by the loop, and by job.c when there is something
 * to tell.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/path.h"
#include "ssi-keeper/keeper.h"
#include "ssi/rexec/data.h"

#define ATTACH_COMMAND_MAX 64
#define ATTACH_SMALL 8192
#define ATTACH_END_MS 20

void attach_lost(struct keeper *k)
{
	ssi_jobhop_close(&k->hop);
	k->attached = false;
	if (!k->alone_ms)
		k->alone_ms = ssi_clock_mono_ms();
	if (k->phase == KEEPER_SPARE)
		k->phase = KEEPER_DONE;
}

void attach_accept(struct keeper *k)
{
	int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	attach_lost(k);
	ssi_jobhop_widen(fd);
	ssi_jobhop_init(&k->hop, fd);
	k->hop.cork = true;
}

/* --- saying --- */

void attach_say(struct keeper *k, uint16_t type, const ProtobufCMessage *m)
{
	uint8_t small[ATTACH_SMALL];
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *large = n > sizeof(small) ? malloc(n) : NULL;

	if (!k->attached || (n > sizeof(small) && !large))
		return;
	protobuf_c_message_pack(m, large ? large : small);
	/* Who asks and asks, and is not heard by the agent, has it all wait here. */
	if (ssi_jobhop_full(&k->hop) || ssi_jobhop_send(&k->hop, type, k->job, large ? large : small, n) < 0)
		attach_lost(k);
}

static Ssi__Job__State__What attach_what(const struct keeper *k)
{
	if (k->phase == KEEPER_ENDED)
		return SSI__JOB__STATE__WHAT__ENDED;
	if (!k->started)
		return SSI__JOB__STATE__WHAT__LOADING;
	return k->stopped ? SSI__JOB__STATE__WHAT__STOPPED : SSI__JOB__STATE__WHAT__RUNNING;
}

void attach_hold(struct keeper *k)
{
	Ssi__Job__Held m = SSI__JOB__HELD__INIT;
	char command[ATTACH_COMMAND_MAX] = "";
	uint8_t buf[256];
	size_t n;

	if (k->spec->n_argv) {
		const char *last = ssi_path_last((const char *)k->spec->argv[0].data, k->spec->argv[0].len, &n);

		snprintf(command, sizeof(command), "%.*s", n < sizeof(command) ? (int)n : (int)sizeof(command), last);
	}
	m.job = k->job;
	m.pid = k->spec->pid;
	m.uid = k->spec->uid;
	m.what = attach_what(k);
	m.command = command;
	m.started_by = k->spec->started_by;
	k->unheld = false;
	k->held_started = k->started;
	if (ssi__job__held__get_packed_size(&m) <= sizeof(buf))
		record_write(k, "held", buf, ssi__job__held__pack(&m, buf));
}

void attach_state(struct keeper *k)
{
	Ssi__Job__Started started = SSI__JOB__STARTED__INIT;
	Ssi__Job__State state = SSI__JOB__STATE__INIT;

	k->unheld |= k->started && !k->held_started;
	if (k->started && !k->started_said) {
		started.pid = (uint32_t)k->first;
		k->started_said = k->attached;
		attach_say(k, SSI_JOB_STARTED, &started.base);
		if (!k->stopped)
			return;
	}
	attach_pump(k);                      /* what it wrote until then is seen before its state */
	state.what = attach_what(k);
	state.signal = k->stopped;
	if (state.what != SSI__JOB__STATE__WHAT__ENDED)
		attach_say(k, SSI_JOB_STATE, &state.base);
}

static void attach_ack(struct keeper *k, struct inlet *i)
{
	Ssi__Job__Ack m = SSI__JOB__ACK__INIT;

	m.stream = i->stream;
	m.offset = i->acked = i->written;
	attach_say(k, SSI_JOB_ACK, &m.base);
}

/* Most programs end with their output, and then the record tells where it does: a moment is waited for that. */
static bool attach_end_now(struct keeper *k)
{
	uint64_t now = ssi_clock_mono_ms();

	if (!k->ends_ms)
		k->ends_ms = now + ATTACH_END_MS;
	return k->phase < KEEPER_DRAINING && now >= k->ends_ms;
}

/* What there is of a stream, while the socket takes it. */
static void attach_pump_outlet(struct keeper *k, struct outlet *o)
{
	while (k->attached && !k->hop.stuck && (!outlet_only_end(o) || attach_end_now(k))) {
		struct ssi_data d = { .stream = o->stream };
		uint8_t head[SSI_DATA_HEAD];
		struct iovec v[3];

		d.n = outlet_next(o, SSI_JOBFRAME_OUTPUT, v + 1, &d.offset, &d.end);
		if (!d.n && !d.end)
			return;
		v[0] = (struct iovec){ head, ssi_data_head(&d, head) };
		if (ssi_jobhop_sendv(&k->hop, SSI_JOB_DATA, k->job, v, 3) < 0)
			attach_lost(k);
	}
}

void attach_pump(struct keeper *k)
{
	bool said = true;

	if (!k->attached || k->phase == KEEPER_SPARE)
		return;
	load_tell(k);
	for (size_t i = 0; i < 2; i++)
		if (inlet_untold(&k->in[i]))
			attach_ack(k, &k->in[i]);
	for (size_t i = 0; i < 3; i++) {
		/* Before that it is not open yet, which is not its end. */
		if (k->phase >= (i == KEEPER_RES ? KEEPER_RESULT : KEEPER_RUNNING))
			attach_pump_outlet(k, &k->out[i]);
		said &= outlet_said(&k->out[i]) || outlet_only_end(&k->out[i]) || (i == KEEPER_RES && !k->spec->result[0]);
	}
	if (k->phase == KEEPER_ENDED && said && !k->exit_said) {
		k->exit_said = true;
		attach_say(k, SSI_JOB_EXIT, &k->exit.base);
	}
}

/* --- hearing --- */

/* What is missing now: others may have brought it. */
static void attach_need(struct keeper *k)
{
	if (k->phase == KEEPER_LOADING && load_need(k))
		job_begin(k);
}

static void attach_again(struct keeper *k, const Ssi__Job__Attach *m)
{
	k->attached = true;
	k->alone_ms = 0;
	k->exit_said = k->started_said = false;
	for (size_t i = 0; i < 3; i++) {
		uint64_t have = k->out[i].acked;

		for (size_t j = 0; j < m->n_have; j++)
			if (m->have[j]->stream == k->out[i].stream)
				have = m->have[j]->offset;
		outlet_rewind(&k->out[i], have);
	}
	for (size_t i = 0; i < 2; i++)
		attach_ack(k, &k->in[i]);
	attach_need(k);
	attach_state(k);
}

static void attach_window(struct keeper *k, const Ssi__Job__Terminal *m)
{
	const struct winsize size = { .ws_row = (unsigned short)m->rows, .ws_col = (unsigned short)m->columns };

	if (k->pty >= 0)
		ioctl(k->pty, TIOCSWINSZ, &size);
}

static void attach_data(struct keeper *k, const Ssi__Job__Data *m)
{
	for (size_t i = 0; i < 2; i++)
		if (k->in[i].stream == m->stream)
			inlet_take(&k->in[i], m->offset, m->data.data, m->data.len, m->end);
}

static void attach_acked(struct keeper *k, const Ssi__Job__Ack *m)
{
	for (size_t i = 0; i < 3; i++)
		if (k->out[i].stream == m->stream && m->gone)
			outlet_gone(&k->out[i]);
		else if (k->out[i].stream == m->stream)
			outlet_ack(&k->out[i], m->offset);
	job_drained(k);
}

static void attach_blob(struct keeper *k, const uint8_t *body, size_t n)
{
	struct ssi_err e;
	int r = k->phase == KEEPER_LOADING ? load_blob(k, body, n, &e) : 0;

	if (r < 0)
		job_refuse(k, &e);
	else if (r > 0)
		job_begin(k);
}

#define ATTACH_DECODE(type, call) do { \
	Ssi__Job__##type *m = (Ssi__Job__##type *)protobuf_c_message_unpack(descriptor, NULL, f->size, body); \
	if (m) { call; protobuf_c_message_free_unpacked(&m->base, NULL); } } while (0)

static void attach_frame(struct keeper *k, const struct ssi_jobframe *f, const uint8_t *body)
{
	static const ProtobufCMessageDescriptor *const of[] = {
		[SSI_JOB_DATA] = &ssi__job__data__descriptor, [SSI_JOB_ACK] = &ssi__job__ack__descriptor, [SSI_JOB_SIGNAL] = &ssi__job__signal__descriptor,
		[SSI_JOB_WINDOW] = &ssi__job__terminal__descriptor, [SSI_JOB_ATTACH] = &ssi__job__attach__descriptor,
	};
	const ProtobufCMessageDescriptor *descriptor = f->type < sizeof(of) / sizeof(*of) ? of[f->type] : NULL;

	switch (f->type) {
	case SSI_JOB_BLOB:
		attach_blob(k, body, f->size);
		break;
	case SSI_JOB_DATA:
		ATTACH_DECODE(Data, attach_data(k, m));
		break;
	case SSI_JOB_ACK:
		ATTACH_DECODE(Ack, attach_acked(k, m));
		break;
	case SSI_JOB_SIGNAL:
		ATTACH_DECODE(Signal, job_signal(k, (int)m->number, m->group));
		break;
	case SSI_JOB_WINDOW:
		ATTACH_DECODE(Terminal, attach_window(k, m));
		break;
	case SSI_JOB_ATTACH:
		ATTACH_DECODE(Attach, attach_again(k, m));
		break;
	case SSI_JOB_TAKE:
		attach_need(k);
		break;
	case SSI_JOB_EXIT_ACK:
		if (k->phase == KEEPER_ENDED)
			k->phase = KEEPER_DONE;
		break;
	}
}

void attach_read(struct keeper *k)
{
	struct ssi_jobframe f;
	const uint8_t *body;
	int r = ssi_jobhop_read(&k->hop);

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		attach_lost(k);
		return;
	}
	while ((r = ssi_jobhop_next(&k->hop, &f, &body)) > 0) {
		if (k->phase == KEEPER_SPARE && f.type == SSI_JOB_SPEC && f.job) {
			if (job_take(k, f.job, body, f.size) < 0)
				k->phase = KEEPER_DONE;
		} else if (k->phase != KEEPER_SPARE && f.job == k->job) {
			attach_frame(k, &f, body);
		}
		if (k->hop.fd < 0)
			return;              /* lost meanwhile */
	}
	if (r < 0)
		attach_lost(k);
	attach_pump(k);
}
