/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "run": what goes before a job starts. Called by verb-run.c. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "libssi/base/cleanup.h"
#include "libssi/model/shared.h"
#include "ssi/run.h"

/*
 * What is sent to this process is meant for the job, but for what is about this process: SIGTTIN and SIGTTOU (who uses a terminal that is not its own stops, as
 * ever), its children, and its own use of pipes. What it was told to ignore the job was told to ignore, too.
 */
static int signals_open(void)
{
	static const int own[] = { SIGTTIN, SIGTTOU, SIGCHLD, SIGPIPE, SIGURG };
	struct sigaction act;
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(&set, own[i]);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGCONT && s != SIGWINCH && sigaction(s, NULL, &act) == 0 && act.sa_handler == SIG_IGN)
			sigdelset(&set, s);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* jobs.sock lies beside the control socket. */
static char *jobs_socket(const char *control)
{
	const char *slash = control ? strrchr(control, '/') : NULL;
	char *path;

	if (!control && getenv("SSI_JOBS"))
		return NULL;
	if (!control)
		control = getenv("SSI_SOCKET");
	slash = control ? strrchr(control, '/') : NULL;
	if (!slash || asprintf(&path, "%.*s/jobs.sock", (int)(slash - control), control) < 0)
		return NULL;
	return path;
}

static int fail(const struct ssi_err *e)
{
	fprintf(stderr, "ssi: run: %s\n", e->text);
	return e->code == -ENOENT ? 127 : 126;
}

static bool is_many(const struct run_ask *q)
{
	return q->where.range ? strpbrk(q->where.range, ",[") != NULL : q->where.count > 1;
}

static int prepare(struct run_all *x, struct ssi_err *e)
{
	const struct run_ask *q = x->ask;
	_cleanup_free_ char *digests = ssi_pack_digests_path();
	bool many = is_many(q);
	const struct ssi_pack_ask ask = { .command = q->argv[0], .digests = digests, .many = q->where.range || q->where.count > 1 };
	const struct ssi_spec_ask how = {
		.argv = q->argv, .input = STDIN_FILENO, .output = many ? -1 : STDOUT_FILENO, .errors = many ? -1 : STDERR_FILENO,
		.terminal = q->pty ? STDIN_FILENO : -1, .files = q->input, .result = q->output ? "output" : NULL,
		.cpus = q->where.cpus, .memory = q->where.memory, .time_ms = q->time_ms,
	};
	struct stat st;
	int r;

	if (q->input && stat(q->input, &st) < 0)
		return ssi_errno(e, -errno, "--input %s", q->input);
	r = ssi_pack_new(&ask, &x->pack, e);
	if (r >= 0)
		r = ssi_spec_new(&how, ssi_pack_program(x->pack), &x->spec, e);
	if (r >= 0)
		r = ssi_run_ask(x->socket, &q->where, &x->places, &x->fd, e);
	return r;
}

/* The policy has said: here. */
static int run_here(const struct run_ask *q)
{
	execvp(q->argv[0], q->argv);
	fprintf(stderr, "ssi: run: %s: %s\n", q->argv[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

/* Will it find its files where it goes? */
static bool is_there(const struct run_all *x)
{
	char cwd[PATH_MAX];

	return !x->places->place[0].error[0] && getcwd(cwd, sizeof(cwd)) && ssi_shared_holds(x->places->shared, cwd);
}

static bool can_read_again(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) < 0 || S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

int run_do(const struct run_ask *q, const char *control)
{
	_cleanup_free_ char *socket = jobs_socket(control);
	struct run_all x = { .ask = q, .socket = socket, .fd = -1, .signals = -1 };
	struct ssi_err e = { 0 };
	bool many = is_many(q);
	int r;

	if (q->pty && (many || !isatty(STDIN_FILENO))) {
		fprintf(stderr, "ssi: run: %s\n", many ? "--pty is for one node" : "--pty needs a terminal as standard input");
		return 2;
	}
	if (q->restart && !many && !can_read_again()) {
		fprintf(stderr, "ssi: run: --restart needs a standard input that can be read again: a file, or </dev/null\n");
		return 2;
	}
	r = prepare(&x, &e);
	if (r < 0)
		r = q->or_here ? run_here(q) : fail(&e);
	else if (!x.places->n || (q->or_here && !is_there(&x)))
		r = run_here(q);
	else {
		x.signals = signals_open();
		r = many || x.places->n != 1 ? run_many(&x) : run_alone(&x);
	}
	ssi_spec_free(x.spec);
	ssi_pack_free(x.pack);
	free(x.places);
	if (x.fd >= 0)
		close(x.fd);
	return r;
}
