/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job on the side of who started it: the states of doc/jobs.md. Called by ssi run and by ssi_rexec(). The connection to the daemon may break at any time;
 * the job's keeper has what was not acknowledged, and so has this.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "ssi/boot/text.h"
#include "ssi/rexec/run-internal.h"

#define WAIT_FIRST_MS 50
#define WAIT_MOST_MS 1000
#define LOST_MS (10u * 60 * 1000)    /* so long without the daemon, and nobody knows any more */
#define SPEC_TRIES 5
#define ACK_MS 5000                  /* so long the daemon is waited for only to tell it that all is here */

const char *ssi_run_socket(void)
{
	const char *env = getenv("SSI_JOBS");

	return env && *env ? env : SSI_RUNDIR "/jobs.sock";
}

int run_say(struct ssi_run *r, uint16_t type, const ProtobufCMessage *m)
{
	size_t n = m ? protobuf_c_message_get_packed_size(m) : 0;
	uint8_t small[512] = { 0 }, *p = n <= sizeof(small) ? small : malloc(n);
	int k;

	if (r->again || r->hop.fd < 0 || !p) {
		if (p != small)
			free(p);
		return -ENOTCONN;
	}
	if (m)
		protobuf_c_message_pack(m, p);
	k = ssi_jobhop_send(&r->hop, type, r->place.job, p, n);
	if (p != small)
		free(p);
	return k;
}

/* --- the record --- */

static void end_with(struct ssi_run *r, enum ssi_run_cause cause, int signal, int error, const char *text)
{
	r->have_record = true;
	r->exit = (struct ssi_run_exit){ .cause = cause, .signal = signal, .error = error, .status = cause == SSI_RUN_NOT_STARTED ? error == ENOENT ? 127 : 126 : 0 };
	ssi_text_copy(r->exit.text, sizeof(r->exit.text), text);
	memset(r->ends, 0, sizeof(r->ends));
}

void run_fail(struct ssi_run *r, int error, const char *text)
{
	Ssi__Job__Signal m = SSI__JOB__SIGNAL__INIT;

	m.number = SIGKILL;
	run_say(r, SSI_JOB_SIGNAL, &m.base);     /* what waits for it there need not */
	end_with(r, SSI_RUN_NOT_STARTED, 0, error, text);
}

static int on_exit_record(struct ssi_run *r, const Ssi__Job__Exit *m)
{
	if (m->cause > SSI__JOB__EXIT__CAUSE__LEASE)
		return -EPROTO;
	end_with(r, (enum ssi_run_cause)m->cause, (int)m->signal, (int)m->error, m->text);
	if (m->cause != SSI__JOB__EXIT__CAUSE__NOT_STARTED)
		r->exit.status = (int)m->status;
	r->exit.core = m->core;
	if (m->usage) {
		r->exit.user_us = m->usage->user_us;
		r->exit.system_us = m->usage->system_us;
		r->exit.max_rss = m->usage->max_rss;
	}
	for (size_t i = 0; i < m->n_ends; i++)
		if (m->ends[i]->stream == 0 && m->ends[i]->offset < r->out[0].base + r->out[0].kept.len)
			r->exit.unread = r->out[0].base + r->out[0].kept.len - m->ends[i]->offset;
		else if (run_in(r, m->ends[i]->stream))
			r->ends[run_in(r, m->ends[i]->stream) - r->in] = m->ends[i]->offset;
	return 0;
}

/* Once the record and all output are here, and the caller has dealt with it: nobody needs to keep anything any more. */
static void end_maybe(struct ssi_run *r)
{
	if (!r->have_record || r->over || !run_has_all(r) || (r->again && ssi_clock_mono_ms() - r->lost < ACK_MS))
		return;
	for (int k = 0; k < 3; k++)
		if (!r->in[k].ended) {
			r->in[k].ended = true;
			r->ops->output(r, (unsigned[]){ 1, 2, 4 }[k], NULL, 0, r->userdata);
		}
	for (int k = 0; k < 3; k++)
		if (r->in[k].consumed < r->in[k].have)
			return;
	run_say(r, SSI_JOB_EXIT_ACK, NULL);
	ssi_jobhop_flush(&r->hop);
	r->over = true;
	r->state = SSI_RUN_ENDED;
	if (r->ops->state)
		r->ops->state(r, r->state, 0, r->userdata);
}

/* --- beginning, and beginning again --- */

static int say_spec(struct ssi_run *r)
{
	r->tries++;
	r->state = SSI_RUN_SENDING;
	return run_say(r, SSI_JOB_SPEC, &r->spec->base);
}

static int say_attach(struct ssi_run *r)
{
	Ssi__Job__Attach m = SSI__JOB__ATTACH__INIT;
	Ssi__Job__Ack have[3], *list[3];

	for (int k = 0; k < 3; k++) {
		if (r->in[k].fresh)
			continue;
		ssi__job__ack__init(&have[m.n_have]);
		have[m.n_have].stream = (uint32_t[]){ 1, 2, 4 }[k];
		have[m.n_have].offset = r->in[k].have;
		list[m.n_have] = &have[m.n_have];
		m.n_have++;
	}
	m.have = list;
	m.steal = true;
	run_rewind(r);
	return run_say(r, SSI_JOB_ATTACH, &m.base) < 0 ? -ENOTCONN : run_say_gone(r);
}

static void signals_go(struct ssi_run *r)
{
	for (unsigned i = 1; i < 64 && r->pending; i++)
		if (r->pending & (1ull << i)) {
			r->pending &= ~(1ull << i);
			ssi_run_signal(r, (int)i, true);
		}
}

static void disconnected(struct ssi_run *r)
{
	uint64_t now = ssi_clock_mono_ms();

	ssi_jobhop_close(&r->hop);
	if (!r->lost)
		r->lost = now;
	r->wait = r->wait ? r->wait * 2 : WAIT_FIRST_MS;
	if (r->wait > WAIT_MOST_MS)
		r->wait = WAIT_MOST_MS;
	r->again = now + r->wait;
}

static int connect_again(struct ssi_run *r, struct ssi_err *e)
{
	int fd = ssi_jobhop_connect(r->socket, e);

	if (fd < 0) {
		if (ssi_clock_mono_ms() - r->lost > LOST_MS)
			return ssi_err_prefix(e, "job %llu", (unsigned long long)r->place.job);
		disconnected(r);
		return 0;
	}
	ssi_jobhop_init(&r->hop, fd);
	r->again = 0;
	r->away = false;
	r->had |= r->have_record;            /* it comes again, and only who was sent it may acknowledge it */
	r->have_record = false;
	return say_attach(r);
}

static int begin(const char *socket, int fd, const struct ssi_run_place *place, const struct ssi_run_ops *ops, void *userdata, struct ssi_run **ret,
		 struct ssi_err *e)
{
	struct ssi_run *r = calloc(1, sizeof(*r));

	if (!socket)
		socket = ssi_run_socket();
	if (fd < 0)
		fd = ssi_jobhop_connect(socket, e);
	if (!r || fd < 0) {
		free(r);
		return fd < 0 ? fd : ssi_errf(e, -ENOMEM, "no memory for a job");
	}
	ssi_jobhop_init(&r->hop, fd);
	r->place = *place;
	r->ops = ops;
	r->userdata = userdata;
	r->socket = strdup(socket);
	if (!r->socket) {
		ssi_run_free(r);
		return ssi_errf(e, -ENOMEM, "no memory for a job");
	}
	*ret = r;
	return 0;
}

int ssi_run_new(const char *socket, int fd, const struct ssi_run_place *place, const Ssi__Job__Spec *spec, struct ssi_pack *pack, const struct ssi_run_ops *ops,
		void *userdata, struct ssi_run **ret, struct ssi_err *e)
{
	struct ssi_run *r;
	int k = begin(socket, fd, place, ops, userdata, &r, e);

	if (k < 0)
		return k;
	r->spec = spec;
	r->pack = pack;
	k = say_spec(r);
	if (k < 0) {
		k = k == -EMSGSIZE ? ssi_errf(e, -E2BIG, "arguments and environment are more than a job may have (128 KiB)") : ssi_errno(e, k, "%s", r->socket);
		ssi_run_free(r);
		return k;
	}
	*ret = r;
	return 0;
}

int ssi_run_attach(const char *socket, int fd, const struct ssi_run_place *place, const struct ssi_run_ops *ops, void *userdata, struct ssi_run **ret,
		   struct ssi_err *e)
{
	struct ssi_run *r;
	int k = begin(socket, fd, place, ops, userdata, &r, e);

	if (k < 0)
		return k;
	r->started = true;
	r->state = SSI_RUN_RUNNING;
	for (int i = 0; i < 3; i++)
		r->in[i].fresh = true;
	for (int i = 0; i < 2; i++)
		r->out[i].fresh = r->out[i].end = true;
	k = say_attach(r);
	if (k < 0) {
		ssi_run_free(r);
		return ssi_errno(e, k, "the job");
	}
	*ret = r;
	return 0;
}

void ssi_run_free(struct ssi_run *r)
{
	if (!r)
		return;
	ssi_jobhop_close(&r->hop);
	for (int k = 0; k < 2; k++)
		ssi_buf_free(&r->out[k].kept);
	free(r->need);
	free(r->socket);
	free(r);
}

/* --- what comes --- */

static void state_is(struct ssi_run *r, enum ssi_run_state s, int signal)
{
	if (r->state == s)
		return;
	r->state = s;
	if (r->ops->state)
		r->ops->state(r, s, signal, r->userdata);
}

static int on_state(struct ssi_run *r, const Ssi__Job__State *m)
{
	switch (m->what) {
	case SSI__JOB__STATE__WHAT__AWAY:
		r->away = true;
		return 0;
	case SSI__JOB__STATE__WHAT__BACK:
		r->away = false;
		return say_attach(r);
	case SSI__JOB__STATE__WHAT__STOPPED:
		state_is(r, SSI_RUN_STOPPED, (int)m->signal);
		return 0;
	case SSI__JOB__STATE__WHAT__RUNNING:
		if (r->started)
			state_is(r, SSI_RUN_RUNNING, 0);
		return 0;
	default:
		return 0;
	}
}

/* There is no such job: if it ran nowhere yet it may be started again. */
static int on_gone(struct ssi_run *r, const Ssi__Job__Gone *m)
{
	if (r->have_record || r->had) {
		r->have_record = true;           /* it was acknowledged already, or nobody needs to be told */
		return 0;
	}
	if (r->started)
		end_with(r, SSI_RUN_NODE_LOST, SIGKILL, 0, m->text);
	else if (m->error || r->tries >= SPEC_TRIES)
		end_with(r, SSI_RUN_NOT_STARTED, 0, (int)m->error, m->text);
	else {
		run_rewind(r);
		return say_spec(r);
	}
	for (int k = 0; k < 3; k++)
		r->ends[k] = r->in[k].have;
	return 0;
}

#define TAKE(name, type, call) do { \
		Ssi__Job__##type *m_ = ssi__job__##name##__unpack(NULL, f->size, body); \
		int k_ = m_ ? call(r, m_) : -EBADMSG; \
		ssi__job__##name##__free_unpacked(m_, NULL); \
		return k_; \
	} while (0)

static int on_frame(struct ssi_run *r, const struct ssi_jobframe *f, const uint8_t *body)
{
	if (f->job != r->place.job)
		return 0;
	switch (f->type) {
	case SSI_JOB_NEED:
		TAKE(need, Need, run_on_need);
	case SSI_JOB_GIVES:
		TAKE(gives, Gives, run_on_gives);
	case SSI_JOB_DATA:
		return run_on_data(r, body, f->size);
	case SSI_JOB_ACK:
		TAKE(ack, Ack, run_on_ack);
	case SSI_JOB_EXIT:
		TAKE(exit, Exit, on_exit_record);
	case SSI_JOB_STATE:
		TAKE(state, State, on_state);
	case SSI_JOB_GONE:
		TAKE(gone, Gone, on_gone);
	case SSI_JOB_STARTED:
		r->started = true;
		state_is(r, SSI_RUN_RUNNING, 0);
		return 0;
	default:
		return 0;
	}
}

static int take_frames(struct ssi_run *r)
{
	struct ssi_jobframe f;
	const uint8_t *body;
	int k;

	while ((k = ssi_jobhop_next(&r->hop, &f, &body)) > 0) {
		k = on_frame(r, &f, body);
		if (k < 0)
			return k;
		r->lost = 0;
		r->wait = 0;
	}
	return k;
}

int ssi_run_poll(const struct ssi_run *r, struct pollfd *ret)
{
	uint64_t now;

	*ret = (struct pollfd){ .fd = r->over || r->again ? -1 : r->hop.fd, .events = POLLIN };
	if (r->over || !r->again) {
		if (ssi_jobhop_waits(&r->hop))
			ret->events |= POLLOUT;
		return -1;
	}
	now = ssi_clock_mono_ms();
	return r->again > now ? (int)(r->again - now) : 0;
}

int ssi_run_step(struct ssi_run *r, short revents, struct ssi_err *e)
{
	int k = 0;

	if (r->over)
		return SSI_RUN_ENDED;
	if (r->again && ssi_clock_mono_ms() >= r->again) {
		k = connect_again(r, e);
		if (k < 0 && !r->again)
			disconnected(r);
		else if (k < 0)
			return k;
		k = 0;
	}
	if (!r->again && revents & POLLOUT)
		k = ssi_jobhop_flush(&r->hop);
	if (!r->again && k >= 0 && revents & (POLLIN | POLLHUP | POLLERR)) {
		k = ssi_jobhop_read(&r->hop);
		k = k == 0 ? -EPIPE : k == -EAGAIN ? 0 : k < 0 ? k : take_frames(r);
	}
	if (k < 0 && !r->again)
		disconnected(r);
	run_send(r);
	if (!r->again && r->pending && !r->away)
		signals_go(r);
	end_maybe(r);
	return (int)r->state;
}

/* --- what the caller says --- */

void ssi_run_signal(struct ssi_run *r, int number, bool group)
{
	Ssi__Job__Signal m = SSI__JOB__SIGNAL__INIT;

	if (number <= 0 || number >= 64 || r->have_record)
		return;
	m.number = (uint32_t)number;
	m.group = group;
	if (r->away || run_say(r, SSI_JOB_SIGNAL, &m.base) < 0)
		r->pending |= 1ull << number;
}

void ssi_run_window(struct ssi_run *r, unsigned rows, unsigned columns)
{
	Ssi__Job__Terminal m = SSI__JOB__TERMINAL__INIT;

	m.rows = rows;
	m.columns = columns;
	run_say(r, SSI_JOB_WINDOW, &m.base);
}

const struct ssi_run_exit *ssi_run_exit(const struct ssi_run *r) { return r->over ? &r->exit : NULL; }
const struct ssi_run_place *ssi_run_place(const struct ssi_run *r) { return &r->place; }
bool ssi_run_started(const struct ssi_run *r) { return r->started; }
