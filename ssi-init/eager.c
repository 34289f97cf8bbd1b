/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into open-iscsi's iscsistart (login.c), which waits in whole seconds for what takes milliseconds: one for the event loop that it has forked, although it
 * tries again, 50 ms later, where that is not there yet; and one whenever a connection to the target has not been made within 1 ms. Both calls keep
 * their contracts; where this is not preloaded, a login takes two seconds longer and is the same.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOP_MS 20              /* until the event loop listens, mostly */
#define CONNECT_MS 500          /* then it may wait in its own way */

unsigned sleep(unsigned seconds)
{
	struct timespec ts = { .tv_nsec = LOOP_MS * 1000000L };

	nanosleep(&ts, NULL);
	return 0;
}

/* Of a socket that does not block: it says EINPROGRESS as ever, but mostly when it is over. */
int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	long r = syscall(SYS_connect, fd, address, len);

	if (r < 0 && errno == EINPROGRESS) {
		poll(&p, 1, CONNECT_MS);
		errno = EINPROGRESS;
	}
	return (int)r;
}
