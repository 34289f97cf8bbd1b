/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the life of the job: from one phase to the next (enum keeper_phase). Called by the loop (children, time) and by attach.c (what is asked of it). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "ssi-keeper/keeper.h"
#include "ssi-keeper/start.h"

#define JOB_PID_MAX 4194303u
#define JOB_GROUPS_MAX 65536u
#define JOB_DRAIN_MS 60000u          /* so long, when all its processes are dead, the end of its output is waited for */

/* What a signal says of how it ended: these are the program's own doing. */
static bool job_crash(int sig)
{
	static const int own[] = { SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (own[i] == sig)
			return true;
	return false;
}

/* --- its beginning --- */

static int job_check(const Ssi__Job__Spec *s, struct ssi_err *e)
{
	if (!s)
		return ssi_errf(e, -EBADMSG, "what was asked for is no job");
	if (!s->n_argv || !s->argv[0].len)
		return ssi_errf(e, -EINVAL, "no command");
	if (s->pid > JOB_PID_MAX || s->n_groups > JOB_GROUPS_MAX || s->uid == (uid_t)-1 || s->gid == (gid_t)-1)
		return ssi_errf(e, -EINVAL, "its process number, user or groups are none");
	return 0;
}

int job_take(struct keeper *k, uint64_t number, const uint8_t *body, size_t n)
{
	static Ssi__Job__Spec none = SSI__JOB__SPEC__INIT;
	struct ssi_err e;
	int r;

	k->job = number;
	r = spare_take(k);
	if (r < 0)
		return r;
	k->phase = KEEPER_LOADING;
	k->attached = true;
	k->alone_ms = 0;
	k->spec = ssi__job__spec__unpack(NULL, n, body);
	r = job_check(k->spec, &e);
	if (!k->spec)
		k->spec = &none;
	if (r >= 0 && k->unfit.code < 0) {
		e = k->unfit;
		r = e.code;
	}
	attach_hold(k);
	if (r >= 0 && k->spec->time_ms)
		k->limit_ms = ssi_clock_mono_ms() + k->spec->time_ms;
	if (r >= 0)
		cgroup_bound(k);
	if (r >= 0)
		r = load_begin(k, &e);
	if (r < 0)
		job_refuse(k, &e);
	else if (r > 0)
		job_begin(k);
	return 0;
}

static int job_run(struct keeper *k, struct ssi_err *e)
{
	struct pollfd p = { .events = POLLIN };
	int r = load_program(k, e);

	if (r >= 0)
		r = start_program(k, e);
	p.fd = k->report;
	if (r < 0)
		return r;
	k->phase = KEEPER_RUNNING;
	if (poll(&p, 1, 0) > 0)              /* it has begun already */
		job_reported(k);
	return r;
}

static int job_unpack(struct keeper *k, struct ssi_err *e)
{
	char *argv[] = { (char *)"tar", (char *)"--no-same-owner", (char *)"-xf", (char *)"-", NULL };
	int p[2], out;

	if (pipe2(p, O_CLOEXEC) < 0 || ssi_fd_nonblock(p[1]) < 0)
		return ssi_errno(e, -errno, "pipe");
	inlet_open(&k->in[KEEPER_FILES_IN], 3, p[1]);
	out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	k->phase = KEEPER_FILES;
	return start_tar(k, argv, p[0], out, e);
}

void job_begin(struct keeper *k)
{
	struct ssi_err e;
	int r = room_work(k, &e);

	if (r >= 0)
		r = k->spec->files ? job_unpack(k, &e) : job_run(k, &e);
	if (r < 0)
		job_refuse(k, &e);
}

void job_reported(struct keeper *k)
{
	struct start_failure bad;
	struct ssi_err e;
	ssize_t n = ssi_fd_read_full(k->report, &bad, sizeof(bad));

	close(TAKE_FD(k->report));
	if (n == sizeof(bad)) {
		bad.what[sizeof(bad.what) - 1] = '\0';
		ssi_errno(&e, -bad.error, "%s", bad.what);
		job_refuse(k, &e);
		return;
	}
	k->started = true;
	if (k->pty >= 0)
		start_keys(k);
	attach_state(k);
	attach_pump(k);
}

/* --- its end --- */

static void job_drain(struct keeper *k)
{
	room_end(k);
	inlet_close(&k->in[KEEPER_IN]);
	inlet_close(&k->in[KEEPER_FILES_IN]);
	if (k->pty >= 0)
		close(TAKE_FD(k->pty));
	k->phase = KEEPER_DRAINING;
	k->limit_ms = ssi_clock_mono_ms() + JOB_DRAIN_MS;
	job_drained(k);
}

/* Somebody who is not of the job was given an end of its pipes, and holds it: what he writes is nothing of it. */
static void job_cut(struct keeper *k)
{
	k->limit_ms = ssi_clock_mono_ms() + JOB_DRAIN_MS;
	for (size_t i = 0; i < 3; i++)
		if (outlet_room(&k->out[i], true)) {
			close(TAKE_FD(k->out[i].fd));
			k->out[i].end = true;
		}
	job_drained(k);
}

void job_drained(struct keeper *k)
{
	if (k->phase != KEEPER_DRAINING || k->pid)
		return;
	for (size_t i = 0; i < 3; i++)
		if (!k->out[i].end)
			return;
	record_exit(k);
	k->phase = KEEPER_ENDED;
	k->limit_ms = 0;                     /* or the record would go with the time that it had */
	if (k->alone_ms)
		k->alone_ms = ssi_clock_mono_ms();
	attach_state(k);
	attach_pump(k);
}

void job_refuse(struct keeper *k, const struct ssi_err *e)
{
	if (!k->forced) {
		k->forced = true;
		k->exit.cause = SSI__JOB__EXIT__CAUSE__NOT_STARTED;
		k->exit.error = (uint32_t)-e->code;
		k->exit.status = e->code == -ENOENT ? 127 : 126;
		snprintf(k->text, sizeof(k->text), "%s", e->text);
	}
	if (k->pid)
		kill(k->pid, SIGKILL);
	else
		job_drain(k);
}

void job_force(struct keeper *k, Ssi__Job__Exit__Cause cause, int sig, const char *text)
{
	if (k->phase >= KEEPER_ENDED) {
		k->phase = KEEPER_DONE;
		return;
	}
	if (k->phase == KEEPER_DRAINING) {
		job_cut(k);
		return;
	}
	k->limit_ms = 0;
	if (k->alone_ms)
		k->alone_ms = ssi_clock_mono_ms();
	if (!k->forced && k->phase <= KEEPER_RUNNING) {
		k->forced = true;
		k->exit.cause = cause;
		k->exit.signal = (uint32_t)sig;
		snprintf(k->text, sizeof(k->text), "%s", text);
	}
	if (k->pid)
		kill(k->pid, SIGKILL);
	else
		job_drain(k);
}

static void job_usage(struct keeper *k, const struct rusage *u)
{
	k->usage.user_us = (uint64_t)u->ru_utime.tv_sec * 1000000 + (uint64_t)u->ru_utime.tv_usec;
	k->usage.system_us = (uint64_t)u->ru_stime.tv_sec * 1000000 + (uint64_t)u->ru_stime.tv_usec;
	k->usage.max_rss = (uint64_t)u->ru_maxrss * 1024;
	k->usage.minor_faults = (uint64_t)u->ru_minflt;
	k->usage.major_faults = (uint64_t)u->ru_majflt;
	k->usage.in_blocks = (uint64_t)u->ru_inblock;
	k->usage.out_blocks = (uint64_t)u->ru_oublock;
	k->usage.voluntary = (uint64_t)u->ru_nvcsw;
	k->usage.involuntary = (uint64_t)u->ru_nivcsw;
}

static void job_how(struct keeper *k, int status)
{
	if (k->forced && k->exit.cause == SSI__JOB__EXIT__CAUSE__NOT_STARTED)
		return;
	k->exit.status = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
	k->exit.signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
	k->exit.core = WIFSIGNALED(status) && WCOREDUMP(status);
	if (k->forced)
		return;
	if (WIFEXITED(status)) {
		k->exit.cause = SSI__JOB__EXIT__CAUSE__EXITED;
	} else if (WTERMSIG(status) == SIGKILL && cgroup_starved(k)) {
		k->exit.cause = SSI__JOB__EXIT__CAUSE__MEMORY;
		snprintf(k->text, sizeof(k->text), "it needed more memory than the %s it may have", k->spec->memory ? "--mem" : "jobs of a node together");
	} else {
		k->exit.cause = k->exit.core || job_crash(WTERMSIG(status)) ? SSI__JOB__EXIT__CAUSE__CRASHED : SSI__JOB__EXIT__CAUSE__KILLED;
	}
}

/* What else runs ends, then tar packs the results. */
static int job_pack(struct keeper *k, struct ssi_err *e)
{
	char *argv[] = { (char *)"tar", (char *)"-C", k->spec->result, (char *)"-cf", (char *)"-", (char *)".", NULL };
	int p[2], in;

	if (pipe2(p, O_CLOEXEC) < 0 || ssi_fd_nonblock(p[0]) < 0)
		return ssi_errno(e, -errno, "pipe");
	cgroup_after(k);
	outlet_open(&k->out[KEEPER_RES], 4, p[0]);
	in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	k->phase = KEEPER_RESULT;
	return start_tar(k, argv, in, p[1], e);
}

/* A file that its caller shares with others is to stand where the program has left it. */
static void job_unread(struct keeper *k)
{
	int left;

	if (k->unread >= 0 && ioctl(k->unread, FIONREAD, &left) == 0)
		k->read = k->in[KEEPER_IN].written - (uint64_t)left;
	if (k->unread >= 0)
		close(TAKE_FD(k->unread));
}

static void job_over(struct keeper *k, int status, const struct rusage *u)
{
	struct ssi_err e;

	if (k->report >= 0)
		job_reported(k);
	k->pid = 0;
	k->limit_ms = 0;
	job_usage(k, u);
	job_how(k, status);
	job_unread(k);
	if (k->started && k->spec->result[0] && job_pack(k, &e) >= 0)
		return;
	if (k->phase == KEEPER_RESULT)
		snprintf(k->text, sizeof(k->text), "its results cannot be packed: %.400s", e.text);
	job_drain(k);
}

/* tar ended. Its last words are the reason, if it failed. */
static void job_helped(struct keeper *k, int status)
{
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	struct ssi_err e;
	char why[300];
	ssize_t n = pread(k->complaint, why, sizeof(why) - 1, 0);

	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\n")] = '\0';
	k->tar = 0;
	if (k->phase == KEEPER_FILES) {
		int r = good ? job_run(k, &e) : ssi_errf(&e, -EIO, "its input cannot be unpacked%s%s", why[0] ? ": " : "", why);

		if (r < 0)
			job_refuse(k, &e);
	} else if (k->phase == KEEPER_RESULT) {
		if (!good)
			snprintf(k->text, sizeof(k->text), "its results cannot be packed%s%s", why[0] ? ": " : "", why);
		job_drain(k);
	}
}

/*
 * A key that stops it is echoed behind the signal, by a worker of the kernel that may not have come so far. poll(2) of the terminal's other end waits for
 * that worker.
 */
static void job_echo(const struct keeper *k)
{
	struct pollfd p = { .fd = ioctl(k->pty, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), .events = POLLIN };

	if (p.fd < 0)
		return;
	(void)poll(&p, 1, 0);
	close(p.fd);
}

/* What it wrote before it was stopped goes first: it has left its screen as who looks on is to find it. */
static void job_moved(struct keeper *k, uint32_t stopped)
{
	if (stopped && k->pty >= 0 && k->out[KEEPER_OUT].fd >= 0)
		job_echo(k);
	for (size_t i = 0; stopped && i < 3; i++)
		while (outlet_room(&k->out[i], false) && outlet_read(&k->out[i], false) > 0)
			;
	k->stopped = stopped;
	attach_state(k);
}

void job_children(struct keeper *k)
{
	struct rusage u;
	int status;

	while (k->pid && wait4(k->pid, &status, WNOHANG | WUNTRACED | WCONTINUED, &u) > 0) {
		if (WIFSTOPPED(status))
			job_moved(k, (uint32_t)WSTOPSIG(status));
		else if (WIFCONTINUED(status))
			job_moved(k, 0);
		else
			job_over(k, status, &u);
	}
	if (k->tar && waitpid(k->tar, &status, WNOHANG) > 0)
		job_helped(k, status);
	if (k->reaper && waitpid(k->reaper, NULL, WNOHANG) > 0) {
		k->reaper = 0;
		if (k->phase < KEEPER_DRAINING)
			job_force(k, SSI__JOB__EXIT__CAUSE__KILLED, SIGKILL, "its namespace was ended");
	}
}

/* Before there is a program, what would end it ends the job. */
static void job_signal_early(struct keeper *k, int number)
{
	if (number != SIGKILL && number != SIGTERM && number != SIGINT && number != SIGHUP && number != SIGQUIT)
		return;
	job_force(k, SSI__JOB__EXIT__CAUSE__KILLED, number, "ended before it was started");
}

void job_signal(struct keeper *k, int number, bool group)
{
	pid_t front;

	if (number < 1 || number >= NSIG)
		return;
	if (k->phase < KEEPER_RUNNING)
		job_signal_early(k, number);
	else if (k->phase == KEEPER_RESULT)
		job_drain(k);
	if (!k->pid)
		return;
	front = group && k->pty >= 0 ? tcgetpgrp(k->pty) : -1;
	if (!group || kill(front > 0 ? -front : -k->pid, number) < 0)
		kill(k->pid, number);
}

void job_clear(struct keeper *k)
{
	room_end(k);
	if (k->pid)
		kill(k->pid, SIGKILL);
	while (k->pid && waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	while (k->tar && waitpid(k->tar, NULL, 0) < 0 && errno == EINTR)
		;
	room_clear(k);
	cgroup_clear(k);
	load_clear(k);
	spare_clear(k);
}
