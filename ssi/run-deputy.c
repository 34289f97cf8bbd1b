/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deputies of "run" with many nodes (doc/pids.md): a child for each job, that does nothing but have the job's number. It makes the connection, as the
 * number is taken from there, and hands it to us; it tells us what it is signalled; it dies the job's death. It has a process group of its own, as what comes
 * from the keyboard is ours to pass on. Called by run-many.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libssi/base/cleanup.h"
#include "libssi/comm/jobframe.h"
#include "ssi/run.h"

struct said { int number, code; };           /* of a signal, as in siginfo */

/* --- in the child --- */

static int hand_over(int to, int fd)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } c = { .room = { 0 } };
	struct iovec v = { &(char){ 0 }, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof(c.room) };

	c.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.head), &fd, sizeof(fd));
	return sendmsg(to, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* That the job goes on is the parent's word, or the daemon's: it knows. */
static void tell(int to, int signals)
{
	struct signalfd_siginfo si;

	while (read(signals, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		const struct said s = { (int)si.ssi_signo, si.ssi_code };

		if (s.number == SIGWINCH || (s.number == SIGCONT && s.code == SI_QUEUE))
			continue;
		if (send(to, &s, sizeof(s), MSG_NOSIGNAL) < 0)
			_exit(1);
	}
}

static void connect_and_hand_over(const char *path, int parent)
{
	_cleanup_close_ int fd = ssi_jobhop_connect(path ? path : ssi_run_socket(), NULL);

	if (fd < 0 || hand_over(parent, fd) < 0)
		_exit(1);
}

static _Noreturn void child(const char *path, int parent, int signals)
{
	struct ssi_run_exit x;
	ssize_t n;

	setpgid(0, 0);
	connect_and_hand_over(path, parent);
	for (;;) {
		struct pollfd p[2] = { { .fd = parent, .events = POLLIN }, { .fd = signals, .events = POLLIN } };

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			tell(parent, signals);
		if (!p[0].revents)
			continue;
		n = recv(parent, &x, sizeof(x), 0);
		if (n != 1)
			_exit(n == (ssize_t)sizeof(x) ? ssi_run_die(&x) : 1);
		connect_and_hand_over(path, parent);
	}
}

/* --- in the parent --- */

int run_deputy_start(const char *path, int signals, struct run_deputy *ret)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	pid_t self = getpid(), pid;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) < 0)
		return -errno;
	ours = s[0];
	theirs = s[1];
	fflush(NULL);                            /* else it writes what we have not written yet, too */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(ours);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
			_exit(1);
		child(path, theirs, signals);
	}
	*ret = (struct run_deputy){ .pid = pid, .fd = TAKE_FD(ours) };
	return 0;
}

int run_deputy_again(const struct run_deputy *d)
{
	run_deputy_stop(d, false);               /* who is stopped does not read */
	return d->pid && send(d->fd, "", 1, MSG_NOSIGNAL) == 1 ? 0 : -ESRCH;
}

/* What it was signalled before that is for a job that was lost. */
int run_deputy_connection(const struct run_deputy *d)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } c = { .room = { 0 } };
	struct said s;
	struct iovec v = { &s, sizeof(s) };
	ssize_t n;
	int fd;

	do {
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof(c.room) };

		n = d->pid ? recvmsg(d->fd, &m, MSG_CMSG_CLOEXEC) : 0;
	} while ((n < 0 && errno == EINTR) || n == (ssize_t)sizeof(s));
	if (n <= 0 || c.head.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&c.head), sizeof(fd));
	return fd;
}

int run_deputy_signal(const struct run_deputy *d, bool *ret_group)
{
	struct said s;
	ssize_t n = recv(d->fd, &s, sizeof(s), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != (ssize_t)sizeof(s))
		return -ESRCH;
	*ret_group = s.code == SI_KERNEL || s.number == SIGCONT;
	return s.number;
}

void run_deputy_stop(const struct run_deputy *d, bool stop)
{
	if (d->pid && stop)
		kill(d->pid, SIGSTOP);
	else if (d->pid)
		sigqueue(d->pid, SIGCONT, (union sigval){ 0 });
}

int run_deputy_end(struct run_deputy *d, const struct ssi_run_exit *x)
{
	int status = 0;

	if (!d->pid)
		return 0;
	if (x && send(d->fd, x, sizeof(*x), MSG_NOSIGNAL) >= 0)
		run_deputy_stop(d, false);       /* who is stopped does not read */
	else
		kill(d->pid, SIGKILL);
	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(d->fd);
	*d = (struct run_deputy){ .fd = -1 };
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
