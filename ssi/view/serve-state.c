/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Written by the program that is about to be replaced, read by the one that replaces it. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi/view/serve-state.h"

#define STATE_MAX (1u << 20)

int serve_state_write(const struct serve_state *s, const struct view *w)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	uint32_t head[2] = { s->epoch + 1, (uint32_t)s->init.len };
	_cleanup_close_ int fd = memfd_create("ssi-view", 0);
	int r;

	if (fd < 0)
		return -errno;
	ssi_buf_add(&b, head, sizeof(head));
	ssi_buf_add(&b, s->init.data, s->init.len);
	for (uint32_t i = 0; i < w->names.n; i++)
		ssi_buf_add(&b, w->names.v[i], strlen(w->names.v[i]) + 1);
	if (b.err || b.len > STATE_MAX)
		return b.err ? b.err : -E2BIG;
	r = ssi_fd_write_all(fd, b.data, b.len);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return r < 0 ? r : -errno;
	return TAKE_FD(fd);
}

int serve_state_read(int state, struct serve_state *s, struct view *w)
{
	_cleanup_free_ char *text = malloc(STATE_MAX + 1);
	_cleanup_close_ int fd = state;
	ssize_t n = text ? ssi_fd_read_full(fd, text, STATE_MAX) : -ENOMEM;
	uint32_t head[2], number;
	int r;

	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(head))
		return -EBADMSG;
	memcpy(head, text, sizeof(head));
	if (head[1] > (size_t)n - sizeof(head))
		return -EBADMSG;
	text[n] = '\0';
	s->epoch = head[0];
	r = ssi_buf_add(&s->init, text + sizeof(head), head[1]);
	for (const char *at = text + sizeof(head) + head[1]; r >= 0 && at < text + n; at += strlen(at) + 1)
		r = view_name(w, at, &number);
	return r < 0 ? r : 0;
}
