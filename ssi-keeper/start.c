/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns how a job's processes begin: the program, and tar, which packs and unpacks what comes with it. All are children of the keeper within the job's
 * namespaces, in its cgroup from their first moment on, and have become the job's user before they touch a file of his. Called by job.c; nothing here
 * waits for a server of files: what became of execve is read from k->report, where nothing but its end comes if it succeeded, and else a struct
 * start_failure. Where no such server can be asked (the program is in memory, and so is its folder) the child shares our memory until execve, as with
 * vfork(2): to copy it, and then each page that either of us writes, takes longer than all the rest of a start.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "ssi-keeper/keeper.h"
#include "ssi-keeper/start.h"

#define START_TTY_GROUP 5

struct start_fds { int in, out, err, slave, report; };       /* the child's; slave -1 = no terminal */
#define START_NO_FDS { -1, -1, -1, -1, -1 }

static void start_fds_close(struct start_fds *f)
{
	if (f->slave >= 0)
		f->in = f->out = f->err = -1;
	ssi_cleanup_close(&f->in);
	ssi_cleanup_close(&f->out);
	ssi_cleanup_close(&f->err);
	ssi_cleanup_close(&f->slave);
	ssi_cleanup_close(&f->report);
}

/* --- in the child --- */

/* Returns only to be told: what says where it failed. */
static int start_become(const Ssi__Job__Spec *s, const char **what)
{
	*what = "groups and user";
	if (setgroups(s->n_groups, s->groups) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0)
		return -errno;
	return 0;
}

/* A limit above the hard one of this node stays below it: the program starts all the same. */
static void start_limits(const Ssi__Job__Spec *s)
{
	for (size_t i = 0; i < s->n_limits; i++) {
		struct rlimit l = { s->limits[i]->soft, s->limits[i]->hard }, own;

		if (s->limits[i]->resource >= RLIM_NLIMITS || getrlimit((int)s->limits[i]->resource, &own) < 0)
			continue;
		if (s->uid && l.rlim_max > own.rlim_max)     /* we are root still, and could */
			l.rlim_max = own.rlim_max;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
		(void)setrlimit((int)s->limits[i]->resource, &l);
	}
}

static int start_stdio(struct start_fds *f)
{
	int *all[] = { &f->in, &f->out, &f->err, &f->report };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		*all[i] = fcntl(*all[i], F_DUPFD_CLOEXEC, 3);       /* one may be another's target */
		if (*all[i] < 0)
			return -errno;
	}
	if (dup2(f->in, 0) < 0 || dup2(f->out, 1) < 0 || dup2(f->err, 2) < 0)
		return -errno;
	return 0;
}

/*
 * As execve(2) would have left them to the program, had its caller executed it. Only what is ignored survives it, and that are those which the keeper ignores
 * (main.c) and start_group().
 */
static void start_signals(const Ssi__Job__Spec *spec)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	for (int s = 1; s < NSIG; s++) {
		if (spec->ignored >> (s - 1) & 1)
			signal(s, SIG_IGN);
		else if (s == SIGPIPE || s == SIGHUP || s == SIGINT || s == SIGTTOU)
			signal(s, SIG_DFL);
		if (spec->blocked >> (s - 1) & 1)
			sigaddset(&blocked, s);
	}
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/*
 * A process group of its own in the keeper's session, as a shell would start it: so it has somebody beside it who sees it stop (setpgid(2): a group that has
 * not is orphaned, and SIGTSTP, SIGTTIN and SIGTTOU do not stop it), and is in the foreground of its terminal.
 */
static void start_group(const Ssi__Job__Spec *s, int terminal)
{
	if (s->leader) {
		setsid();
		if (terminal >= 0)
			ioctl(terminal, TIOCSCTTY, 0);
		return;
	}
	setpgid(0, 0);
	signal(SIGTTOU, SIG_IGN);
	if (terminal >= 0)
		tcsetpgrp(terminal, getpid());
}

/* Above the node's own is for root alone. */
static void start_nice(const Ssi__Job__Spec *s)
{
	int own = getpriority(PRIO_PROCESS, 0);

	setpriority(PRIO_PROCESS, 0, s->uid && s->nice < own ? own : s->nice);
}

static int start_child(const struct keeper *k, const struct start_fds *fds, const struct keeper_program *p, const char **what)
{
	struct start_fds own = *fds, *f = &own;      /* ours may be the keeper's memory */
	const Ssi__Job__Spec *s = k->spec;
	int r;

	start_group(s, f->slave);
	start_signals(s);
	*what = "standard input and output";
	r = start_stdio(f);
	if (r < 0)
		return r;
	if (k->spared)
		(void)ssi_file_poke("/proc/self/oom_score_adj", "0");
	umask((mode_t)s->umask & 0777);
	*what = "working directory";
	if (!s->shared_cwd && fchdir(k->work_fd) < 0)
		return -errno;
	r = layers_mount(k, p, what);        /* after its folder is entered: that is the same one there */
	if (r < 0)
		return r;
	start_limits(s);
	start_nice(s);
	r = start_become(s, what);
	if (r < 0)
		return r;
	*what = s->cwd;
	if (s->shared_cwd && chdir(s->cwd) < 0)      /* as the user: a server may trust no root */
		return -errno;
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	*what = p->path;
	execve(p->path, p->argv, p->env);
	return -errno;
}

static _Noreturn void start_exec(const struct keeper *k, const struct start_fds *f, const struct keeper_program *p)
{
	struct start_failure bad = { 0 };
	const char *what = "";

	bad.error = -start_child(k, f, p, &what);
	snprintf(bad.what, sizeof(bad.what), "%s", what);
	ssi_fd_write_all(f->report, &bad, sizeof(bad));
	_exit(127);
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define START_SHARES (CLONE_VM | CLONE_VFORK)
/* Parent and child come back here on one stack: so there is no function of the library's to come back from, and the child never leaves its caller. */
static inline __attribute__((always_inline)) pid_t start_clone3(const struct clone_args *a)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "0"((long)SYS_clone3), "D"(a), "S"(sizeof(*a)) : "rcx", "r11", "memory");
	return (pid_t)r;
}
#else
#define START_SHARES 0
static pid_t start_clone3(const struct clone_args *a)
{
	pid_t pid = (pid_t)syscall(SYS_clone3, a, sizeof(*a));

	return pid < 0 ? -errno : pid;
}
#endif

/* number: that it is to have; 0 = any. Its pid or -errno. */
static __attribute__((noinline)) pid_t start_clone(const struct keeper *k, const struct start_fds *f, const struct keeper_program *p, pid_t number, bool shares)
{
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = number ? (uintptr_t)&number : 0, .set_tid_size = number ? 1 : 0 };
	pid_t pid;

	if (k->cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)k->cgroup_fd;
	}
	if (shares)
		a.flags |= START_SHARES;
	pid = start_clone3(&a);
	if (pid == 0)
		start_exec(k, f, p);
	return pid;
}

static int start_process(const struct keeper *k, struct start_fds *f, const struct keeper_program *p, pid_t number, pid_t *ret_pid, struct ssi_err *e)
{
	sigset_t all, own;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &own);        /* what is sent to it from its first moment on waits until it can be got */
	pid = start_clone(k, f, p, number, p == &k->program && k->load && !p->n_layers && !k->spec->shared_cwd);
	sigprocmask(SIG_SETMASK, &own, NULL);
	if (pid > 0 && !k->spec->leader)
		setpgid(pid, pid);                   /* as it does itself: whoever comes first */
	if (pid == -EINVAL && number)
		return ssi_errf(e, -EINVAL, "no process can have number %d here: kernel.pid_max is too small", (int)number);
	if (pid < 0)
		return ssi_errno(e, pid, "a process of number %d", (int)number);
	*ret_pid = pid;
	return 0;
}

/* --- in the keeper --- */

static int start_pipe(int *ours, int *theirs, bool we_write)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ours = p[we_write];
	*theirs = p[!we_write];
	return ssi_fd_nonblock(*ours);
}

static void start_termios(int slave, const Ssi__Job__Terminal *t)
{
	struct winsize size = { .ws_row = (unsigned short)t->rows, .ws_col = (unsigned short)t->columns };
	struct termios as;

	if (t->termios.len == sizeof(as)) {
		memcpy(&as, t->termios.data, sizeof(as));
		tcsetattr(slave, TCSANOW, &as);
	}
	ioctl(slave, TIOCSWINSZ, &size);
}

/* The keeper's one end of a terminal is two descriptors: for an outlet, and for an inlet. */
static int start_terminal(struct keeper *k, struct start_fds *f)
{
	int r;

	k->pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (k->pty < 0 || unlockpt(k->pty) < 0)
		return -errno;
	f->slave = ioctl(k->pty, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (f->slave < 0 || fchown(f->slave, k->spec->uid, START_TTY_GROUP) < 0 || fchmod(f->slave, 0620) < 0)
		return -errno;
	if (!k->spec->leader && ioctl(f->slave, TIOCSCTTY, 0) < 0)       /* its session is the keeper's */
		return -errno;
	start_termios(f->slave, k->spec->terminal);
	f->in = f->out = f->err = f->slave;
	r = ssi_fd_nonblock(k->pty);
	if (r < 0)
		return r;
	outlet_open(&k->out[KEEPER_OUT], 1, fcntl(k->pty, F_DUPFD_CLOEXEC, 3));
	outlet_open(&k->out[KEEPER_ERR], 2, -1);
	return 0;
}

void start_keys(struct keeper *k)
{
	struct termios as;
	char end = tcgetattr(k->pty, &as) == 0 ? (char)as.c_cc[VEOF] : 4;

	inlet_open(&k->in[KEEPER_IN], 0, fcntl(k->pty, F_DUPFD_CLOEXEC, 3));
	k->in[KEEPER_IN].end_char = end;
}

static int start_pipes(struct keeper *k, struct start_fds *f)
{
	int out = -1, err = -1, in = -1, r;

	r = start_pipe(&out, &f->out, false);
	if (r >= 0)
		outlet_open(&k->out[KEEPER_OUT], 1, out);
	if (r >= 0 && k->spec->one_output) {
		f->err = fcntl(f->out, F_DUPFD_CLOEXEC, 3);
		r = f->err < 0 ? -errno : 0;
	} else if (r >= 0) {
		r = start_pipe(&err, &f->err, false);
	}
	if (r >= 0)
		outlet_open(&k->out[KEEPER_ERR], 2, err);
	if (r >= 0 && k->spec->input) {
		r = start_pipe(&in, &f->in, true);
		k->unread = r < 0 ? -1 : fcntl(f->in, F_DUPFD_CLOEXEC, 3);
	} else if (r >= 0) {
		f->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		r = f->in < 0 ? -errno : 0;
	}
	if (r >= 0)
		inlet_open(&k->in[KEEPER_IN], 0, in);
	return r;
}

static int start_report(struct keeper *k, struct start_fds *f)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	k->report = p[0];
	f->report = p[1];
	return 0;
}

int start_program(struct keeper *k, struct ssi_err *e)
{
	struct start_fds f = START_NO_FDS;
	int r = start_report(k, &f);

	if (r >= 0)
		r = k->spec->terminal ? start_terminal(k, &f) : start_pipes(k, &f);
	if (r < 0)
		ssi_errno(e, r, "%s", k->spec->terminal ? "a terminal" : "pipes for a program");
	else
		r = start_process(k, &f, &k->program, (pid_t)k->spec->pid, &k->pid, e);
	k->first = k->pid;
	start_fds_close(&f);
	if (r < 0 && k->report >= 0)
		close(TAKE_FD(k->report));       /* its end would say that it was started */
	return r;
}

int start_tar(struct keeper *k, char *const argv[], int in, int out, struct ssi_err *e)
{
	char *env[] = { (char *)"LC_ALL=C", NULL };
	const struct keeper_program p = { .path = (char *)"/bin/tar", .argv = (char **)argv, .env = env };
	struct start_fds f = { .in = in, .out = out, .err = -1, .slave = -1, .report = -1 };
	int r = 0;

	ssi_cleanup_close(&k->complaint);
	k->complaint = memfd_create("complaint", MFD_CLOEXEC);
	f.err = k->complaint < 0 ? -1 : fcntl(k->complaint, F_DUPFD_CLOEXEC, 3);
	f.report = open("/dev/null", O_WRONLY | O_CLOEXEC);    /* its exit status tells */
	if (f.err < 0 || f.report < 0)
		r = ssi_errno(e, -errno, "descriptors for the job's files");
	else
		r = start_process(k, &f, &p, 0, &k->tar, e);
	start_fds_close(&f);
	return r;
}
