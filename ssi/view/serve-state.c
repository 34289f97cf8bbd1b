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
	uint32_t head[1 + SERVE_FS] = { s->epoch + 1 };
	_cleanup_close_ int fd = memfd_create("ssi-view", 0);
	int r;

	if (fd < 0)
		return -errno;
	for (int i = 0; i < SERVE_FS; i++)
		head[1 + i] = (uint32_t)s->init[i].len;
	ssi_buf_add(&b, head, sizeof(head));
	for (int i = 0; i < SERVE_FS; i++)
		ssi_buf_add(&b, s->init[i].data, s->init[i].len);
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
	uint32_t head[1 + SERVE_FS], number;
	size_t used = sizeof(head);
	int r = 0;

	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(head))
		return -EBADMSG;
	memcpy(head, text, sizeof(head));
	s->epoch = head[0];
	for (int i = 0; r >= 0 && i < SERVE_FS; used += head[1 + i++])
		r = head[1 + i] > (size_t)n - used ? -EBADMSG : ssi_buf_add(&s->init[i], text + used, head[1 + i]);
	text[n] = '\0';
	for (const char *at = text + used; r >= 0 && at < text + n; at += strlen(at) + 1)
		r = view_name(w, at, &number);
	return r < 0 ? r : 0;
}
