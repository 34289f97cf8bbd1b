/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens /dev/console. Called by main at the first instruction, by supervise.c for services, by failure.c for the rescue shell. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "ssi-init/console.h"

static void console_attach(int flags)
{
	int fd = open("/dev/console", O_RDWR | O_CLOEXEC | flags);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	for (int i = 0; i <= 2; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	else
		fcntl(fd, F_SETFD, 0);
}

void console_open(void)
{
	console_attach(O_NOCTTY | O_NONBLOCK);
}

void console_output(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	console_attach(O_NOCTTY);
	if (null >= 0)
		dup2(null, 0);
}

void console_take(void)
{
	setsid();
	console_attach(0);
	ioctl(0, TIOCSCTTY, 1);
}
