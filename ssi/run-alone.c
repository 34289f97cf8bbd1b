/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "run" with one node: this process is what its parent takes for the program. It passes on what comes in, signals among it, writes what the program writes,
 * stops when the program stops, and ends as it ended. Called by run.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "libssi/base/cleanup.h"
#include "libssi/base/num.h"
#include "ssi/ask.h"
#include "ssi/run.h"

static struct termios before;
static bool raw;

static void terminal_raw(void)
{
	struct termios t = before;

	cfmakeraw(&t);
	if (!isatty(STDOUT_FILENO))              /* what the program writes goes elsewhere: who writes here is another one */
		t.c_oflag = before.c_oflag;
	raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0;
}

static void terminal_back(void)
{
	if (raw && tcgetpgrp(STDIN_FILENO) == getpgrp())     /* else it is somebody else's now, who has set it as he needs it */
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	raw = false;
}

int run_status(const struct ssi_run_exit *x)
{
	return x->cause == SSI_RUN_NOT_STARTED || !x->signal ? x->status : 128 + x->signal;
}

const char *run_why(const struct ssi_run_exit *x, char *buf, size_t n)
{
	static const char *const causes[] = {
		[SSI_RUN_NODE_LOST] = "its node was lost", [SSI_RUN_NOT_STARTED] = "it could not be started", [SSI_RUN_TIME] = "its time was over",
		[SSI_RUN_MEMORY] = "it used more memory than it may", [SSI_RUN_LEASE] = "nobody asked for it for too long",
	};

	if (x->cause == SSI_RUN_EXITED || x->cause == SSI_RUN_KILLED || x->cause == SSI_RUN_CRASHED)
		return x->text[0] ? x->text : NULL;
	snprintf(buf, n, "%s%s%s", causes[x->cause], x->text[0] ? ": " : "", x->text);
	return buf;
}

/* A file that others read after us (the "done <list" of a loop) is to stand where the program has left it, not where we have read to. */
static void leave_input(const struct ssi_run_exit *x)
{
	struct stat st;

	if (x->unread && fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode))
		lseek(STDIN_FILENO, -(off_t)x->unread, SEEK_CUR);
}

/*
 * By the same signal, so that the shell says the same of it. It goes on with SIGCONT, which waits in x->signals then and reaches the job from there. Where the
 * kernel does not stop us (setpgid(2): nobody is there who would let us go on) the program was not to be stopped either.
 */
static void on_stopped(int number, void *userdata)
{
	sigset_t one, waiting;

	terminal_back();
	sigemptyset(&one);
	sigaddset(&one, number);
	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	sigprocmask(SIG_BLOCK, &one, NULL);
	sigpending(&waiting);
	if (!sigismember(&waiting, SIGCONT))
		raise(SIGCONT);
}

static void on_front(void *userdata)
{
	if (!raw)
		terminal_raw();
}

static void print_json(const struct ssi_run_place *p, const struct ssi_run_exit *x)
{
	char buf[320];
	const char *why = run_why(x, buf, sizeof(buf));
	json_t *o = json_pack("{s:s, s:I, s:i, s:i, s:i, s:f, s:f, s:I}", "node", p->node, "job", (json_int_t)p->job, "pid", (int)p->pid, "status", run_status(x),
			      "signal", x->signal, "user", (double)x->user_us / 1e6, "system", (double)x->system_us / 1e6, "max_rss", (json_int_t)x->max_rss);

	if (why)
		json_object_set_new(o, "error", ssi_control_text(why));
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
}

static int begin_files(const struct run_ask *q, struct ssi_run_io *io, pid_t pids[2], struct ssi_err *e)
{
	int r = q->input ? run_files_pack(q->input, &pids[0], &io->files, e) : 0;

	return r < 0 || !q->output ? r : run_files_unpack(q->output, &pids[1], &io->result, e);
}

/* Once, on one node; its end. tar: what of --output could not be written. */
static int run_try(struct run_all *x, const struct ssi_run_place *p, struct ssi_run_io io, struct ssi_run_exit *ret, int *ret_tar, struct ssi_err *e)
{
	pid_t pids[2] = { 0 };
	int r = begin_files(x->ask, &io, pids, e);

	if (r >= 0)
		r = ssi_run_one(x->socket, TAKE_FD(x->fd), p, x->spec, x->pack, &io, ret, e);
	terminal_back();
	if (r < 0)
		return r;
	if (io.files >= 0)
		close(io.files);
	if (x->ask->restart && ret->cause == SSI_RUN_NODE_LOST) {
		run_files_end(pids[0]);
		run_files_end(pids[1]);
	} else
		*ret_tar = run_files_wait(pids[1], "--output");
	return 0;
}

/* Waits for a place, from which it begins anew. -ECANCELED: it was told to end meanwhile; *ret is its end then. */
static int run_elsewhere(struct run_all *x, struct ssi_run_place *p, off_t input, struct ssi_run_exit *ret)
{
	struct signalfd_siginfo si;
	struct ssi_err e;
	int tries = 0;

	fprintf(stderr, "ssi: run: %s was lost: it is started again\n", p->node);
	while (run_again(x, p, &x->fd, &e) < 0) {
		struct pollfd s = { .fd = x->signals, .events = POLLIN };

		if (!tries++)
			fprintf(stderr, "ssi: run: it waits for a node: %s\n", e.text);
		poll(&s, 1, RUN_AGAIN_MS);
		while (read(x->signals, &si, sizeof(si)) == (ssize_t)sizeof(si))
			if (run_ends((int)si.ssi_signo)) {
				*ret = (struct ssi_run_exit){ .cause = SSI_RUN_KILLED, .signal = (int)si.ssi_signo };
				return -ECANCELED;
			}
	}
	if (x->spec->deputy)
		p->pid = x->places->caller;
	if (input >= 0)
		lseek(STDIN_FILENO, input, SEEK_SET);
	return 0;
}

int run_alone(struct run_all *x)
{
	const struct run_ask *q = x->ask;
	struct ssi_run_io io = { .in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO, .files = -1, .result = -1, .signals = x->signals,
				 .terminal = q->pty ? STDIN_FILENO : -1, .stopped = on_stopped,
				 .front = q->pty && tcgetattr(STDIN_FILENO, &before) == 0 ? on_front : NULL };
	struct ssi_run_place *p = &x->places->place[0];
	off_t input = x->spec->input ? lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
	struct ssi_run_exit end = { 0 };
	struct ssi_err e = { 0 };
	const char *why;
	char buf[320];
	int r, tar = 0;

	if (p->error[0]) {
		fprintf(stderr, "ssi: run: %s: %s\n", p->node, p->error);
		return 126;
	}
	/* Where the daemon knows this process by another number, or by none, the job has one of its own. */
	x->spec->deputy = x->places->caller == (uint32_t)getpid();
	if (x->spec->deputy)
		p->pid = x->places->caller;
	r = ssi_pack_fits(x->pack, p->arch, p->x86_level, &e);
	if (r >= 0)
		do
			r = run_try(x, p, io, &end, &tar, &e);
		while (r >= 0 && q->restart && end.cause == SSI_RUN_NODE_LOST && run_elsewhere(x, p, input, &end) == 0);
	if (r < 0) {
		fprintf(stderr, "ssi: run: %s\n", e.text);
		return 126;
	}
	leave_input(&end);
	why = run_why(&end, buf, sizeof(buf));
	if (q->json)
		print_json(p, &end);
	else if (why)
		fprintf(stderr, "ssi: run: %s: %s\n", p->node, why);
	return ssi_run_die(&end) ?: tar;
}
