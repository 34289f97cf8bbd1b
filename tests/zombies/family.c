/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by zombies.c: family_start in the test, family_child in a job, where only what libc has is at hand. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/zombies/family.h"

static void say(int fd, enum family_word word, int value)
{
	const struct family_said s = { word, value };

	if (write(fd, &s, sizeof(s)) != sizeof(s))
		_exit(98);
}

static void be_parent(enum family_parent kind, char *const argv[], int fd)
{
	int status = 0;
	pid_t pid;

	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);       /* what comes and goes there is this test's own */
	dup2(2, 1);
	signal(SIGCHLD, kind == FAMILY_IGNORES ? SIG_IGN : SIG_DFL);
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(97);
	}
	say(fd, FAMILY_DEPUTY, pid);
	if (pid < 0 || kind == FAMILY_GONE)
		_exit(0);
	while (kind == FAMILY_DIES)
		pause();
	while ((pid = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
		;
	say(fd, pid > 0 ? FAMILY_STATUS : FAMILY_NOBODY, status);
	_exit(0);
}

int family_start(enum family_parent kind, char *const argv[], pid_t *ret_pid, int *ret_fd)
{
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		be_parent(kind, argv, p[1]);
	close(p[1]);
	if (pid < 0 || (kind == FAMILY_GONE && waitpid(pid, &status, 0) != pid))
		return -errno;
	*ret_pid = pid;
	*ret_fd = p[0];
	return 0;
}

static int end_as(const char *how)
{
	int n = strchr(how, ':') ? atoi(strchr(how, ':') + 1) : SIGABRT;

	if (!strncmp(how, "exit:", 5))
		return n;
	raise(n);
	return 99;
}

int family_child(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	if (argc != 3 || fd < 0)
		return 96;
	a.sin_port = htons((uint16_t)atoi(argv[0]));
	byte = (char)atoi(argv[1]);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		return 95;
	return end_as(argv[2]);
}
