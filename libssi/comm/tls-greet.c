/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the look at a stranger's first record, before TLS has to do with it. Called by ccm and the station on every accepted connection. It
 * knows the form of a record and nothing of what is in it.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "libssi/comm/tls.h"

#define GREET_RECORD 5               /* bytes of a record's head (RFC 8446, 5.1): type 22, version 3.x, length */
#define GREET_MAX 2048               /* of the record with a ClientHello; ours have some 250 */

int ssi_tls_greet(int fd, int *low_water, struct ssi_err *e)
{
	uint8_t head[GREET_RECORD];
	ssize_t n = recv(fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
	int there = 0, need;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0 || ioctl(fd, FIONREAD, &there) < 0)
		return ssi_errf(e, -ECONNRESET, "hung up before the handshake");
	need = GREET_RECORD + (n == GREET_RECORD ? head[3] << 8 | head[4] : 0);
	if (head[0] != 22 || (n > 1 && head[1] != 3) || need > GREET_MAX)
		return ssi_errf(e, -EPROTO, "its first word does not begin a handshake");
	if (there < need && *low_water == need)          /* woken all the same: no more comes */
		return ssi_errf(e, -ECONNRESET, "hung up in its first word");
	*low_water = there < need ? need : 1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, low_water, sizeof(*low_water)) < 0)
		return ssi_errno(e, -errno, "low-water mark");
	return there < need ? -EAGAIN : 0;
}
