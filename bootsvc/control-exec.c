/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec: a command on some nodes at once, its output as events. A client that reads slowly slows the nodes' output (nothing more is acknowledged until
 * it has read, and what comes until then is held, as it came); a client that goes away ends the command everywhere. Input goes to all of them, no
 * faster than the slowest takes it.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "libssi/base/base64.h"
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"

#define EXEC_HELD (4u << 20)             /* bytes of output of all nodes, while the client does not read */
#define EXEC_WINDOW_MIN 1024             /* but so much of each, at least */

struct exec;

struct exec_node {
	struct exec *exec;
	struct ssi_rexec_call *call;     /* NULL: ended */
	char name[64];
	struct ssi_buf held[2];          /* output 1 and 2, while the client has to catch up */
	size_t fed;                      /* bytes of the exec's input that it has */
};

struct exec {
	struct daemon *daemon;
	struct ssi_control_request *request;
	json_t *answer;
	size_t n, left, failed;
	bool paused;                     /* the client has to catch up: output is held */
	uint8_t *input;                  /* that not all nodes have yet, or NULL */
	size_t n_input;
	struct exec_node nodes[];
};

static void exec_free(struct exec *x)
{
	for (size_t i = 0; i < x->n; i++)
		for (int k = 0; k < 2; k++)
			ssi_buf_free(&x->nodes[i].held[k]);
	json_decref(x->answer);
	free(x->input);
	free(x);
}

static bool holds_output(const struct exec *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->nodes[i].held[0].len || x->nodes[i].held[1].len)
			return true;
	return false;
}

/* The last word, once all has been said before it. */
static void exec_end(struct exec *x)
{
	if (x->left || holds_output(x))
		return;
	if (x->failed)
		ssi_control_partial(x->request, json_incref(x->answer), x->failed);
	else
		ssi_control_ok(x->request, json_incref(x->answer));
	exec_free(x);
}

/* To the client; the node may send as much again. */
static void deliver(struct exec_node *o, int fd, const void *p, size_t n)
{
	_cleanup_free_ char *data = ssi_base64_encode(p, n);
	json_t *ev = data ? json_pack("{s:s, s:i, s:s}", "node", o->name, "fd", fd, "data", data) : NULL;

	if (ev && ssi_control_event(o->exec->request, ev) == 1)
		o->exec->paused = true;
	if (o->call)
		ssi_rexec_consumed(o->call, n);
}

static void on_output(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata)
{
	struct exec_node *o = userdata;

	if (!o->exec->paused)
		deliver(o, fd, p, n);
	else if (ssi_buf_add(&o->held[fd - 1], p, n) < 0)
		log_error("exec: output of %s is lost: no memory", o->name);
}

static void add_result(struct exec *x, const char *name, int status, const char *error)
{
	json_t *o = control_node_result(name, error);

	json_object_set_new(o, "status", json_integer(status));
	json_array_append_new(x->answer, o);
	x->failed += status != 0 || error;
	x->left--;
}

/* As much of the input as a node takes; true when it has all of it, or wants none. */
static bool feed_one(struct exec *x, struct exec_node *o)
{
	while (o->call && o->fed < x->n_input) {
		size_t n = x->n_input - o->fed, room = ssi_rexec_room(o->call);

		n = n < room ? n : room;
		if (!n || ssi_rexec_input(o->call, x->input + o->fed, n) < 0)
			return false;            /* it has room again later, or its end is told of */
		o->fed += n;
	}
	return true;
}

/* true: all have all of it, and it is gone. */
static bool feed(struct exec *x)
{
	bool all = true;

	for (size_t i = 0; i < x->n; i++)
		all &= feed_one(x, &x->nodes[i]);
	if (!all)
		return false;
	free(x->input);
	x->input = NULL;
	x->n_input = 0;
	for (size_t i = 0; i < x->n; i++)
		x->nodes[i].fed = 0;
	return true;
}

static void feed_on(struct exec *x)
{
	if (x->input && feed(x))
		ssi_control_input_more(x->request);
}

static void on_exited(struct ssi_rexec_call *call, const struct ssi_rexec_exit *e, void *userdata)
{
	struct exec_node *o = userdata;

	o->call = NULL;
	feed_on(o->exec);                /* it may have been the one that the others waited for */
	add_result(o->exec, o->name, e->error[0] ? 255 : e->signal ? 128 + e->signal : e->status, e->error[0] ? e->error : NULL);
	exec_end(o->exec);
}

static void on_room(struct ssi_rexec_call *call, void *userdata)
{
	feed_on(((struct exec_node *)userdata)->exec);
}

static void input_ends(struct exec *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->nodes[i].call)
			ssi_rexec_input(x->nodes[i].call, NULL, 0);
}

static int on_input(struct ssi_control_request *q, const void *p, size_t n, void *userdata)
{
	struct exec *x = userdata;

	if (!n) {
		input_ends(x);
		return 0;
	}
	x->input = malloc(n);
	if (!x->input)
		return -ENOMEM;
	memcpy(x->input, p, n);
	x->n_input = n;
	return !feed(x);
}

static const struct ssi_rexec_ops ops = { on_output, on_exited, on_room };

static void drained(struct ssi_control_request *q, void *userdata)
{
	struct exec *x = userdata;

	x->paused = false;
	for (size_t i = 0; i < 2 * x->n && !x->paused; i++) {
		struct ssi_buf *held = &x->nodes[i / 2].held[i % 2];

		if (!held->len)
			continue;
		deliver(&x->nodes[i / 2], (int)(i % 2) + 1, held->data, held->len);
		ssi_buf_free(held);
	}
	exec_end(x);
}

static void gone(struct ssi_control_request *q, void *userdata)
{
	struct exec *x = userdata;

	for (size_t i = 0; i < x->n; i++)
		if (x->nodes[i].call)
			ssi_rexec_cancel(x->nodes[i].call);
	exec_free(x);
}

/* What all of them may send before the client has read any is held here, raw. */
static size_t window_of(size_t nodes)
{
	size_t each = EXEC_HELD / nodes;

	return each < EXEC_WINDOW_MIN ? EXEC_WINDOW_MIN : each;
}

static void start_one(struct exec *x, struct exec_node *o, char *const argv[])
{
	struct ssi_ccm_conn *c = ssi_head_conn(x->daemon->head, o->name);
	struct ssi_err e;

	o->exec = x;
	if (!c)
		add_result(x, o->name, 255, "it is not joined, or has not come back since the daemon started");
	else if (ssi_rexec_start(x->daemon->rexec, c, argv, NULL, NULL, window_of(x->n), &ops, o, &o->call, &e) < 0)
		add_result(x, o->name, 255, e.text);
}

static char **argv_of(const json_t *words)
{
	char **argv = calloc(json_array_size(words) + 1, sizeof(*argv));
	size_t i;
	json_t *w;

	json_array_foreach((json_t *)words, i, w)
		if (argv)
			argv[i] = (char *)json_string_value(w);
	return argv;
}

int control_exec(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	_cleanup_free_ char **argv = argv_of(json_object_get(args, "argv"));
	struct exec *x;
	size_t n;
	int r = control_nodes(userdata, ssi_json_str(args, "range"), &nodes, &n, e);

	if (r < 0)
		return r;
	x = argv ? calloc(1, sizeof(*x) + n * sizeof(x->nodes[0])) : NULL;
	if (!x)
		return ssi_errno(e, -ENOMEM, "exec");
	*x = (struct exec) { .daemon = userdata, .request = q, .answer = json_array(), .n = n, .left = n };
	for (size_t i = 0; i < n; i++) {
		strcpy(x->nodes[i].name, nodes[i]->name);
		start_one(x, &x->nodes[i], argv);
	}
	if (!json_is_true(json_object_get(args, "input")))
		input_ends(x);
	if (x->left)
		ssi_control_watch(q, drained, gone, x);
	if (x->left && json_is_true(json_object_get(args, "input")))
		ssi_control_take_input(q, on_input);
	if (!x->left)
		exec_end(x);
	return 0;
}
