/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "run" with many nodes: a job on each, what they write line by line with the node's name before it, or in files, and in the end who failed. Called by run.c.
 * Each has a deputy (run-deputy.c). Standard input is not theirs. What comes from the keyboard goes to all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/path.h"
#include "libssi/base/tty.h"
#include "libssi/comm/jobframe.h"
#include "ssi/ask.h"
#include "ssi/output.h"
#include "ssi/run.h"

struct many;
struct many_node {
	struct many *many;
	const struct ssi_run_place *place;
	struct ssi_run *run;                 /* NULL: it has ended, or never began */
	struct run_deputy deputy;
	struct run_tree_node tree;
	bool stopped;
	uint64_t again;                      /* monotonic, ms: when it is asked for another node, the first one being lost; 0 */
	struct ssi_run_exit end;
	char why[320];                       /* "" = it ended by its own exit */
	int keep[2];                         /* files for its output and errors, or -1 */
	int files, result;                   /* pipes of tar, or -1 */
	pid_t pids[2];
	struct ssi_buf back;                 /* of the result, that tar did not take yet */
};
struct many {
	const struct run_all *all;
	struct output *out;
	struct many_node *nodes;
	struct pollfd *polls;
	struct run_tree tree;
	size_t n, left, failed;
	bool progress;
};
#define POLLS_EACH 4

static void progress(const struct many *x)
{
	if (x->progress)
		fprintf(stderr, "\r\033[K%zu of %zu nodes have ended%s", x->n - x->left, x->n, x->left ? "" : "\n");
}

static void progress_away(const struct many *x)
{
	if (x->progress)
		fputs("\r\033[K", stderr);
}

static void node_end(struct many_node *o)
{
	struct many *x = o->many;

	run_tree_end(&o->tree);
	ssi_run_free(TAKE_PTR(o->run));
	run_deputy_end(&o->deputy, &o->end);
	for (int i = 0; i < 2; i++)
		if (o->keep[i] >= 0)
			close(TAKE_FD(o->keep[i]));
	if (o->files >= 0)
		close(TAKE_FD(o->files));
	if (o->result >= 0)
		close(TAKE_FD(o->result));
	if (o->pids[1] && run_files_wait(o->pids[1], o->place->node) && !o->why[0])
		snprintf(o->why, sizeof(o->why), "what it left could not be written to --output");
	x->left--;
	x->failed += o->why[0] || run_status(&o->end);
	progress(x);
}

static void node_failed(struct many_node *o, const char *why)
{
	o->end = (struct ssi_run_exit){ .cause = SSI_RUN_NOT_STARTED, .status = 126 };
	snprintf(o->why, sizeof(o->why), "%.300s", why);
	node_end(o);
}

/* To tar, as much as it takes. */
static void back_drain(struct many_node *o)
{
	ssize_t n = o->back.len && o->result >= 0 ? write(o->result, o->back.data, o->back.len) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		n = (ssize_t)o->back.len;        /* it has ended; that it failed is seen from its status */
	if (n <= 0)
		return;
	ssi_buf_consume(&o->back, (size_t)n);
	ssi_run_consumed(o->run, 4, (size_t)n);
}

static void on_output(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata)
{
	struct many_node *o = userdata;

	if (stream == 4) {
		if (n && o->result >= 0)
			ssi_buf_add(&o->back, p, n);
		else
			ssi_run_consumed(r, stream, n);
		back_drain(o);
		return;
	}
	if (n && o->keep[stream - 1] >= 0) {
		if (ssi_fd_write_all(o->keep[stream - 1], p, n) < 0)
			snprintf(o->why, sizeof(o->why), "what it wrote could not be kept in --files");
	} else if (n) {
		progress_away(o->many);
		output_add(o->many->out, o->place->node, (int)stream, p, n);
		progress(o->many);
	}
	ssi_run_consumed(r, stream, n);
}

static void on_state(struct ssi_run *r, enum ssi_run_state s, int signal, void *userdata)
{
	struct many_node *o = userdata;
	bool stopped = s == SSI_RUN_STOPPED;

	if (ssi_run_started(r))
		run_tree_started(&o->tree);
	if (stopped != o->stopped && s != SSI_RUN_ENDED)
		run_deputy_stop(&o->deputy, stopped);
	o->stopped = stopped;
}

static bool on_need(struct ssi_run *r, uint64_t bytes, void *userdata)
{
	return run_tree_need(&((struct many_node *)userdata)->tree, bytes);
}

static void on_gives(struct ssi_run *r, unsigned port, void *userdata)
{
	run_tree_gives(&((struct many_node *)userdata)->tree, port);
}

static int node_keep(struct many_node *o, const char *dir, struct ssi_err *e)
{
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s.%s", dir, o->place->node, i ? "err" : "out") < 0)
			return ssi_errf(e, -ENOMEM, "no memory for a name");
		o->keep[i] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (o->keep[i] < 0)
			return ssi_errno(e, -errno, "%s", path);
	}
	return 0;
}

static int node_files(struct many_node *o, const struct run_ask *q, struct ssi_err *e)
{
	_cleanup_free_ char *dir = q->output ? ssi_path_join(q->output, o->place->node) : NULL;
	int r = q->files && o->keep[0] < 0 ? node_keep(o, q->files, e) : 0;

	if (r >= 0 && q->input)
		r = run_files_pack(q->input, &o->pids[0], &o->files, e);
	if (r >= 0 && dir)
		r = run_files_unpack(dir, &o->pids[1], &o->result, e);
	if (r >= 0 && o->result >= 0)
		ssi_fd_nonblock(o->result);
	return r;
}

static const struct ssi_run_ops ops = { .output = on_output, .state = on_state, .need = on_need, .gives = on_gives };

static void node_start(struct many_node *o)
{
	const struct run_all *a = o->many->all;
	_cleanup_close_ int fd = run_deputy_connection(&o->deputy);
	struct ssi_err e = { 0 };
	int r = o->place->error[0] ? ssi_errf(&e, -EHOSTUNREACH, "%s", o->place->error) : ssi_pack_fits(a->pack, o->place->arch, o->place->x86_level, &e);

	if (r >= 0)
		r = node_files(o, a->ask, &e);
	if (r >= 0)
		r = ssi_run_new(a->socket, TAKE_FD(fd), o->place, a->spec, a->pack, &ops, o, &o->run, &e);
	if (r < 0)
		node_failed(o, e.text);
	else
		run_tree_add(&o->many->tree, &o->tree, o->run);
}

/* Those that cannot be made are not there: their jobs have numbers of the daemon's. */
static void deputies_start(struct many *x)
{
	for (size_t i = 0; i < x->n && x->all->spec->deputy; i++) {
		struct ssi_run_place *p = &x->all->places->place[i];

		if (!p->error[0] && run_deputy_start(x->all->socket, x->all->signals, &x->nodes[i].deputy) == 0)
			p->pid = (uint32_t)x->nodes[i].deputy.pid;
	}
}

static void node_poll(struct many_node *o, struct pollfd p[POLLS_EACH], int *timeout)
{
	int t = o->run ? ssi_run_poll(o->run, &p[0]) : o->again ? RUN_AGAIN_MS : -1;

	if (!o->run)
		p[0].fd = -1;
	if (t >= 0 && (*timeout < 0 || t < *timeout))
		*timeout = t;
	p[1] = (struct pollfd){ .fd = o->run && o->files >= 0 && ssi_run_room(o->run, 3) ? o->files : -1, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = o->run && o->back.len ? o->result : -1, .events = POLLOUT };
	p[3] = (struct pollfd){ .fd = (o->run || o->again) && o->deputy.pid ? o->deputy.fd : -1, .events = POLLIN };
}

static void node_killed(struct many_node *o, int signal)
{
	o->again = 0;
	o->end = (struct ssi_run_exit){ .cause = SSI_RUN_KILLED, .signal = signal };
	node_end(o);
}

/* What its deputy was sent is for it; that is dead, and so is it. */
static void node_signal(struct many_node *o)
{
	bool group;
	int number = run_deputy_signal(&o->deputy, &group);

	if (number > 0 && o->run)
		ssi_run_signal(o->run, number, group);
	if (number >= 0 && (o->run || !run_ends(number)))
		return;
	node_killed(o, number > 0 ? number : run_deputy_end(&o->deputy, NULL));
}

static void files_read(struct many_node *o)
{
	char buf[SSI_JOBFRAME_PIECE];
	size_t room = ssi_run_room(o->run, 3);
	ssize_t n = read(o->files, buf, room < sizeof(buf) ? room : sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	ssi_run_input(o->run, 3, buf, n > 0 ? (size_t)n : 0);
	if (n <= 0)
		close(TAKE_FD(o->files));
}

/* Its node was lost. It keeps its deputy, and the name that stands before what it writes. */
static void node_lost(struct many_node *o)
{
	run_tree_end(&o->tree);
	ssi_run_free(TAKE_PTR(o->run));
	if (o->files >= 0)
		close(TAKE_FD(o->files));
	if (o->result >= 0)
		close(TAKE_FD(o->result));
	run_files_end(o->pids[0]);
	run_files_end(o->pids[1]);
	o->pids[0] = o->pids[1] = 0;
	o->back.len = 0;
	o->stopped = false;
	o->again = ssi_clock_mono_ms();
	progress_away(o->many);
	fprintf(stderr, "ssi: run: %s was lost: what ran there is started again\n", o->place->node);
}

static void node_elsewhere(struct many_node *o)
{
	const struct run_all *a = o->many->all;
	struct ssi_run_place p, *own = &a->places->place[o - o->many->nodes];
	_cleanup_close_ int asked = -1, fd = -1;
	struct ssi_err e = { 0 };
	int r = run_again(a, &p, &asked, &e);

	if (r < 0) {
		o->again = ssi_clock_mono_ms() + RUN_AGAIN_MS;
		return;
	}
	o->again = 0;
	p.pid = o->deputy.pid ? own->pid : p.pid;
	snprintf(p.node, sizeof(p.node), "%s", own->node);
	*own = p;
	if (run_deputy_again(&o->deputy) == 0)
		fd = run_deputy_connection(&o->deputy);
	r = node_files(o, a->ask, &e);
	if (r >= 0)
		r = ssi_run_new(a->socket, TAKE_FD(fd), o->place, a->spec, a->pack, &ops, o, &o->run, &e);
	if (r < 0)
		node_failed(o, e.text);
}

static void node_step(struct many_node *o, const struct pollfd p[POLLS_EACH])
{
	struct ssi_err e = { 0 };
	char buf[320];
	const char *why;
	int r;

	if (p[1].revents)
		files_read(o);
	if (p[2].revents)
		back_drain(o);
	if (p[3].revents)
		node_signal(o);
	if (!o->run)
		return;
	r = ssi_run_step(o->run, p[0].revents, &e);
	if (r < 0)
		node_failed(o, e.text);
	if (r != SSI_RUN_ENDED)
		return;
	o->end = *ssi_run_exit(o->run);
	if (o->end.cause == SSI_RUN_NODE_LOST && o->many->all->ask->restart) {
		node_lost(o);
		return;
	}
	why = run_why(&o->end, buf, sizeof(buf));
	if (why && !o->why[0])
		snprintf(o->why, sizeof(o->why), "%s", why);
	node_end(o);
}

static void signals_read(struct many *x)
{
	struct signalfd_siginfo si;

	while (read(x->all->signals, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		for (size_t i = 0; i < x->n; i++)
			if (x->nodes[i].run && si.ssi_signo != SIGWINCH)
				ssi_run_signal(x->nodes[i].run, (int)si.ssi_signo, true);
			else if (x->nodes[i].again && run_ends((int)si.ssi_signo))
				node_killed(&x->nodes[i], (int)si.ssi_signo);
		if (si.ssi_signo == SIGTSTP)
			raise(SIGSTOP);
	}
}

static void loop(struct many *x)
{
	while (x->left) {
		int timeout = -1;

		for (size_t i = 0; i < x->n; i++)
			node_poll(&x->nodes[i], &x->polls[1 + i * POLLS_EACH], &timeout);
		x->polls[0] = (struct pollfd){ .fd = x->all->signals, .events = POLLIN };
		if (poll(x->polls, 1 + x->n * POLLS_EACH, timeout) < 0 && errno != EINTR)
			return;
		if (x->polls[0].revents)
			signals_read(x);
		for (size_t i = 0; i < x->n; i++)
			if (x->nodes[i].run)
				node_step(&x->nodes[i], &x->polls[1 + i * POLLS_EACH]);
			else if (x->nodes[i].again && x->polls[1 + i * POLLS_EACH + 3].revents)
				node_signal(&x->nodes[i]);
			else if (x->nodes[i].again && ssi_clock_mono_ms() >= x->nodes[i].again)
				node_elsewhere(&x->nodes[i]);
	}
}

static void print_failed(const struct many *x)
{
	static const struct ssi_column columns[] = { { "NODE", false }, { "STATUS", true }, { "WHY", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);

	for (size_t i = 0; i < x->n; i++) {
		const struct many_node *o = &x->nodes[i];
		int status = run_status(&o->end);

		if (!status && !o->why[0])
			continue;
		ssi_table_cell(t, SSI_BOLD, "%s", o->place->node);
		ssi_table_cell(t, SSI_RED, "%d", status);
		ssi_table_cell(t, SSI_PLAIN, "%s", o->why[0] ? o->why : status > 128 ? strsignal(status - 128) : "");
	}
	fprintf(stderr, "ssi: run: %zu of %zu nodes failed\n", x->failed, x->n);
	ssi_table_print(t, stderr, 0);
}

static void print_json(const struct many *x)
{
	json_t *list = json_array();

	for (size_t i = 0; i < x->n; i++) {
		const struct many_node *o = &x->nodes[i];
		json_t *j = json_pack("{s:s, s:I, s:i, s:i, s:o, s:o}", "name", o->place->node, "job", (json_int_t)o->place->job, "pid", (int)o->place->pid,
				      "status", run_status(&o->end), "stdout", output_text(x->out, o->place->node, 1), "stderr", output_text(x->out, o->place->node, 2));

		if (o->why[0])
			json_object_set_new(j, "error", ssi_control_text(o->why));
		json_array_append_new(list, j);
	}
	ask_print_json(list);
	json_decref(list);
}

static void many_free(struct many *x)
{
	for (size_t i = 0; x->nodes && i < x->n; i++) {
		ssi_run_free(x->nodes[i].run);
		ssi_buf_free(&x->nodes[i].back);
	}
	run_tree_close(&x->tree);
	output_free(x->out);
	free(x->nodes);
	free(x->polls);
}

/* A connection, two pipes and two files for each. */
static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

int run_many(struct run_all *a)
{
	const struct run_ask *q = a->ask;
	SSI_CLEANUP(many_free) struct many x = { .all = a, .n = a->places->n, .left = a->places->n, .progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) };
	int r = q->files ? ssi_path_mkdirs(q->files, 0777) : 0;

	x.nodes = calloc(x.n + 1, sizeof(*x.nodes));
	x.polls = calloc(1 + x.n * POLLS_EACH, sizeof(*x.polls));
	x.out = output_new(q->json ? OUTPUT_GATHER : q->prefix ? OUTPUT_PREFIX : OUTPUT_RAW);
	if (run_tree_open(&x.tree, x.n) < 0 || r < 0 || !x.nodes || !x.polls || !x.out) {
		fprintf(stderr, "ssi: run: %s: %s\n", r < 0 ? q->files : "many nodes", strerror(r < 0 ? -r : ENOMEM));
		return 126;
	}
	raise_limits();
	a->spec->input = false;
	for (size_t i = 0; i < x.n; i++)
		x.nodes[i] = (struct many_node){ .many = &x, .place = &a->places->place[i], .keep = { -1, -1 }, .deputy = { .fd = -1 }, .files = -1, .result = -1 };
	a->spec->deputy = a->places->caller == (uint32_t)getpid();
	deputies_start(&x);
	for (size_t i = 0; i < x.n; i++)
		node_start(&x.nodes[i]);
	loop(&x);
	progress_away(&x);
	output_flush(x.out);
	if (q->json)
		print_json(&x);
	else if (x.failed)
		print_failed(&x);
	return x.failed ? 1 : 0;
}
