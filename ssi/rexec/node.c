/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the children that run for the master. Called by ccm and from the loop. A call ends when its child has exited and what it wrote
 * has been read: not when the pipes close, which a daemon it left behind may hold open for ever.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/spawn.h"
#include "ssi/rexec/head.h"
#include "ssi/rexec/node-internal.h"

#define NODE_CALLS_MAX 64
#define NODE_READ 32768
#define NODE_INPUT_MAX (64u << 10)

struct ssi_rexec_node {
	sd_event *event;
	struct ssi_ccm *ccm;
	unsigned n;
	LIST_HEAD(, node_call) calls;
};

static void node_shut(struct node_pipe *p)
{
	p->io = sd_event_source_disable_unref(p->io);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void node_call_free(struct node_call *call)
{
	LIST_REMOVE(call, link);
	call->r->n--;
	node_shut(&call->in);
	node_shut(&call->out[0]);
	node_shut(&call->out[1]);
	sd_event_source_disable_unref(call->child);
	ssi_buf_free(&call->input);
	ssi_buf_free(&call->held);
	if (call->report >= 0)
		close(call->report);
	free(call->program);
	free(call);
}

static int node_send(struct ssi_ccm_conn *c, uint16_t type, uint64_t sequence, const ProtobufCMessage *m)
{
	uint8_t buf[1024];

	if (protobuf_c_message_get_packed_size(m) > sizeof(buf))
		return -EMSGSIZE;
	return ssi_ccm_send(c, SSI_MOD_REXEC, type, sequence, buf, protobuf_c_message_pack(m, buf));
}

static int node_send_exit(struct ssi_ccm_conn *c, uint64_t sequence, int status, int sig, const char *error)
{
	Ssi__Rexec__Exit m = SSI__REXEC__EXIT__INIT;

	m.status = status;
	m.signal = sig;
	m.error = (char *)error;
	return node_send(c, SSI_REXEC_EXIT, sequence, &m.base);
}

static struct node_call *node_find(struct ssi_rexec_node *r, struct ssi_ccm_conn *c, uint64_t sequence)
{
	struct node_call *call;

	LIST_FOREACH(call, &r->calls, link)
		if (call->conn == c && call->sequence == sequence)
			return call;
	return NULL;
}

/* --- output --- */

/* Send, or keep until ccm has room: nothing more is read before it is gone. */
static void node_output(struct node_call *call, uint16_t type, const void *p, size_t n)
{
	int r = ssi_ccm_send(call->conn, SSI_MOD_REXEC, type, call->sequence, p, n);

	if (r == -EAGAIN && ssi_buf_add(&call->held, p, n) >= 0)
		call->held_type = type;
}

/* How much may be read of a pipe now. After the exit what was in it then is read and no more: what the command left behind may write for ever. */
static size_t node_room(const struct node_call *call, const struct node_pipe *p)
{
	size_t n = call->window < NODE_READ ? call->window : NODE_READ;

	return call->exited && p->left < n ? p->left : n;
}

/* Read one pipe while there is something and someone has room. */
static void node_pump_pipe(struct node_call *call, struct node_pipe *p)
{
	uint8_t buf[NODE_READ];

	for (;;) {
		ssize_t n;

		if (call->exited && !p->left)
			node_shut(p);
		if (p->fd < 0 || !call->window || call->held.len)
			return;
		n = read(p->fd, buf, node_room(call, p));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !call->exited)
			return;
		if (n <= 0) {
			node_shut(p);
			return;
		}
		call->window -= (uint32_t)n;
		p->left -= call->exited ? (size_t)n : 0;
		node_output(call, p->type, buf, (size_t)n);
		if (!call->exited)
			return;              /* one piece at a time, that others are served; the loop calls again */
	}
}

static void node_want(struct node_call *call)
{
	for (int i = 0; i < 2; i++)
		if (call->out[i].io)
			sd_event_source_set_enabled(call->out[i].io, call->window && !call->held.len ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int node_send_end(struct node_call *call)
{
	int number = call->how.si_status;
	struct ssi_err e;

	if (call->failed) {
		ssi_errno(&e, call->failed, "%s", call->program);
		return node_send_exit(call->conn, call->sequence, 127, 0, e.text);
	}
	if (call->how.si_code == CLD_EXITED)
		return node_send_exit(call->conn, call->sequence, number, 0, "");
	return node_send_exit(call->conn, call->sequence, 128 + number, number, "");
}

/* May free the call. */
static void node_pump(struct node_call *call)
{
	bool clear;

	for (int i = 0; i < 2; i++)
		node_pump_pipe(call, &call->out[i]);
	/* After the exit, a pipe is shut when what was in it has been read, unless room ran out. */
	clear = !call->held.len && call->out[0].fd < 0 && call->out[1].fd < 0;
	/* -EAGAIN: not even its end has room now, see ssi_rexec_node_drained. */
	if (call->exited && (clear || call->unwanted) && node_send_end(call) != -EAGAIN) {
		node_call_free(call);
		return;
	}
	node_want(call);
}

static int node_on_output(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct node_pipe *p = userdata;

	node_pump(p->call);
	return 0;
}

static int node_on_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct node_call *call = userdata;

	call->exited = true;
	for (int i = 0; i < 2; i++) {
		int n = 0;

		if (call->out[i].fd >= 0 && ioctl(call->out[i].fd, FIONREAD, &n) == 0)
			call->out[i].left = (size_t)n;
	}
	call->how = *si;
	call->failed = ssi_spawn_report(call->report);
	if (call->conn)
		node_pump(call);
	else
		node_call_free(call);
	return 0;
}

static int node_on_credit(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct node_call *call = node_find(userdata, c, f->sequence);
	Ssi__Rexec__Credit *m = ssi__rexec__credit__unpack(NULL, f->size, body);

	if (!m)
		return -EBADMSG;
	if (call && m->bytes <= SSI_REXEC_WINDOW - call->window) {
		call->window += m->bytes;
		node_pump(call);
	}
	ssi__rexec__credit__free_unpacked(m, NULL);
	return 0;
}

/* --- input --- */

static void node_feed(struct node_call *call)
{
	Ssi__Rexec__Credit m = SSI__REXEC__CREDIT__INIT;

	while (call->in.fd >= 0 && call->input.len) {
		ssize_t n = write(call->in.fd, call->input.data, call->input.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			node_shut(&call->in);        /* it does not listen any more */
		if (n <= 0)
			break;
		ssi_buf_consume(&call->input, (size_t)n);
		call->taken += (uint32_t)n;
	}
	m.bytes = call->taken;
	if (call->taken && node_send(call->conn, SSI_REXEC_CREDIT, call->sequence, &m.base) >= 0)
		call->taken = 0;
	if (call->input_ends && !call->input.len)
		node_shut(&call->in);
	if (call->in.io)
		sd_event_source_set_enabled(call->in.io, call->input.len ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int node_on_input_room(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct node_pipe *p = userdata;

	node_feed(p->call);
	return 0;
}

static int node_on_input(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct node_call *call = node_find(userdata, c, f->sequence);

	if (!call || call->in.fd < 0)
		return 0;
	if (!f->size)
		call->input_ends = true;
	else if (call->input.len + f->size > SSI_REXEC_WINDOW || ssi_buf_add(&call->input, body, f->size) < 0)
		return -EPROTO;
	node_feed(call);
	return 0;
}

void ssi_rexec_node_drained(struct ssi_rexec_node *r, struct ssi_ccm_conn *c)
{
	struct node_call *call, *next;

	for (call = LIST_FIRST(&r->calls); call; call = next) {
		next = LIST_NEXT(call, link);
		if (call->conn == c && call->taken)
			node_feed(call);
		if (call->conn != c || (!call->held.len && !call->exited))
			continue;
		struct ssi_buf held = call->held;
		call->held = (struct ssi_buf)SSI_BUF_INIT;
		if (held.len)
			node_output(call, call->held_type, held.data, held.len);
		ssi_buf_free(&held);
		node_pump(call);
	}
}

/* --- life --- */

static void node_kill(struct node_call *call, int sig)
{
	if (!call->exited)
		kill(-call->pid, sig);
}

static int node_on_kill(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct node_call *call = node_find(userdata, c, f->sequence);
	Ssi__Rexec__Kill *m = ssi__rexec__kill__unpack(NULL, f->size, body);

	if (!m)
		return -EBADMSG;
	if (call && m->signal > 0 && m->signal < NSIG)
		node_kill(call, m->signal);
	if (call && m->signal == SIGKILL) {
		call->unwanted = true;
		node_pump(call);
	}
	ssi__rexec__kill__free_unpacked(m, NULL);
	return 0;
}

static int node_watch(struct node_call *call, struct ssi_err *e)
{
	sd_event *ev = call->r->event;
	int r;

	r = sd_event_add_child(ev, &call->child, call->pid, WEXITED, node_on_child, call);
	if (r >= 0)
		r = sd_event_add_io(ev, &call->in.io, call->in.fd, EPOLLOUT, node_on_input_room, &call->in);
	if (r >= 0)
		r = sd_event_source_set_enabled(call->in.io, SD_EVENT_OFF);
	for (int i = 0; i < 2 && r >= 0; i++)
		r = sd_event_add_io(ev, &call->out[i].io, call->out[i].fd, EPOLLIN, node_on_output, &call->out[i]);
	if (r >= 0)
		return 0;
	kill(-call->pid, SIGKILL);
	if (!call->child)
		ssi_spawn_wait(call->pid);
	return ssi_errno(e, r, "event loop");
}

static struct node_call *node_call_new(struct ssi_rexec_node *r, struct ssi_ccm_conn *c, uint64_t sequence)
{
	struct node_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->r = r;
	call->conn = c;
	call->sequence = sequence;
	call->window = SSI_REXEC_WINDOW;
	call->report = -1;
	call->in = (struct node_pipe){ .call = call, .fd = -1 };
	call->out[0] = (struct node_pipe){ .call = call, .fd = -1, .type = SSI_REXEC_OUTPUT };
	call->out[1] = (struct node_pipe){ .call = call, .fd = -1, .type = SSI_REXEC_ERRORS };
	LIST_INSERT_HEAD(&r->calls, call, link);
	r->n++;
	return call;
}

static int node_start(struct ssi_rexec_node *r, struct ssi_ccm_conn *c, uint64_t sequence, const Ssi__Rexec__Exec *m, struct ssi_err *e)
{
	struct node_call *call;
	int k;

	if (r->n >= NODE_CALLS_MAX)
		return ssi_errf(e, -EAGAIN, "%u commands run here, that is as many as may", r->n);
	if (!m->n_argv || !m->argv[0][0])
		return ssi_errf(e, -EINVAL, "no command");
	call = node_call_new(r, c, sequence);
	if (!call)
		return ssi_errf(e, -ENOMEM, "no memory for a call");
	if (m->window && m->window < call->window)
		call->window = m->window;
	k = node_spawn(call, m, e);
	if (k >= 0)
		k = node_watch(call, e);
	if (k < 0)
		node_call_free(call);
	return k;
}

static int node_on_exec(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_rexec_node *r = userdata;
	Ssi__Rexec__Exec *m = ssi__rexec__exec__unpack(NULL, f->size, body);
	struct ssi_err e;
	int k = 0;

	if (!m || node_find(r, c, f->sequence))
		k = -EBADMSG;
	else if (node_start(r, c, f->sequence, m, &e) < 0)
		k = node_send_exit(c, f->sequence, 127, 0, e.text);
	if (m)
		ssi__rexec__exec__free_unpacked(m, NULL);
	return k;
}

int ssi_rexec_node_new(sd_event *event, struct ssi_ccm *m, struct ssi_rexec_node **ret)
{
	struct ssi_rexec_node *x = calloc(1, sizeof(*x));
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_REXEC, SSI_REXEC_EXEC, 256u << 10, SSI_FROM_MASTER, node_on_exec, x },
		{ SSI_MOD_REXEC, SSI_REXEC_INPUT, NODE_INPUT_MAX, SSI_FROM_MASTER, node_on_input, x },
		{ SSI_MOD_REXEC, SSI_REXEC_KILL, 64, SSI_FROM_MASTER, node_on_kill, x },
		{ SSI_MOD_REXEC, SSI_REXEC_CREDIT, 16, SSI_FROM_MASTER, node_on_credit, x },
	};
	int r = x ? ssi_ccm_register(m, rules, sizeof(rules) / sizeof(*rules)) : -ENOMEM;

	if (r < 0) {
		free(x);
		return r;
	}
	x->event = sd_event_ref(event);
	x->ccm = m;
	*ret = x;
	return 0;
}

void ssi_rexec_node_closed(struct ssi_rexec_node *r, struct ssi_ccm_conn *c)
{
	struct node_call *call, *next;

	for (call = LIST_FIRST(&r->calls); call; call = next) {
		next = LIST_NEXT(call, link);
		if (call->conn != c)
			continue;
		call->conn = NULL;
		node_shut(&call->in);
		node_shut(&call->out[0]);
		node_shut(&call->out[1]);
		if (call->exited)
			node_call_free(call);
		else
			node_kill(call, SIGKILL);
	}
}

void ssi_rexec_node_free(struct ssi_rexec_node *r)
{
	struct node_call *call;

	if (!r)
		return;
	while ((call = LIST_FIRST(&r->calls))) {
		node_kill(call, SIGKILL);
		node_call_free(call);
	}
	sd_event_unref(r->event);
	free(r);
}
