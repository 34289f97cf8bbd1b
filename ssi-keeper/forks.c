/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the process that all keepers of an agent are made from: to copy one that is linked and ready takes a tenth of the time that it takes to start one. The
 * agent sends it, over its standard input, the end of a socket for each keeper that it wants; the process ends with that connection, and is no keeper's parent
 * in anything but name: nobody asks it how they ended. Called by main.c.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/log.h"
#include "ssi-keeper/keeper.h"

/* The next descriptor that is sent, -EBADMSG: none was, -EPIPE: there will be none any more. */
static int forks_next(void)
{
	union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(int))]; } control;
	char c;
	struct iovec v = { &c, 1 };
	struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(STDIN_FILENO, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	int fd;

	if (n <= 0)
		return n < 0 && errno == EINTR ? -EBADMSG : -EPIPE;
	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

int forks_serve(void)
{
	int fd;

	signal(SIGCHLD, SIG_IGN);
	while ((fd = forks_next()) != -EPIPE) {
		pid_t pid = fd < 0 ? -1 : fork();

		if (pid == 0) {
			signal(SIGCHLD, SIG_DFL);
			return fd;
		}
		if (fd >= 0 && pid < 0)
			log_error("no keeper for a job: fork: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return -EPIPE;
}
