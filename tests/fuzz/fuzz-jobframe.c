/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/comm/jobframe: any bytes over a socket, in pieces; what is taken for a frame lies within them and is written back the same. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/comm/jobframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Take all frames that are there; at: how much of data they make up. Negative: no frames. */
static int take(struct ssi_jobhop *h, const uint8_t *data, size_t size, size_t *at)
{
	uint8_t head[SSI_JOBFRAME_HEAD];
	struct ssi_jobframe f;
	const uint8_t *body;
	int r;

	while ((r = ssi_jobhop_next(h, &f, &body)) > 0) {
		ssi_jobframe_encode(&f, head);
		if (*at + sizeof(head) + f.size > size || memcmp(head, data + *at, sizeof(head)) != 0 ||
		    (f.size && memcmp(body, data + *at + sizeof(head), f.size) != 0))
			abort();
		*at += sizeof(head) + f.size;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssi_jobhop h = SSI_JOBHOP_INIT;
	size_t sent = 0, at = 0;
	int s[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return 0;
	ssi_jobhop_init(&h, s[0]);
	while (sent < size && r >= 0) {
		size_t piece = size - sent < 61 ? size - sent : 61;
		ssize_t n = send(s[1], data + sent, piece, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
		r = ssi_jobhop_read(&h);
		if (r >= 0)
			r = take(&h, data, size, &at);
	}
	ssi_jobhop_close(&h);
	close(s[1]);
	return 0;
}
