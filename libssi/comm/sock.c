/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns nothing: makes sockets for both faces of ccm. IPv4 only, as the provisioning network is. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "libssi/base/cleanup.h"
#include "libssi/comm/sock.h"

#define SOCK_BACKLOG 4096

static const struct sockaddr *sock_address(struct sockaddr_in *sa, struct in_addr addr, uint16_t port)
{
	*sa = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = addr, .sin_port = htons(port) };
	return (const struct sockaddr *)sa;
}

static int sock_say(struct ssi_err *e, int code, const char *doing, struct in_addr addr, uint16_t port)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &addr, text, sizeof(text));
	return ssi_errno(e, code, "%s %s:%u", doing, text, port);
}

/* Small messages are sent at once; and while few are under way, a lost one is sent again at an even pace, not at twice the time each try: on a
 * line that loses one of five packets, doubling makes a pause of seconds out of four losses in a row. */
static void sock_tune(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &(int){ 1 }, sizeof(int));
}

int ssi_sock_connect(struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in sa;

	if (fd < 0)
		return sock_say(e, -errno, "socket for", addr, port);
	sock_tune(fd);
	if (connect(fd, sock_address(&sa, addr, port), sizeof(sa)) < 0 && errno != EINPROGRESS)
		return sock_say(e, -errno, "connect to", addr, port);
	return TAKE_FD(fd);
}

int ssi_sock_error(int fd, struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	int code = 0;
	socklen_t n = sizeof(code);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0)
		code = errno;
	return code ? sock_say(e, -code, "connect to", addr, port) : 0;
}

int ssi_sock_listen(struct in_addr addr, uint16_t port, struct ssi_err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in sa;

	if (fd < 0)
		return sock_say(e, -errno, "socket for", addr, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, sock_address(&sa, addr, port), sizeof(sa)) < 0 || listen(fd, SOCK_BACKLOG) < 0)
		return sock_say(e, -errno, "listen on", addr, port);
	return TAKE_FD(fd);
}

int ssi_sock_accept(int fd, struct in_addr *ret_peer)
{
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);
	int c;

	do
		c = accept4(fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (c < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (c < 0)
		return -errno;
	sock_tune(c);
	*ret_peer = sa.sin_addr;
	return c;
}
