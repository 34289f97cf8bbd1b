/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec: a command on some nodes at once, its output as events. A client that reads slowly slows the nodes' output (nothing more is acknowledged until
 * it has read); a client that goes away ends the command everywhere.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/control.h"
#include "libssi/base/base64.h"
#include "libssi/base/cleanup.h"

struct exec;

struct exec_node {
	struct exec *exec;
	struct ssi_rexec_call *call;     /* NULL: ended */
	char name[64];
	size_t owed;                     /* bytes delivered and not acknowledged, while the client has to catch up */
};

struct exec {
	struct daemon *daemon;
	struct ssi_control_request *request;
	json_t *answer;
	size_t n, left, failed;
	bool paused;
	struct exec_node nodes[];
};

static void exec_free(struct exec *x)
{
	json_decref(x->answer);
	free(x);
}

static void exec_end(struct exec *x)
{
	if (x->left)
		return;
	if (x->failed)
		ssi_control_partial(x->request, json_incref(x->answer), x->failed);
	else
		ssi_control_ok(x->request, json_incref(x->answer));
	exec_free(x);
}

static void on_output(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata)
{
	struct exec_node *o = userdata;
	struct exec *x = o->exec;
	_cleanup_free_ char *data = ssi_base64_encode(p, n);
	json_t *ev = data ? json_pack("{s:s, s:i, s:s}", "node", o->name, "fd", fd, "data", data) : NULL;

	if (ev && ssi_control_event(x->request, ev) == 1)
		x->paused = true;
	if (x->paused)
		o->owed += n;
	else
		ssi_rexec_consumed(call, n);
}

static void add_result(struct exec *x, const char *name, int status, const char *error)
{
	json_t *o = control_node_result(name, error);

	json_object_set_new(o, "status", json_integer(status));
	json_array_append_new(x->answer, o);
	x->failed += status != 0 || error;
	x->left--;
}

static void on_exited(struct ssi_rexec_call *call, const struct ssi_rexec_exit *e, void *userdata)
{
	struct exec_node *o = userdata;

	o->call = NULL;
	add_result(o->exec, o->name, e->error[0] ? 255 : e->signal ? 128 + e->signal : e->status, e->error[0] ? e->error : NULL);
	exec_end(o->exec);
}

static const struct ssi_rexec_ops ops = { on_output, on_exited };

static void drained(struct ssi_control_request *q, void *userdata)
{
	struct exec *x = userdata;

	x->paused = false;
	for (size_t i = 0; i < x->n; i++) {
		size_t owed = x->nodes[i].owed;

		x->nodes[i].owed = 0;
		if (owed && x->nodes[i].call)
			ssi_rexec_consumed(x->nodes[i].call, owed);
	}
}

static void gone(struct ssi_control_request *q, void *userdata)
{
	struct exec *x = userdata;

	for (size_t i = 0; i < x->n; i++)
		if (x->nodes[i].call)
			ssi_rexec_cancel(x->nodes[i].call);
	exec_free(x);
}

static void start_one(struct exec *x, struct exec_node *o, char *const argv[])
{
	struct ssi_ccm_conn *c = ssi_head_conn(x->daemon->head, o->name);
	struct ssi_err e;

	o->exec = x;
	if (!c)
		add_result(x, o->name, 255, "it is not joined, or has not come back since the daemon started");
	else if (ssi_rexec_start(x->daemon->rexec, c, argv, NULL, NULL, &ops, o, &o->call, &e) < 0)
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
	if (x->left)
		ssi_control_watch(q, drained, gone, x);
	else
		exec_end(x);
	return 0;
}
