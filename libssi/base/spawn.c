/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Child processes without a shell. Called by programs for the tools they drive (mmdebstrap, dracut, dnsmasq, fence agents).
 * Children of the run and read forms are waited for by pidfd, so a grandchild that keeps a pipe open cannot hold us up.
 * What it does not do well: a caller with threads forks with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <linux/close_range.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define SPAWN_STDERR_MAX 65536       /* of what a child says on stderr, this much is kept to find the last line */

static const char *const spawn_sbin[] = { "/usr/sbin", "/sbin" };    /* not in an ordinary user's PATH */

static void spawn_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Put fds[i] at i. They are moved above 2 first, for one may be another's target. */
static int spawn_fds(const struct ssi_spawn_io *io)
{
	int fds[3] = { io->in, io->out, io->err };

	if (fds[0] < 0)
		fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0 && i > 0)
			continue;
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			return -errno;
	return 0;
}

static int spawn_exec(char *const argv[], char *const env[])
{
	char path[256];
	int r;

	execvpe(argv[0], argv, env);
	r = -errno;
	for (size_t i = 0; i < 2 && r == -ENOENT && !strchr(argv[0], '/'); i++) {
		snprintf(path, sizeof(path), "%s/%s", spawn_sbin[i], argv[0]);
		execve(path, argv, env);
		r = -errno;
	}
	return r;
}

/* In the child: returns only when it failed. */
static int spawn_child(char *const argv[], const struct ssi_spawn_io *io, int flags, pid_t parent, int *report)
{
	int r;

	spawn_signals();
	if (flags & SSI_SPAWN_NEWGROUP)
		setpgid(0, 0);
	if (flags & SSI_SPAWN_PDEATH) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)     /* it died before we asked */
			_exit(127);
	}
	*report = fcntl(*report, F_DUPFD_CLOEXEC, 3);    /* out of the way of 0, 1, 2 */
	if (*report < 0)
		return -errno;
	r = spawn_fds(io);
	if (r < 0)
		return r;
	if (io->dir && chdir(io->dir) < 0)
		return -errno;
	if (flags & SSI_SPAWN_MORTAL)
		ssi_file_poke("/proc/self/oom_score_adj", "0");
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	return spawn_exec(argv, io->env ? io->env : environ);
}

int ssi_spawn_start(char *const argv[], const struct ssi_spawn_io *io, int flags, pid_t *ret_pid, int *ret_report, struct ssi_err *e)
{
	static const struct ssi_spawn_io plain = { -1, -1, -1, NULL, NULL };
	_cleanup_close_ int from = -1, to = -1;
	int p[2], r = 0;
	pid_t parent = getpid(), pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return ssi_errno(e, -errno, "%s: pipe", argv[0]);
	from = p[0];
	to = p[1];
	pid = fork();
	if (pid < 0)
		return ssi_errno(e, -errno, "%s: fork", argv[0]);
	if (pid == 0) {
		r = spawn_child(argv, io ? io : &plain, flags, parent, &to);
		ssi_fd_write_all(to, &r, sizeof(r));
		_exit(127);
	}
	if (flags & SSI_SPAWN_NEWGROUP)
		setpgid(pid, pid);           /* the child does the same: whoever of us is first, its group can be killed from here on */
	*ret_pid = pid;
	*ret_report = TAKE_FD(from);
	return 0;
}

int ssi_spawn_report(int report)
{
	int r;

	/* The pipe closes by itself when execve succeeds. */
	return ssi_fd_read_full(report, &r, sizeof(r)) == sizeof(r) ? r : 0;
}

int ssi_spawn(char *const argv[], const struct ssi_spawn_io *io, int flags, pid_t *ret_pid, struct ssi_err *e)
{
	_cleanup_close_ int report = -1;
	pid_t pid;
	int r = ssi_spawn_start(argv, io, flags, &pid, &report, e);

	if (r < 0)
		return r;
	r = ssi_spawn_report(report);
	if (r < 0) {
		ssi_spawn_wait(pid);
		return ssi_errno(e, r, "%s", argv[0]);
	}
	*ret_pid = pid;
	return 0;
}

int ssi_spawn_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What is being read from a running child. */
struct spawn_read {
	int fd;
	size_t max;
	struct ssi_buf buf;
	bool tail;              /* keep the end, not the beginning: in stderr the reason stands there */
	bool over;              /* there was more than max; the rest is thrown away */
};

#define SPAWN_CHUNK 16384
#define SPAWN_CHUNKS 64         /* in one go: more than a pipe holds, and a bound for a child that never stops writing */

/* Read what is there now; the descriptor closes at its end. */
static void spawn_read_some(struct spawn_read *s)
{
	char chunk[SPAWN_CHUNK];
	ssize_t n;

	for (int i = 0; i < SPAWN_CHUNKS && s->fd >= 0 && (n = read(s->fd, chunk, sizeof(chunk))) != -1; i++) {
		size_t room;

		if (s->tail && s->buf.len + (size_t)n > s->max)
			ssi_buf_consume(&s->buf, s->buf.len - s->max / 2);
		room = s->max - s->buf.len;
		if (n == 0)
			close(TAKE_FD(s->fd));
		s->over |= (size_t)n > room;
		ssi_buf_add(&s->buf, chunk, (size_t)n > room ? room : (size_t)n);
	}
}

/* Read both until the child ends; 0, or -ETIMEDOUT or what else went wrong, with the child's group killed. */
static int spawn_watch(pid_t pid, unsigned timeout_ms, struct spawn_read *out, struct spawn_read *err)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	uint64_t end = ssi_clock_mono_ms() + timeout_ms;
	bool ended = false;
	int r = pidfd < 0 ? -errno : 0;

	while (!ended && r == 0) {
		struct pollfd p[] = { { pidfd, POLLIN, 0 }, { err->fd, POLLIN, 0 }, { out->fd, POLLIN, 0 } };
		uint64_t now = ssi_clock_mono_ms();

		if (timeout_ms && now >= end)
			r = -ETIMEDOUT;
		else if (poll(p, 3, timeout_ms ? (int)(end - now) : -1) < 0 && errno != EINTR)
			r = -errno;
		ended = p[0].revents;
		spawn_read_some(out);
		spawn_read_some(err);
	}
	if (r < 0)
		kill(-pid, SIGKILL);
	return r;
}

/* The last line that is not empty, cut to what fits beside the program's name. */
static void spawn_last_line(struct ssi_buf *b, char *ret, size_t n)
{
	char *line = b->data ? b->data : (char *)"", *nl;

	for (nl = b->len ? b->data + b->len - 1 : NULL; nl && nl >= b->data && strchr("\r\n\t ", *nl); nl--)
		*nl = '\0';
	nl = strrchr(line, '\n');
	snprintf(ret, n, "%s%.*s", nl || *line ? ": " : "", (int)(n - 3), nl ? nl + 1 : line);
}

static int spawn_result(const char *name, int watched, int status, unsigned timeout_ms, struct spawn_read *err, struct ssi_err *e)
{
	char last[300];

	spawn_last_line(&err->buf, last, sizeof(last));
	if (watched == -ETIMEDOUT)
		return ssi_errf(e, watched, "%s: not done after %u ms, killed%s", name, timeout_ms, last);
	if (watched < 0)
		return ssi_errno(e, watched, "%s", name);
	if (status < 0)
		return ssi_errno(e, status, "%s: wait", name);
	if (status > 128)
		return ssi_errf(e, -EIO, "%s: ended by signal %d%s", name, status - 128, last);
	if (status > 0)
		return ssi_errf(e, -EIO, "%s: exit status %d%s", name, status, last);
	return 0;
}

static int spawn_pipe(int *ret_read, int *ret_write)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = p[0];
	*ret_write = p[1];
	return ssi_fd_nonblock(p[0]);
}

int ssi_spawn_read(char *const argv[], unsigned timeout_ms, size_t max, char **ret_out, struct ssi_err *e)
{
	_cleanup_close_ int to_out = -1, to_err = -1;
	struct spawn_read out = { .fd = -1, .max = max }, err = { .fd = -1, .max = SPAWN_STDERR_MAX, .tail = true };
	pid_t pid;
	int r;

	r = spawn_pipe(&out.fd, &to_out);
	if (r == 0)
		r = spawn_pipe(&err.fd, &to_err);
	if (r < 0)
		r = ssi_errno(e, r, "%s: pipe", argv[0]);
	else
		r = ssi_spawn(argv, &(struct ssi_spawn_io){ -1, to_out, to_err, NULL, NULL },
			      SSI_SPAWN_PDEATH | SSI_SPAWN_NEWGROUP, &pid, e);
	if (r == 0) {
		close(TAKE_FD(to_out));
		close(TAKE_FD(to_err));
		r = spawn_watch(pid, timeout_ms, &out, &err);
		r = spawn_result(argv[0], r, ssi_spawn_wait(pid), timeout_ms, &err, e);
	}
	if (r == 0 && out.over)
		r = ssi_errf(e, -EFBIG, "%s: wrote more than %zu bytes", argv[0], max);
	if (r == 0 && ret_out) {
		*ret_out = ssi_buf_take(&out.buf);
		r = *ret_out ? 0 : ssi_errno(e, -ENOMEM, "%s", argv[0]);
	}
	ssi_cleanup_close(&out.fd);
	ssi_cleanup_close(&err.fd);
	ssi_buf_free(&out.buf);
	ssi_buf_free(&err.buf);
	return r;
}

int ssi_spawn_run(char *const argv[], unsigned timeout_ms, struct ssi_err *e)
{
	int r = ssi_spawn_read(argv, timeout_ms, 0, NULL, e);

	return r == -EFBIG ? 0 : r;     /* what it wrote to standard output is not wanted */
}

int ssi_spawn_which(const char *name)
{
	const char *path = getenv("PATH"), *at;
	_cleanup_free_ char *all = NULL;
	char *file;

	if (strchr(name, '/'))
		return access(name, X_OK) == 0;
	if (asprintf(&all, "%s:%s:%s", path ? path : "/usr/bin:/bin", spawn_sbin[0], spawn_sbin[1]) < 0)
		return 0;
	for (at = all; (file = ssi_path_search(&at, name)); free(file))
		if (access(file, X_OK) == 0) {
			free(file);
			return 1;
		}
	return 0;
}
