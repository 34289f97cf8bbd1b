/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the calls that the master has on nodes. Called by the daemon and by ccm. A call is found by the sequence number it began with, on
 * the connection it began on; what comes for a call that is no more is dropped.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "libssi/base/cleanup.h"
#include "ssi/boot/text.h"
#include "ssi/rexec/head.h"
#include "ssi/rexec/rexec.pb-c.h"

#define REXEC_BUCKETS 256
#define REXEC_EXEC_MAX (256u << 10)
#define REXEC_OUTPUT_MAX (64u << 10)
#define REXEC_INPUT_MAX (64u << 10)     /* of a piece, as the node takes it */

struct ssi_rexec_call {
	LIST_ENTRY(ssi_rexec_call) link;
	struct ssi_rexec *r;
	struct ssi_ccm_conn *conn;
	uint64_t sequence;
	uint32_t window, output_window, input_window;   /* bytes of output that may come at all, that may come now; of input that may go now */
	uint32_t owed;                       /* room that the node could not be told of yet: the queue to it was full */
	bool input_ends;                     /* which the node could not be told yet */
	bool cancelled;                      /* nobody's any more; only its KILL is still to be sent */
	const struct ssi_rexec_ops *ops;
	void *userdata;
};

struct ssi_rexec {
	struct ssi_ccm *ccm;
	uint64_t sequence;
	LIST_HEAD(, ssi_rexec_call) buckets[REXEC_BUCKETS];
};

static struct ssi_rexec_call *rexec_find(struct ssi_rexec *r, struct ssi_ccm_conn *c, uint64_t sequence)
{
	struct ssi_rexec_call *call;

	LIST_FOREACH(call, &r->buckets[sequence % REXEC_BUCKETS], link)
		if (call->sequence == sequence && call->conn == c)
			return call;
	return NULL;
}

static void rexec_forget(struct ssi_rexec_call *call)
{
	LIST_REMOVE(call, link);
	free(call);
}

static void rexec_end(struct ssi_rexec_call *call, const struct ssi_rexec_exit *x)
{
	LIST_REMOVE(call, link);
	if (!call->cancelled)
		call->ops->exited(call, x, call->userdata);
	free(call);
}

static int rexec_send(struct ssi_rexec_call *call, uint16_t type, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *p = NULL;

	if (n > REXEC_EXEC_MAX)
		return -E2BIG;
	p = malloc(n + 1);
	if (!p)
		return -ENOMEM;
	protobuf_c_message_pack(m, p);
	return ssi_ccm_send(call->conn, SSI_MOD_REXEC, type, call->sequence, p, n);
}

static int rexec_on_output(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_rexec_call *call = rexec_find(userdata, c, f->sequence);

	if (!call || call->cancelled)
		return 0;
	if (f->size > call->output_window)
		return -EPROTO;              /* more than it was given leave to send */
	call->output_window -= f->size;
	if (f->size)
		call->ops->output(call, f->type == SSI_REXEC_ERRORS ? 2 : 1, body, f->size, call->userdata);
	return 0;
}

static int rexec_on_exit(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_rexec_call *call = rexec_find(userdata, c, f->sequence);
	Ssi__Rexec__Exit *m = ssi__rexec__exit__unpack(NULL, f->size, body);
	struct ssi_rexec_exit x = { 0 };

	if (!m)
		return -EBADMSG;
	x.status = m->status;
	x.signal = m->signal;
	ssi_text_copy(x.error, sizeof(x.error), m->error);
	ssi__rexec__exit__free_unpacked(m, NULL);
	if (call)
		rexec_end(call, &x);
	return 0;
}

static int rexec_on_credit(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct ssi_rexec_call *call = rexec_find(userdata, c, f->sequence);
	Ssi__Rexec__Credit *m = ssi__rexec__credit__unpack(NULL, f->size, body);
	int r = 0;

	if (!m)
		return -EBADMSG;
	if (call && m->bytes > SSI_REXEC_WINDOW - call->input_window)
		r = -EPROTO;
	else if (call)
		call->input_window += m->bytes;
	if (call && r == 0 && !call->cancelled && call->ops->room)
		call->ops->room(call, call->userdata);
	ssi__rexec__credit__free_unpacked(m, NULL);
	return r;
}

int ssi_rexec_new(struct ssi_ccm *m, struct ssi_rexec **ret)
{
	struct ssi_rexec *x = calloc(1, sizeof(*x));
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_REXEC, SSI_REXEC_OUTPUT, REXEC_OUTPUT_MAX, SSI_FROM_NODE, rexec_on_output, x },
		{ SSI_MOD_REXEC, SSI_REXEC_ERRORS, REXEC_OUTPUT_MAX, SSI_FROM_NODE, rexec_on_output, x },
		{ SSI_MOD_REXEC, SSI_REXEC_EXIT, 1024, SSI_FROM_NODE, rexec_on_exit, x },
		{ SSI_MOD_REXEC, SSI_REXEC_CREDIT, 16, SSI_FROM_NODE, rexec_on_credit, x },
	};
	int r = x ? ssi_ccm_register(m, rules, sizeof(rules) / sizeof(*rules)) : -ENOMEM;

	if (r < 0) {
		free(x);
		return r;
	}
	x->ccm = m;
	*ret = x;
	return 0;
}

void ssi_rexec_free(struct ssi_rexec *r)
{
	struct ssi_rexec_call *call;

	if (!r)
		return;
	for (size_t i = 0; i < REXEC_BUCKETS; i++)
		while ((call = LIST_FIRST(&r->buckets[i])))
			rexec_forget(call);
	free(r);
}

static size_t rexec_count(char *const words[])
{
	size_t n = 0;

	while (words && words[n])
		n++;
	return n;
}

int ssi_rexec_start(struct ssi_rexec *r, struct ssi_ccm_conn *c, char *const argv[], char *const env[], const char *dir, size_t window,
		    const struct ssi_rexec_ops *ops, void *userdata, struct ssi_rexec_call **ret, struct ssi_err *e)
{
	Ssi__Rexec__Exec m = SSI__REXEC__EXEC__INIT;
	struct ssi_rexec_call *call;
	int k;

	m.argv = (char **)argv;
	m.n_argv = rexec_count(argv);
	m.env = (char **)env;
	m.n_env = rexec_count(env);
	m.dir = (char *)(dir ? dir : "");
	m.window = window && window < SSI_REXEC_WINDOW ? (uint32_t)window : SSI_REXEC_WINDOW;
	if (!m.n_argv)
		return ssi_errf(e, -EINVAL, "no command");
	call = calloc(1, sizeof(*call));
	if (!call)
		return ssi_errf(e, -ENOMEM, "no memory for a call");
	*call = (struct ssi_rexec_call){ .r = r, .conn = c, .sequence = ++r->sequence, .window = m.window, .output_window = m.window,
					 .input_window = SSI_REXEC_WINDOW, .ops = ops, .userdata = userdata };
	LIST_INSERT_HEAD(&r->buckets[call->sequence % REXEC_BUCKETS], call, link);
	k = rexec_send(call, SSI_REXEC_EXEC, &m.base);
	if (k < 0) {
		rexec_forget(call);
		return k == -E2BIG ? ssi_errf(e, k, "command of more than %u bytes", REXEC_EXEC_MAX) : ssi_errno(e, k, "cannot reach %s", ssi_ccm_identity(c)->who);
	}
	*ret = call;
	return 0;
}

/* Tell the node what room there is. */
static void rexec_credit(struct ssi_rexec_call *call)
{
	Ssi__Rexec__Credit m = SSI__REXEC__CREDIT__INIT;

	m.bytes = call->owed;
	if (!call->owed || rexec_send(call, SSI_REXEC_CREDIT, &m.base) < 0)
		return;
	call->output_window += call->owed;
	call->owed = 0;
}

void ssi_rexec_consumed(struct ssi_rexec_call *call, size_t n)
{
	uint32_t most = call->window - call->output_window - call->owed;

	call->owed += n < most ? (uint32_t)n : most;
	rexec_credit(call);
}

size_t ssi_rexec_room(const struct ssi_rexec_call *call)
{
	return call->input_window < REXEC_INPUT_MAX ? call->input_window : REXEC_INPUT_MAX;
}

int ssi_rexec_input(struct ssi_rexec_call *call, const void *p, size_t n)
{
	int r;

	if (n > REXEC_INPUT_MAX)
		return -EMSGSIZE;
	if (n > call->input_window)
		return -EAGAIN;
	r = ssi_ccm_send(call->conn, SSI_MOD_REXEC, SSI_REXEC_INPUT, call->sequence, p, n);
	if (r >= 0)
		call->input_window -= (uint32_t)n;
	call->input_ends = !n && r == -EAGAIN;
	return call->input_ends ? 0 : r;
}

int ssi_rexec_kill(struct ssi_rexec_call *call, int signal)
{
	Ssi__Rexec__Kill m = SSI__REXEC__KILL__INIT;

	m.signal = signal;
	return rexec_send(call, SSI_REXEC_KILL, &m.base);
}

void ssi_rexec_cancel(struct ssi_rexec_call *call)
{
	call->cancelled = ssi_rexec_kill(call, 9) == -EAGAIN;
	if (!call->cancelled)
		rexec_forget(call);
}

void ssi_rexec_drained(struct ssi_rexec *r, struct ssi_ccm_conn *c)
{
	struct ssi_rexec_call *call, *next;

	for (size_t i = 0; i < REXEC_BUCKETS; i++)
		for (call = LIST_FIRST(&r->buckets[i]); call; call = next) {
			next = LIST_NEXT(call, link);
			if (call->conn == c && call->cancelled)
				ssi_rexec_cancel(call);
			else if (call->conn == c) {
				rexec_credit(call);
				if (call->input_ends)
					ssi_rexec_input(call, NULL, 0);
				if (call->ops->room)
					call->ops->room(call, call->userdata);
			}
		}
}

/* Any call on c in a bucket. */
static struct ssi_rexec_call *rexec_any(struct ssi_rexec *r, size_t bucket, const struct ssi_ccm_conn *c)
{
	struct ssi_rexec_call *call;

	LIST_FOREACH(call, &r->buckets[bucket], link)
		if (call->conn == c)
			return call;
	return NULL;
}

void ssi_rexec_closed(struct ssi_rexec *r, struct ssi_ccm_conn *c, const struct ssi_err *why)
{
	struct ssi_rexec_exit x = { .status = 255 };
	struct ssi_rexec_call *call;

	ssi_text_copy(x.error, sizeof(x.error), why->text);
	for (size_t i = 0; i < REXEC_BUCKETS; i++)
		while ((call = rexec_any(r, i, c)))     /* exited() may have cancelled others: look anew */
			rexec_end(call, &x);
}
